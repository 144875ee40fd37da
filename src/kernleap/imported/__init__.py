"""Results of other load generators, read from their files and kept as timed trials (docs/import.md).

Nothing here measures: what a file says is checked, renamed and stored with where it came from.
"""
