"""Reading a fleet file: every complaint names the key, the line and what to write instead."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import inf
from pathlib import Path as File

from kernleap.cost.fleet import (
    LOADED,
    MARGINAL,
    Cloud,
    Energy,
    Fleet,
    Patched,
    Path,
    Pool,
    Rollout,
    Staff,
    Traffic,
)
from kernleap.model.errors import UsageError
from kernleap.model.units import NUMBER, Quantity, UnitError, named, parse, quantity
from kernleap.strict_toml import Table
from kernleap.strict_toml import parse as parse_toml

FROM_RUN = "run"
"""As a pool's throughput: what the run measured."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a key must hold: an example in the right unit, and its bounds in that unit."""

    example: str
    low: float
    high: float

    @property
    def unit(self) -> str:
        return self.example.partition(" ")[2]


def _kind(example: str, low: float = 0.0, high: float = 1e12) -> _Kind:
    return _Kind(example, low, high)


_MONEY = "12000 money"
_SHARE = _kind("45 %", 0, 100)
_SOME_SHARE = _kind("45 %", 0.01, 100)
_TIME = _kind("20 min")
_YEARLY = _kind("1900 money/year")
_KINDS: dict[str, _Kind] = {
    "discount": _kind("6 %", 0, 100),
    "tariff": _kind("0.21 money/kWh"),
    "pue": _kind("1.3", 1, 5),
    "utilisation": _SOME_SHARE,
    "demand": _kind("900 Mtok/day", 1e-9),
    "growth": _kind("35 %", 0.01, 10_000),
    "rate": _kind("85 money/h"),
    "operations": _YEARLY,
    **dict.fromkeys(("drain", "reboot", "test", "hands_on", "qualification", "rebase"), _TIME),
    "reboots_per_year": _kind("4", 0, 10_000),
    "releases_per_year": _kind("9", 0, 10_000),
    "cloud.price": _kind("0.85 money/Mtok", 1e-12),
    "rented": _kind("6.20 money/h", 1e-12),
    "price": _kind(_MONEY),
    "gpu_price": _kind(_MONEY),
    "life": _kind("5 years", 0.1, 100),
    "residual": _SHARE,
    **dict.fromkeys(("idle", "loaded", "gpu_idle", "gpu_loaded"), _kind("420 W")),
    **dict.fromkeys(("rack", "network", "software"), _YEARLY),
    "throughput": _kind("7200 tokens/s", 1e-6),
}


