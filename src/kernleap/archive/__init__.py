"""Distribution archives: finding, downloading and reading packages, whatever is in them.

Names, links, kinds and sizes in a package are hostile input; readers stream and hold limits.
"""
