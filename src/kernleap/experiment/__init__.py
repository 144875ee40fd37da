"""Experiments: from a matrix of arms and seeds to stored trials."""
