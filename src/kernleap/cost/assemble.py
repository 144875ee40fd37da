"""The whole answer of `kernleap cost`: the fleet's year, and each kernel's place in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernleap.cost.bill import MTOK, Line, Year, fixed_lines, year_of
from kernleap.cost.ceiling import Ceiling
from kernleap.cost.change import CONFIDENCE, DRAWS, Change, Outcome, change_of, gain_that_pays
from kernleap.cost.effect import Evidence
from kernleap.cost.effort import (
    is_patched,
    owning_pays_from,
    rented_per_mtok,
    rollout_cost,
    rollout_hours,
    upkeep_per_year,
)
from kernleap.cost.fleet import LOADED, MARGINAL, Fleet
from kernleap.cost.ratio import CERTAIN, Figure, Ratio, figure, normals
from kernleap.cost.sensitivity import VARY, Swing, of_bill, of_difference
from kernleap.model.units import quantity


@dataclass(frozen=True, slots=True)
class Today:
    """A year of the fleet with the baseline. Money in its currency, energy at the meter.

    `busy` is the highest utilisation of a pool. `rated` says that the throughput is that of the
    run, with its interval; else it is the fleet file's.
    """

    lines: tuple[Line, ...]
    per_year: float
    energy_kwh: float
    tokens: float
    busy: float
    per_mtok: Figure
    joules_per_token: Figure
    rated: bool


@dataclass(frozen=True, slots=True)
class Effort:
    """What a kernel asks for. None where the fleet file does not say.

    `gain_marginal` and `gain_loaded` are the ratios of throughput from which on a rollout pays
    within a year, by accounting; `_patched` with the upkeep of patches.
    """

    rollout_hours: float | None
    rollout_cost: float | None
    upkeep_per_year: float | None
    gain_marginal: float | None
    gain_loaded: float | None
    gain_marginal_patched: float | None
    gain_loaded_patched: float | None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The same tokens from others, in money for a million. None where no price was given.

    `owning_from` is the utilisation from which on owning is cheaper than the API.
    """

    api_per_mtok: float | None
    rented_per_mtok: float | None
    owning_from: float | None
    tokens_per_day_from: float | None


@dataclass(frozen=True, slots=True)
class AtMost:
    """What the ceiling allows to say of an arm that was not timed: a bound, not an estimate."""

    share: float
    per_mtok: float
    per_year: float
    what: str
    source: str


@dataclass(frozen=True, slots=True)
class ArmCost:
    """One candidate: what is known, and what that is worth.

    `change` is None without a timed effect; `at_most` then is a bound where one was given.
    """

    arm: str
    patched: bool
    evidence: Evidence
    change: Change | None
    at_most: AtMost | None
    swings_marginal: tuple[Swing, ...] = ()
    swings_loaded: tuple[Swing, ...] = ()

    def outcome(self, accounting: str) -> Outcome | None:
        """The outcome in that accounting, if there is one."""
        if self.change is None:
            return None
        return self.change.marginal if accounting == MARGINAL else self.change.fully_loaded


@dataclass(frozen=True, slots=True)
class CostResult:
    """All that is printed, in one piece."""

    fleet: Fleet
    run: str
    baseline: str
    today: Today
    effort: Effort
    elsewhere: Elsewhere
    arms: tuple[ArmCost, ...]
    swings: tuple[Swing, ...]
    vary: float
    seed: int

    def pays_back(self) -> dict[str, tuple[float, float, float]]:
        """(low, middle, high) days until a rollout has paid, by arm, in the fleet's accounting.

        Only of arms that have a price; infinite where it never pays.
        """
        found = {}
        for arm in self.arms:
            outcome = arm.outcome(self.fleet.accounting)
            if outcome and (days := outcome.payback_days):
                found[arm.arm] = (days.low, days.value, days.high)
        return found