def load(path: File) -> Fleet:
    """The fleet in that TOML file.

    Raises:
        UsageError: unreadable, not TOML, an unknown or missing key, a wrong unit or range.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "cannot read the fleet",
            where=str(path),
            cause=str(error),
            next_step="give a readable TOML file; examples/fleet.toml is one to start from",
        ) from error
    return read(text, str(path))


def read(text: str, file: str) -> Fleet:
    """The fleet that this text describes; raises what `load` does."""
    top = parse_toml(text, file, "fleet")
    top.only("name", "currency", "discount", "measured_energy", "accounting", "energy", "traffic",
             "staff", "rollout", "patched", "cloud", "pool")  # fmt: skip
    currency = top.text("currency")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise top.error(
            f"currency = {currency!r} is no currency code", "currency", 'write currency = "EUR"'
        )
    reader = _Reader(currency)
    pools = top.tables("pool")
    if not pools:
        raise top.error("there are no servers", "pool", "add [[pool]] with its servers")
    fleet = Fleet(
        name=top.text("name") if top.has("name") else file,
        currency=currency,
        discount=reader.need(top, "discount"),
        energy=reader.energy(top.table("energy")),
        traffic=reader.traffic(top.table("traffic")),
        pool=tuple(reader.pool(table) for table in pools),
        staff=reader.staff(top.table("staff")) if top.has("staff") else None,
        rollout=reader.rollout(top.table("rollout")) if top.has("rollout") else None,
        patched=reader.patched(top.table("patched")) if top.has("patched") else None,
        cloud=reader.cloud(top.table("cloud")) if top.has("cloud") else None,
        measured_energy=top.flag("measured_energy") if top.has("measured_energy") else False,
        accounting=top.choice("accounting", (MARGINAL, LOADED))
        if top.has("accounting")
        else MARGINAL,
        ranges=reader.ranges,
        source=file,
    )
    _check(fleet, top, pools)
    return fleet


def _check(fleet: Fleet, top: Table, pools: tuple[Table, ...]) -> None:
    """What no key alone shows to be wrong."""
    names = [pool.name for pool in fleet.pool]
    for table, pool in zip(pools, fleet.pool, strict=True):
        if names.count(pool.name) > 1:
            raise table.error(f"two pools are called {pool.name!r}", "name", "name them apart")
        if pool.loaded_of_one.value < pool.idle_of_one.value:
            raise table.error("loaded is less than idle", "loaded", "swap the two, or mend one")
        if pool.utilisation is not None and fleet.traffic.demand is not None:
            raise table.error(
                "utilisation of a pool and demand of the fleet exclude each other", "utilisation",
                "leave one out",
            )  # fmt: skip
        if pool.gpus == 0 and any(table.has(k) for k in ("gpu_price", "gpu_idle", "gpu_loaded")):
            raise table.error("GPU keys without GPUs", "gpus", "write gpus = 4, or leave them out")
    if fleet.staff is None:
        for key in ("rollout", "patched"):
            if top.has(key):
                raise top.error(
                    f"[{key}] needs what an hour of staff costs", key,
                    f'add [staff] with rate = "85 {fleet.currency}/h"',
                )  # fmt: skip


@dataclass(slots=True)
class _Reader:
    """Reads quantities, and remembers the ranges that were given."""

    currency: str
    ranges: dict[Path, tuple[Quantity, Quantity]] = field(default_factory=dict)

    def need(self, table: Table, key: str, kind: str = "") -> Quantity:
        """A quantity that must be there: `"0.21 EUR/kWh"`, a plain number, or three of them."""
        if not table.has(key):
            example = _KINDS[kind or key].example.replace("money", self.currency)
            fix = f'{key} = "{example}"' if " " in example else f"{key} = {example}"
            raise table.error(f"{key!r} is missing", key, f"add {fix}")
        value = table.value(key)
        if not isinstance(value, list):
            return self._one(table, key, value, kind)
        items = [self._one(table, key, item, kind) for item in value]
        if len(items) != 3 or not items[0].value <= items[1].value <= items[2].value:
            raise table.error(
                f"{key!r} must be [low, likely, high]", key, "write three values in rising order"
            )
        self.ranges[(*table.path, key)] = (items[0], items[2])
        return items[1]

    def maybe(self, table: Table, key: str, kind: str = "") -> Quantity | None:
        """The same where the key may be left out."""
        return self.need(table, key, kind) if table.has(key) else None

    def _one(self, table: Table, key: str, value: object, kind: str) -> Quantity:
        wanted = _KINDS[kind or key]
        example = wanted.example.replace("money", self.currency)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain and not isinstance(value, str):
            raise table.error(f"{key!r} must be a quantity", key, f'write {key} = "{example}"')
        try:
            found = parse(str(value), self.currency)
        except UnitError as error:
            raise table.error(str(error), key, f'write {key} = "{example}"') from None
        dims = quantity(1, wanted.unit).dims
        if found.dims != dims:
            what = f"{value!r} has no unit" if plain else f"{value!r} is {named(found.dims)}"
            fix = f'{key} = "{example}"' if wanted.unit else f"{key} = {example}"
            raise table.error(f"{what}, and {key} is {named(dims)}", key, f"write {fix}")
        size = found.to(wanted.unit)
        if not wanted.low <= size <= wanted.high:
            unit = f" {wanted.unit}".replace("money", self.currency).rstrip()
            top = f"{wanted.high:g}" if wanted.high < 1e12 else inf
            raise table.error(
                f"{key} = {value!r} is out of range", key, f"use {wanted.low:g} to {top}{unit}"
            )
        return found

    def energy(self, table: Table) -> Energy:
        table.only("tariff", "pue")
        return Energy(self.need(table, "tariff"), self.need(table, "pue"))

    def traffic(self, table: Table) -> Traffic:
        table.only("utilisation", "demand", "growth", "slo")
        if table.has("utilisation") == table.has("demand"):
            both = "exclude each other" if table.has("demand") else "are both missing"
            raise table.error(
                f"utilisation and demand {both}", "utilisation",
                'give one: utilisation = "45 %" or demand = "900 Mtok/day"',
            )  # fmt: skip
        return Traffic(
            utilisation=self.maybe(table, "utilisation"),
            demand=self.maybe(table, "demand"),
            growth=self.maybe(table, "growth"),
            slo=table.text("slo") if table.has("slo") else "",
        )

    def staff(self, table: Table) -> Staff:
        table.only("rate", "operations")
        return Staff(self.need(table, "rate"), self.maybe(table, "operations"))

    def rollout(self, table: Table) -> Rollout:
        times = ("drain", "reboot", "test", "hands_on", "qualification")
        table.only(*times, "reboots_per_year")
        drain, reboot, test, hands_on, qualification = (self.need(table, key) for key in times)
        return Rollout(
            drain, reboot, test, hands_on, qualification, self.maybe(table, "reboots_per_year")
        )

    def patched(self, table: Table) -> Patched:
        table.only("rebase", "releases_per_year", "arms")
        return Patched(
            rebase=self.need(table, "rebase"),
            releases_per_year=self.need(table, "releases_per_year"),
            arms=table.texts("arms") if table.has("arms") else (),
        )

    def cloud(self, table: Table) -> Cloud:
        table.only("price", "rented")
        if not table.values:
            raise table.error("[cloud] is empty", "price", "give price or rented, or leave it out")
        return Cloud(self.maybe(table, "price", "cloud.price"), self.maybe(table, "rented"))

    def pool(self, table: Table) -> Pool:
        table.only(*Pool.__dataclass_fields__)
        zero_money, zero_watts = quantity(0, "money"), quantity(0, "W")
        gpus = table.integer("gpus", 0, 1024) if table.has("gpus") else 0
        of_run = table.has("throughput") and table.value("throughput") == FROM_RUN
        with_gpus = gpus > 0
        return Pool(
            name=table.text("name"),
            servers=table.integer("servers", 1, 1_000_000),
            gpus=gpus,
            price=self.need(table, "price"),
            gpu_price=self.need(table, "gpu_price") if with_gpus else zero_money,
            life=self.need(table, "life"),
            residual=self.maybe(table, "residual") or Quantity(0.0, NUMBER),
            idle=self.need(table, "idle"),
            loaded=self.need(table, "loaded"),
            gpu_idle=self.need(table, "gpu_idle") if with_gpus else zero_watts,
            gpu_loaded=self.need(table, "gpu_loaded") if with_gpus else zero_watts,
            rack=self.maybe(table, "rack"),
            network=self.maybe(table, "network"),
            software=self.maybe(table, "software"),
            throughput=None if of_run else self.need(table, "throughput"),
            utilisation=self.maybe(table, "utilisation"),
            rollout=table.flag("rollout") if table.has("rollout") else True,
        )
