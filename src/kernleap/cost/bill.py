"""The bill of a fleet for a year, and how a kernel that serves faster or slower changes it.

Two accountings, never mixed (docs/cost.md has the formulas and why):

- *marginal*: the servers are bought and the traffic is what it is. A faster kernel makes them
  busy for less of the time, so only energy changes.
- *fully loaded*: capacity is what is bought. Every cost of a pool is shared out over the tokens
  that it could serve at the same utilisation; it comes true only as far as the capacity gained
  is filled by more traffic, or replaces servers that would have been bought.

All values are in base units: currency, joules, seconds, tokens, for one year.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernleap.cost.fleet import Fleet, Pool
from kernleap.cost.ratio import Array
from kernleap.model.errors import UsageError
from kernleap.model.units import Quantity, quantity

YEAR = quantity(1, "year")
MTOK = 1e6
"""Tokens of a million."""
_NO_MONEY = quantity(0, "money/year")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the yearly bill."""

    name: str
    per_year: Quantity


@dataclass(frozen=True, slots=True)
class Bill:
    """A year of the fleet, for one or for many draws (arrays of shape (draws,)).

    `money`, in the currency, and `energy`, in J at the meter, are those of `tokens`. `busiest`
    is the highest utilisation of a pool: beyond 1 it cannot serve the traffic.
    """

    money: Array
    energy: Array
    tokens: Array
    busiest: Array

    @property
    def per_token(self) -> Array:
        """Money for a token."""
        return self.money / self.tokens

    @property
    def joules_per_token(self) -> Array:
        """Energy at the meter for a token, that of idling included."""
        return self.energy / self.tokens


def recovery_factor(rate: float, years: float) -> float:
    """Capital recovery factor: the constant yearly payment for a present value of 1.

    i / (1 - (1 + i)^-n); 1 / n without interest.
    """
    if rate == 0:
        return 1 / years
    return rate / float(-np.expm1(-years * np.log1p(rate)))


def capital_per_year(pool: Pool, discount: Quantity) -> Quantity:
    """What owning the servers of a pool costs a year.

    servers * price * (1 - residual * (1 + i)^-n) * recovery_factor(i, n): the residual value
    comes back at the end of life, so its present value is not paid for.
    """
    rate, years = discount.to(""), pool.life.to("year")
    kept = 1 - pool.residual.to("") * float((1 + rate) ** -years)
    return pool.price_of_one * pool.servers * (kept * recovery_factor(rate, years)) / YEAR


def fixed_lines(fleet: Fleet) -> tuple[Line, ...]:
    """All of a year's bill but the energy, whatever is served."""
    by_pool = [_fixed(fleet, pool) for pool in fleet.pool]
    names = dict.fromkeys(name for one in by_pool for name in one)
    return tuple(
        Line(name, sum((one.get(name, _NO_MONEY) for one in by_pool), _NO_MONEY)) for name in names
    )


def _fixed(fleet: Fleet, pool: Pool) -> dict[str, Quantity]:
    """A pool's lines; what is of the whole fleet is shared out by servers."""
    lines = {"servers": capital_per_year(pool, fleet.discount)}
    for key in ("rack", "network", "software"):
        if (each := getattr(pool, key)) is not None:
            lines[key] = each * pool.servers
    if fleet.staff and fleet.staff.operations:
        lines["operations staff"] = fleet.staff.operations * (pool.servers / fleet.servers)
    rollout = fleet.rollout
    if rollout and fleet.staff and rollout.reboots_per_year is not None:
        hours = rollout.hands_on * pool.servers * rollout.reboots_per_year.to("")
        lines["routine reboots, staff"] = hours * fleet.staff.rate / YEAR
    return lines


