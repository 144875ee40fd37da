"""The measuring guest: its parts built, its plan written, its answers read."""
