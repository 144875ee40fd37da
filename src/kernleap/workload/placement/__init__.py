"""Placement: processes of communicating threads, and where the scheduler puts them."""

from kernleap.workload.placement.metrics import QUANTITIES, PlacedQuantity
from kernleap.workload.placement.region import (
    PLACEMENT,
    WORKLOADS,
    PlacementRegion,
    SizedRegion,
    sized,
)

__all__ = [
    "PLACEMENT",
    "QUANTITIES",
    "WORKLOADS",
    "PlacedQuantity",
    "PlacementRegion",
    "SizedRegion",
    "sized",
]
