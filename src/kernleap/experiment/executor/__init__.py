"""Executors: they decide where and when the trials of a plan run."""
