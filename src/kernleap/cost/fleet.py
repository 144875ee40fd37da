"""A fleet, as its owner describes it: what serving costs, and what a new kernel asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

from kernleap.model.units import Quantity

MARGINAL, LOADED = "marginal", "fully loaded"
"""The two accountings; see cost/bill.py."""

Path = tuple[str, ...]
"""Where an input is in the fleet file: `("energy", "tariff")`, `("pool", "2", "loaded")`."""


@dataclass(frozen=True, slots=True)
class Energy:
    """What a kilowatt-hour costs, and how many the building takes for one of IT (PUE)."""

    tariff: Quantity
    pue: Quantity


@dataclass(frozen=True, slots=True)
class Traffic:
    """How much is served: by the share of time that servers are busy, or by tokens a time.

    Exactly one of `utilisation` and `demand` is given. `growth` is relative, a year. `slo` is
    what the throughput of the pools holds at, in the owner's words.
    """

    utilisation: Quantity | None
    demand: Quantity | None
    growth: Quantity | None
    slo: str


@dataclass(frozen=True, slots=True)
class Staff:
    """What an hour of an engineer costs, and what running the fleet takes a year."""

    rate: Quantity
    operations: Quantity | None


@dataclass(frozen=True, slots=True)
class Rollout:
    """Booting another kernel everywhere: times of one server, staff time, once or a server.

    `drain`, `reboot` and `test` are time that a server does not serve; `hands_on` is staff time
    for a server, `qualification` staff time for the whole rollout.
    """

    drain: Quantity
    reboot: Quantity
    test: Quantity
    hands_on: Quantity
    qualification: Quantity
    reboots_per_year: Quantity | None

    @property
    def down(self) -> Quantity:
        """How long one server does not serve."""
        return self.drain + self.reboot + self.test


@dataclass(frozen=True, slots=True)
class Patched:
    """Upkeep of a kernel with patches of its own. `arms` are patterns of arm names."""

    rebase: Quantity
    releases_per_year: Quantity
    arms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cloud:
    """What the same could be had for elsewhere: tokens by API, or a like server by the hour."""

    price: Quantity | None
    rented: Quantity | None


@dataclass(frozen=True, slots=True)
class Pool:
    """Servers of one kind. Prices and watts are of one server without GPUs, or of one GPU.

    `throughput` is of one server, at the SLO; None takes it from the run. `rollout` says
    whether the kernel is booted here.
    """

    name: str
    servers: int
    gpus: int
    price: Quantity
    gpu_price: Quantity
    life: Quantity
    residual: Quantity
    idle: Quantity
    loaded: Quantity
    gpu_idle: Quantity
    gpu_loaded: Quantity
    rack: Quantity | None
    network: Quantity | None
    software: Quantity | None
    throughput: Quantity | None
    utilisation: Quantity | None
    rollout: bool

    @property
    def price_of_one(self) -> Quantity:
        """A server with its GPUs."""
        return self.price + self.gpu_price * self.gpus

    @property
    def idle_of_one(self) -> Quantity:
        """Power of a server with its GPUs that serves nothing."""
        return self.idle + self.gpu_idle * self.gpus

    @property
    def loaded_of_one(self) -> Quantity:
        """Power of a server with its GPUs at the throughput given."""
        return self.loaded + self.gpu_loaded * self.gpus


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything of a fleet file. `ranges` are inputs given as [low, likely, high].

    `measured_energy` says that the energy a run measured is that of the whole server;
    `accounting` which of the two accountings policies and trade-offs go by.
    """

    name: str
    currency: str
    discount: Quantity
    energy: Energy
    traffic: Traffic
    pool: tuple[Pool, ...]
    staff: Staff | None = None
    rollout: Rollout | None = None
    patched: Patched | None = None
    cloud: Cloud | None = None
    measured_energy: bool = False
    accounting: str = MARGINAL
    ranges: Mapping[Path, tuple[Quantity, Quantity]] = field(default_factory=dict)
    source: str = ""

    @property
    def servers(self) -> int:
        """Servers of all pools."""
        return sum(pool.servers for pool in self.pool)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Costs that the file says nothing about: not counted, which is not the same as none."""
        missing = [] if self.staff and self.staff.operations else ["operations staff"]
        for key in ("rack", "network", "software"):
            if all(getattr(pool, key) is None for pool in self.pool):
                missing.append(key)
        if self.rollout is None or self.rollout.reboots_per_year is None:
            missing.append("routine reboots")
        return tuple(missing)


def inputs(fleet: Fleet) -> dict[Path, Quantity]:
    """Every quantity of the fleet by its path; what was left out has none."""
    found: dict[Path, Quantity] = {}

    def walk(value: Any, path: Path) -> None:
        if isinstance(value, Quantity):
            found[path] = value
        elif isinstance(value, tuple):
            for number, item in enumerate(value, start=1):
                walk(item, (*path, str(number)))
        elif is_dataclass(value):
            for name in value.__dataclass_fields__:
                walk(getattr(value, name), (*path, name))

    walk(fleet, ())
    return found


def with_input(fleet: Fleet, path: Path, value: Quantity) -> Fleet:
    """The fleet with another value at that path."""
    changed: Fleet = _changed(fleet, path, value)
    return changed


def _changed(owner: Any, path: Path, value: Quantity) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(owner, tuple):
        place = int(head) - 1
        return (*owner[:place], _changed(owner[place], rest, value), *owner[place + 1 :])
    return replace(owner, **{head: _changed(getattr(owner, head), rest, value)})