def cost(
    fleet: Fleet,
    evidence: tuple[Evidence, ...] = (),
    *,
    run: str = "",
    baseline: str = "",
    ceiling: Ceiling | None = None,
    vary: float = VARY,
    seed: int = 1,
) -> CostResult:
    """Everything that can be said of a fleet, and of the kernels of a run on it.

    Args:
        fleet: the fleet.
        evidence: what the run says of each candidate; empty for a fleet alone.
        run, baseline: names, for the reader.
        ceiling: a bound of the user's workload, for arms that were not timed.
        vary: how far inputs without a range of their own are moved, relative.
        seed: of the draws.

    Raises:
        UsageError: the fleet cannot serve its traffic, or takes a throughput from a run that
            has none.
    """
    rate = next((one.rate for one in evidence if one.rate), None)
    measured = rate[0] if rate else None
    year = year_of(fleet, measured)
    today = _today(fleet, year, rate if any(p.throughput is None for p in fleet.pool) else None,
                   seed)  # fmt: skip
    at_most = _at_most(ceiling, today)
    return CostResult(
        fleet=fleet,
        run=run,
        baseline=baseline,
        today=today,
        effort=_effort(fleet, year),
        elsewhere=_elsewhere(fleet, year),
        arms=tuple(
            _arm(fleet, year, one, measured, at_most=at_most, vary=vary, seed=seed)
            for one in evidence
        ),
        swings=of_bill(fleet, measured, vary),
        vary=vary,
        seed=seed,
    )


def _today(fleet: Fleet, year: Year, rate: tuple[float, Ratio] | None, seed: int) -> Today:
    one = np.ones(1)
    bill = year.bill(one)
    ratio = rate[1] if rate else CERTAIN
    drawn = year.bill(ratio.at(normals(DRAWS, 1, seed)[0]))
    energy = Line("energy", quantity(float(bill.energy[0]), "J/year") * fleet.energy.tariff)
    return Today(
        lines=(*fixed_lines(fleet), energy),
        per_year=float(bill.money[0]),
        energy_kwh=float(bill.energy[0]) / 3.6e6,
        tokens=float(bill.tokens[0]),
        busy=float(bill.busiest[0]),
        per_mtok=figure(float(bill.per_token[0]) * MTOK, drawn.per_token * MTOK, CONFIDENCE),
        joules_per_token=figure(
            float(bill.joules_per_token[0]), drawn.joules_per_token, CONFIDENCE
        ),
        rated=rate is not None,
    )


def _effort(fleet: Fleet, year: Year) -> Effort:
    upkeep = upkeep_per_year(fleet)

    def pays(accounting: str, patched: bool) -> float | None:
        if patched and upkeep is None:
            return None
        return gain_that_pays(fleet, year, accounting, patched=patched)

    return Effort(
        rollout_hours=rollout_hours(fleet),
        rollout_cost=rollout_cost(fleet, year),
        upkeep_per_year=upkeep,
        gain_marginal=pays(MARGINAL, False),
        gain_loaded=pays(LOADED, False),
        gain_marginal_patched=pays(MARGINAL, True),
        gain_loaded_patched=pays(LOADED, True),
    )


def _elsewhere(fleet: Fleet, year: Year) -> Elsewhere:
    cloud = fleet.cloud
    api = cloud.price.to("money/Mtok") if cloud and cloud.price else None
    owning = owning_pays_from(fleet, year)
    share, tokens = owning or (None, None)
    return Elsewhere(
        api, rented_per_mtok(fleet, year), share, None if tokens is None else tokens / 365
    )


def _arm(
    fleet: Fleet,
    year: Year,
    evidence: Evidence,
    measured: float | None,
    *,
    at_most: AtMost | None,
    vary: float,
    seed: int,
) -> ArmCost:
    patched = is_patched(fleet, evidence.arm)
    if evidence.throughput is None:
        return ArmCost(evidence.arm, patched, evidence, None, at_most)
    change = change_of(fleet, year, evidence, seed)
    return ArmCost(
        evidence.arm,
        patched,
        evidence,
        change,
        None,
        of_difference(fleet, measured, change, MARGINAL, vary),
        of_difference(fleet, measured, change, LOADED, vary),
    )


def _at_most(ceiling: Ceiling | None, today: Today) -> AtMost | None:
    """Fully loaded, tokens cost as their time does: at most that share of them can be saved."""
    if ceiling is None or not ceiling.says_something:
        return None
    return AtMost(
        ceiling.most,
        ceiling.most * today.per_mtok.high,
        ceiling.most * today.per_year,
        ceiling.what,
        ceiling.source,
    )
