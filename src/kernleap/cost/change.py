"""One kernel against the baseline, in money: yearly difference, pay-back, what it must gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernleap.cost.bill import MTOK, Bill, Year
from kernleap.cost.effect import Evidence
from kernleap.cost.effort import is_patched, rollout_cost, upkeep_per_year
from kernleap.cost.fleet import LOADED, MARGINAL, Fleet
from kernleap.cost.ratio import CERTAIN, Array, Figure, Ratio, figure, normals

CONFIDENCE = 0.95
DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """A kernel's year in one accounting. Money in the fleet's currency.

    Attributes:
        accounting: `marginal` or `fully loaded`.
        per_mtok: money for a million tokens, upkeep of a patched kernel included.
        joules_per_token: at the meter, idling included.
        per_year: candidate - baseline, for the baseline's tokens; below 0 is a saving.
        payback_days: until the rollout is paid for; infinite where it never is; None without
            a rollout in the fleet file.
        pays_back: share of the distribution in which it ever is.
    """

    accounting: str
    per_mtok: Figure
    joules_per_token: Figure
    per_year: Figure
    payback_days: Figure | None
    pays_back: float | None


@dataclass(frozen=True, slots=True)
class Deferral:
    """How much later growth fills the fleet, and what a year's purchases are worth that much later.

    `days` and `value` (once, in the currency); below 0 it is earlier.
    """

    days: Figure
    value: Figure


@dataclass(frozen=True, slots=True)
class Change:
    """What the measured effect of one arm is worth.

    Attributes:
        throughput, energy: the effects used; energy None: derived from unchanged watts.
        patched: whether upkeep of patches is in it.
        overload: share of the distribution in which the fleet could not serve its traffic.
    """

    throughput: Ratio
    energy: Ratio | None
    patched: bool
    marginal: Outcome
    fully_loaded: Outcome
    deferral: Deferral | None
    overload: float


def change_of(fleet: Fleet, year: Year, evidence: Evidence, seed: int) -> Change:
    """What a timed effect is worth on this fleet; `evidence.throughput` must be there."""
    assert evidence.throughput is not None
    faster = evidence.throughput.ratio
    used = evidence.energy.ratio if evidence.energy and fleet.measured_energy else None
    joules = used if used is not None and used.known else None
    rate = evidence.rate[1] if evidence.rate and _rate_from_run(fleet) else CERTAIN
    patched = is_patched(fleet, evidence.arm)
    return priced(fleet, year, faster, joules, rate, patched=patched, seed=seed)


def _rate_from_run(fleet: Fleet) -> bool:
    return any(pool.throughput is None for pool in fleet.pool)


def priced(
    fleet: Fleet,
    year: Year,
    faster: Ratio,
    joules: Ratio | None = None,
    rate: Ratio = CERTAIN,
    *,
    patched: bool = False,
    seed: int = 1,
) -> Change:
    """Carry an effect through the bill, as a point and as a seeded distribution.

    Effects on throughput and energy are drawn independently of each other.
    """
    normal = normals(DRAWS, 3, seed)
    drawn = _Case(
        year,
        speed=rate.at(normal[1]),
        faster=faster.at(normal[0]),
        joules=None if joules is None else joules.at(normal[2]),
    )
    one = np.ones(1)
    point = _Case(
        year,
        speed=one * rate.value,
        faster=one * faster.value,
        joules=None if joules is None else one * joules.value,
    )
    upkeep = (upkeep_per_year(fleet) or 0.0) if patched else 0.0
    cost = rollout_cost(fleet, year)
    marginal = _outcome(MARGINAL, point, drawn, upkeep, cost)
    return Change(
        throughput=faster,
        energy=joules,
        patched=patched,
        marginal=marginal,
        fully_loaded=_outcome(LOADED, point, drawn, upkeep, cost),
        deferral=_deferral(fleet, point.faster, drawn.faster),
        overload=float((drawn.bill(MARGINAL).busiest > 1).mean()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """Draws of all that is uncertain (or one point), shape (draws,)."""

    year: Year
    speed: Array
    faster: Array
    joules: Array | None

    def baseline(self) -> Bill:
        return self.year.bill(self.speed)

    def bill(self, accounting: str) -> Bill:
        joules = 1 / self.faster if self.joules is None else self.joules
        how = self.year.marginal if accounting == MARGINAL else self.year.fully_loaded
        return how(self.speed, self.faster, joules)


def _outcome(
    accounting: str, point: _Case, drawn: _Case, upkeep: float, cost: float | None
) -> Outcome:
    def of(case: _Case) -> tuple[Array, Array, Array, Array]:
        before, after = case.baseline(), case.bill(accounting)
        money = after.money + upkeep
        difference = money - before.money
        return (
            money / after.tokens * MTOK,
            after.joules_per_token,
            difference,
            _payback(difference, cost or 0.0),
        )

    here, there = of(point), of(drawn)
    per_mtok, joules, per_year, payback = (
        figure(float(value[0]), draws, CONFIDENCE) for value, draws in zip(here, there, strict=True)
    )
    return Outcome(
        accounting,
        per_mtok,
        joules,
        per_year,
        None if cost is None else payback,
        None if cost is None else float(np.isfinite(there[3]).mean()),
    )


def difference(
    fleet: Fleet,
    year: Year,
    faster: float,
    accounting: str,
    joules: float | None = None,
    *,
    patched: bool = False,
) -> float:
    """Money a year, candidate - baseline, if the effect were exactly that."""
    one = np.ones(1)
    case = _Case(year, one, one * faster, None if joules is None else one * joules)
    upkeep = (upkeep_per_year(fleet) or 0.0) if patched else 0.0
    return float((case.bill(accounting).money - case.baseline().money)[0]) + upkeep


def _payback(change: Array, cost: float) -> Array:
    """Days until the cost is saved; infinite where nothing is saved."""
    days = np.full_like(change, np.inf)
    saves = change < 0
    days[saves] = 365 * cost / -change[saves]
    return days


def _deferral(fleet: Fleet, point: Array, drawn: Array) -> Deferral | None:
    """Growth g fills a factor r of capacity in ln r / ln(1 + g) years.

    The purchases of a year, g of the fleet's price where the kernel is booted, are then worth
    1 - (1 + i)^-years of their price.
    """
    if fleet.traffic.growth is None:
        return None
    growth, rate = fleet.traffic.growth.to(""), fleet.discount.to("")
    price = sum((p.price_of_one.to("money") * p.servers for p in fleet.pool if p.rollout), 0.0)
    days = figure(float(_years(point, growth)[0]) * 365, _years(drawn, growth) * 365, CONFIDENCE)

    def worth(ratio: Array) -> Array:
        value: Array = price * growth * (1 - (1 + rate) ** -_years(ratio, growth))
        return value

    return Deferral(days, figure(float(worth(point)[0]), worth(drawn), CONFIDENCE))


def _years(ratio: Array, growth: float) -> Array:
    years: Array = np.log(ratio) / np.log1p(growth)
    return years


def gain_that_pays(
    fleet: Fleet, year: Year, accounting: str, *, patched: bool, days: float = 365.0
) -> float | None:
    """The least gain of throughput, as a ratio, that pays for itself in that time.

    Rollout and (where patched) upkeep against the saving; found by bisection, as pools that the
    kernel does not reach leave no closed form. None if no rollout is described, infinite if even
    a factor of 1000 would not.
    """
    cost = rollout_cost(fleet, year)
    if cost is None:
        return None
    needed = cost * 365 / days

    def saved(ratio: float) -> float:
        return -difference(fleet, year, ratio, accounting, patched=patched)

    low, high = 1.0, 1000.0
    if saved(high) < needed:
        return float("inf")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if saved(middle) >= needed else (middle, high)
    return high
