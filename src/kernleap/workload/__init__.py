"""Workloads: the catalogue of what is measured, and the metrics that come out of it."""

from kernleap.workload.catalogue import load, region, select, select_from, suite, suites
from kernleap.workload.metrics import fitted, metrics_for, planned_for
from kernleap.workload.spec import FORMS, Region, WorkloadSpec

__all__ = [
    "FORMS",
    "Region",
    "WorkloadSpec",
    "fitted",
    "load",
    "metrics_for",
    "planned_for",
    "region",
    "select",
    "select_from",
    "suite",
    "suites",
]