@dataclass(frozen=True, slots=True, eq=False)
class Year:
    """The fleet's year as coefficients, pool by pool (arrays of shape (pools, 1)).

    `idle` and `loaded` are J at the meter of a year of doing only that; `capacity` tokens of a
    year of being loaded; `reached` 1 where the kernel is booted, else 0.
    """

    fixed: Array
    """Money of a year that does not depend on what is served."""
    tariff: float
    idle: Array
    loaded: Array
    capacity: Array
    reached: NDArray[np.bool_]
    own_utilisation: Array
    """NaN where a pool follows the fleet."""
    demand: float | None
    """Tokens of a year, where the fleet gives those."""

    def utilisation(self, speed: Array) -> Array:
        """Share of the time that each pool is loaded, shape (pools, draws).

        Args:
            speed: factor on the throughput of all pools, shape (draws,).
        """
        if self.demand is None:
            return np.broadcast_to(self.own_utilisation, (self.capacity.size, speed.size))
        share = self.demand / (self.capacity.sum() * speed)
        return np.broadcast_to(share, (self.capacity.size, speed.size))

    def bill(self, speed: Array) -> Bill:
        """The bill of the baseline."""
        busy = self.utilisation(speed)
        energy = (self.idle * (1 - busy) + self.loaded * busy).sum(axis=0)
        tokens = (self.capacity * speed * busy).sum(axis=0)
        money = self.fixed.sum() + self.tariff * energy
        return Bill(money, energy, tokens, busy.max(axis=0))

    def marginal(self, speed: Array, faster: Array, joules: Array) -> Bill:
        """The bill where servers and traffic stay as they are, pool by pool.

        Args:
            speed: as for `bill`.
            faster: throughput, candidate / baseline.
            joules: energy of a token under load, candidate / baseline; 1 / faster where loaded
                servers draw what they drew.
        """
        busy = self.utilisation(speed)
        r, e = self._reaching(faster), self._reaching(joules)
        energy = (self.idle * (1 - busy / r) + self.loaded * busy * e).sum(axis=0)
        tokens = (self.capacity * speed * busy).sum(axis=0)
        money = self.fixed.sum() + self.tariff * energy
        return Bill(money, energy, tokens, (busy / r).max(axis=0))

    def fully_loaded(self, speed: Array, faster: Array, joules: Array) -> Bill:
        """The bill at the same utilisation, for the baseline's tokens; arguments as above."""
        busy = self.utilisation(speed)
        r, e = self._reaching(faster), self._reaching(joules)
        energy = (self.idle * (1 - busy) + self.loaded * busy * r * e) / r
        money = (self.fixed / r + self.tariff * energy).sum(axis=0)
        tokens = (self.capacity * speed * busy).sum(axis=0)
        return Bill(money, energy.sum(axis=0), tokens, busy.max(axis=0))

    def _reaching(self, ratio: Array) -> Array:
        return np.where(self.reached, ratio, 1.0)


def year_of(fleet: Fleet, measured: float | None = None) -> Year:
    """The coefficients of a fleet.

    Args:
        fleet: the fleet.
        measured: tokens/s of a server, for pools whose throughput is that of the run.

    Raises:
        UsageError: a pool asks for the run's throughput and there is none, or the fleet cannot
            serve its traffic.
    """
    pools = fleet.pool
    if measured is None and any(pool.throughput is None for pool in pools):
        raise UsageError(
            "fleet: a pool takes its throughput from the run, and no tokens/s were measured",
            where=fleet.source,
            next_step='give a run with timed tokens/s, or write throughput = "7200 tokens/s"',
        )
    of_all = fleet.traffic.utilisation
    demand = fleet.traffic.demand
    year = Year(
        fixed=_column(sum(_fixed(fleet, p).values(), _NO_MONEY).to("money/year") for p in pools),
        tariff=fleet.energy.tariff.to("money/J"),
        idle=_column(_at_meter(fleet, p, p.idle_of_one) for p in pools),
        loaded=_column(_at_meter(fleet, p, p.loaded_of_one) for p in pools),
        capacity=_column((_throughput(p, measured) * p.servers * YEAR).to("token") for p in pools),
        reached=_column(float(p.rollout) for p in pools) > 0,
        own_utilisation=_column(
            (own.to("") if (own := p.utilisation or of_all) is not None else np.nan) for p in pools
        ),
        demand=None if demand is None else (demand * YEAR).to("token"),
    )
    busy = float(year.utilisation(np.ones(1)).max())
    if busy > 1:
        raise UsageError(
            f"fleet: it cannot serve its traffic: that needs {busy:.2f} times its throughput",
            where=f"{fleet.source}, key traffic.demand",
            next_step="give less demand, more servers, or a higher throughput",
        )
    return year


def _column(values: Iterable[float]) -> Array:
    return np.array(list(values), dtype=np.float64)[:, np.newaxis]


def _at_meter(fleet: Fleet, pool: Pool, watts: Quantity) -> float:
    return (watts * pool.servers * fleet.energy.pue.to("") * YEAR).to("J")


def _throughput(pool: Pool, measured: float | None) -> Quantity:
    if pool.throughput is not None:
        return pool.throughput
    return quantity(measured or 0.0, "tokens/s")
