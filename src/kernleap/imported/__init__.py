"""Results of other load generators: files become timed trials (docs/import.md).

Nothing here measures: what a file says is checked, renamed and stored with where it came from.
"""
