"""Arrays in, effects out: no files, no clock, no global random state (docs/statistics.md)."""

from __future__ import annotations

from kernleap.stats.boot import aggregate, lower_median, mode
from kernleap.stats.effect import Effect, Prior, Scale, estimate, p_beyond
from kernleap.stats.modes import clusters, overlap_share
from kernleap.stats.multiple import adjust
from kernleap.stats.permutation import separation_p
from kernleap.stats.power import boots_needed

__all__ = [
    "Effect",
    "Prior",
    "Scale",
    "adjust",
    "aggregate",
    "boots_needed",
    "clusters",
    "estimate",
    "lower_median",
    "mode",
    "overlap_share",
    "p_beyond",
    "separation_p",
]
