"""Energy that this machine's processors have used, where it can be read.

- CPU and memory: the kernel's powercap interface (`/sys/class/powercap/intel-rapl:*`, for AMD
  too; Documentation/power/powercap). A zone `package-N` holds its cores and uncore; `dram` below it
  is apart from it, and is added. `psys` holds everything and would count twice: left out, as
  are the zones of `intel-rapl-mmio`, the same packages by another way. Counters are microjoules
  and wrap at `max_energy_range_uj`.
- GPUs: NVML's total energy since the driver was loaded, in millijoules
  (nvmlDeviceGetTotalEnergyConsumption; Volta and later), through `nvidia-ml-py` if it is installed.

It is the energy of whole packages and boards, whoever used it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")
_WANTED = re.compile(r"package-\d+(-die-\d+)?|dram")
_MOST_WATTS = 1000.0
"""More than any package uses: a counter that wraps sooner than this cannot be followed."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of energy.

    Attributes:
        name: `cpu package-0`, `cpu package-0 dram`, `gpu 0 NVIDIA H200`.
        read: its value in microjoules; OSError if it cannot be had.
        range_uj: the value at which it begins again from 0; 0: never.
    """

    name: str
    read: Callable[[], int]
    range_uj: int = 0

    def used(self, before: int, after: int, elapsed_s: float) -> float | None:
        """Joules between two readings; None if it may have wrapped more than once."""
        if self.range_uj and elapsed_s * _MOST_WATTS * 1e6 >= self.range_uj:
            return None
        if after < before and not self.range_uj:
            return None
        return (after - before + (self.range_uj if after < before else 0)) / 1e6


@dataclass(frozen=True, slots=True)
class EnergyMeters:
    """What can be read here. `missing` says of each kind that cannot why, for the record."""

    counters: tuple[Counter, ...]
    missing: tuple[str, ...] = ()

    def sample(self) -> dict[str, int]:
        """Readings now, by counter; one that cannot be read is left out."""
        found = {}
        for counter in self.counters:
            try:
                found[counter.name] = counter.read()
            except OSError:
                continue
        return found

    def between(
        self, before: dict[str, int], after: dict[str, int], elapsed_s: float
    ) -> dict[str, float]:
        """Joules by counter between two samples; what is not certain is left out."""
        found = {}
        for counter in self.counters:
            if counter.name in before and counter.name in after:
                used = counter.used(before[counter.name], after[counter.name], elapsed_s)
                if used is not None:
                    found[counter.name] = used
        return found


@dataclass(slots=True)
class _Found:
    counters: list[Counter] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def energy_meters(root: Path = POWERCAP, *, gpus: bool = True) -> EnergyMeters:
    """Look for counters. Never fails: what is not there is *missing*, with the reason.

    Args:
        root: the directory of powercap's zones.
        gpus: whether to ask NVML.
    """
    found = _Found()
    _find_rapl(root, found)
    if gpus:
        _find_gpus(found)
    return EnergyMeters(tuple(found.counters), tuple(found.missing))


def _find_rapl(root: Path, found: _Found) -> None:
    zones = sorted(p for p in root.glob("intel-rapl:*") if _ZONE.fullmatch(p.name))
    if not zones:
        found.missing.append(f"CPU: this kernel shows no energy counters (no zones in {root})")
        return
    before = len(found.counters)
    for zone in zones:
        try:
            name = (zone / "name").read_text().strip()
            if not _WANTED.fullmatch(name):
                continue
            if name == "dram":
                # intel-rapl:0:2 is a part of intel-rapl:0.
                parent = root / zone.name.rpartition(":")[0]
                name = f"{(parent / 'name').read_text().strip()} dram"
            counter = _rapl_counter(f"cpu {name}", zone)
            counter.read()
        except PermissionError:
            found.missing.append(f"CPU: {zone / 'energy_uj'} is for root only")
            continue
        except (OSError, ValueError) as error:
            found.missing.append(f"CPU: {zone} cannot be read ({error})")
            continue
        found.counters.append(counter)
    if len(found.counters) == before and not found.missing:
        found.missing.append("CPU: no zone of a package is known")


def _rapl_counter(name: str, zone: Path) -> Counter:
    path = zone / "energy_uj"
    return Counter(
        name,
        lambda: int(path.read_text()),
        int((zone / "max_energy_range_uj").read_text()),
    )


def _find_gpus(found: _Found) -> None:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        if Path("/proc/driver/nvidia").exists():
            found.missing.append("GPU: nvidia-ml-py is not installed (pip install nvidia-ml-py)")
        return
    try:
        nvml.nvmlInit()
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        found.missing.append(f"GPU: NVML does not answer ({error})")
        return
    for index in range(count):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            name = nvml.nvmlDeviceGetName(handle)

            def read(handle: object = handle) -> int:
                try:
                    return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1000
                except nvml.NVMLError as error:
                    raise OSError(str(error)) from error

            read()
        except (nvml.NVMLError, OSError) as error:
            found.missing.append(f"GPU {index}: no energy counter ({error})")
            continue
        found.counters.append(Counter(f"gpu {index} {name}", read))
