"""Probes: what turns an observed boot into samples and profiles."""
