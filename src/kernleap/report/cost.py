"""The cost of a fleet and of kernels on it, as sections of a report."""

from __future__ import annotations

from kernleap.cost.assemble import ArmCost, CostResult
from kernleap.cost.change import Outcome
from kernleap.report.cost_inputs import sensitivity
from kernleap.report.money import amount, change, payback, with_interval
from kernleap.report.section import Column, Row, SectionView, TableView
from kernleap.report.text import clean, percent, plural

_UNREALISTIC = 2.0
ACCOUNTINGS = {
    "marginal": "servers and traffic stay; only energy changes",
    "fully loaded": "the capacity gained is filled by traffic, or replaces servers",
}


def sections(result: CostResult) -> tuple[SectionView, ...]:
    """What `kernleap cost` shows, in reading order."""
    parts: list[SectionView | None] = [_today(result)]
    if result.arms:
        parts.append(_kernels(result))
    parts += [_effort(result), _elsewhere(result), sensitivity(result)]
    return tuple(part for part in parts if part is not None)


def headline(result: CostResult) -> str:
    """One line: which fleet, and which run."""
    name = clean(result.fleet.name)
    return f"{name}, run {clean(result.run)}" if result.run else name


def _today(result: CostResult) -> SectionView:
    fleet, today, money = result.fleet, result.today, result.fleet.currency
    rows = [
        Row((clean(line.name), amount(value), f"{value / today.per_year:.1%}"))
        for line in today.lines
        if (value := line.per_year.to("money/year"))
    ]
    rows.append(Row(("all", amount(today.per_year), "100.0%"), "strong"))
    of_rate = "throughput measured in the run" if today.rated else "throughput as the file gives it"
    left_out = fleet.left_out
    return SectionView(
        id="bill",
        title=f"A year of {clean(fleet.name)}: {plural(fleet.servers, 'server')}",
        lead=(
            f"A million tokens cost {with_interval(today.per_mtok)} {money}, fully loaded "
            f"({of_rate}).",
            f"{amount(today.tokens / 1e6)} Mtok a year, pools up to {today.busy:.0%} busy; "
            f"{amount(today.energy_kwh)} kWh at the meter, "
            f"{with_interval(today.joules_per_token)} J a token "
            "(derived from the file's watts and PUE, idling included).",
        ),
        tables=(
            TableView(
                "Where the money goes",
                (Column("cost"), Column(f"{money} a year", True), Column("share", True)),
                tuple(rows),
                f"Not counted, as the file says nothing: {', '.join(left_out)}."
                if left_out
                else "",
            ),
        ),
        notes=(f"The throughput holds at: {clean(fleet.traffic.slo)}",)
        if fleet.traffic.slo
        else (),
    )


def _kernels(result: CostResult) -> SectionView:
    money = result.fleet.currency
    rows = [row for arm in result.arms if arm.change for row in _priced(arm, arm.change.patched)]
    tables = []
    if rows:
        tables.append(
            TableView(
                f"Against {clean(result.baseline)}, with 95 % intervals",
                (
                    Column("kernel"), Column("accounting"), Column(f"{money}/Mtok", True),
                    Column("J/token, derived", True), Column(f"{money} a year", True),
                    Column("rollout pays back", True),
                ),
                tuple(rows),
                "Below 0 a year is a saving. "
                + "; ".join(f"{name}: {what}" for name, what in ACCOUNTINGS.items())
                + ". The two are alternatives, never added.",
            )
        )  # fmt: skip
    if measured := _measured_energy(result):
        tables.append(measured)
    return SectionView(
        id="kernels",
        title="What each kernel is worth",
        lead=tuple(sentence(result, arm) for arm in result.arms),
        tables=tuple(tables),
        notes=_notes(result),
    )


def _priced(arm: ArmCost, patched: bool) -> list[Row]:
    assert arm.change is not None
    name = clean(arm.arm, 60) + (" (patched: with upkeep)" if patched else "")
    return [
        _outcome(name, arm.change.marginal),
        _outcome(name, arm.change.fully_loaded),
    ]


def _outcome(name: str, one: Outcome) -> Row:
    back = "no [rollout] given" if one.payback_days is None else payback(one.payback_days)
    tone = "good" if one.per_year.high < 0 else "bad" if one.per_year.low > 0 else ""
    cells = (
        name, one.accounting, with_interval(one.per_mtok), with_interval(one.joules_per_token),
        with_interval(one.per_year, signed=True), back,
    )  # fmt: skip
    return Row(cells, tone)


def sentence(result: CostResult, arm: ArmCost) -> str:
    """What a kernel is worth, or why that is not known, in words."""
    name, known = clean(arm.arm, 80), arm.evidence
    if arm.change and known.throughput:
        chance = arm.change.fully_loaded.pays_back
        often = "" if chance is None else f", and a rollout ever pays back with {chance:.0%}"
        ratio = known.throughput.ratio
        settled = "" if ratio.high < 1 or ratio.low > 1 else "NOT SETTLED, may help or harm: "
        return (
            f"{name}: {settled}{change(ratio)} {clean(known.throughput.name)} [timed]; "
            f"a year costs {with_interval(arm.change.marginal.per_year, signed=True)} to "
            f"{with_interval(arm.change.fully_loaded.per_year, signed=True)} "
            f"{result.fleet.currency}, marginal to fully loaded{often} (fully loaded)."
        )
    told = [f"{name}: no measured effect, so no price: {known.missing}."]
    for effect, grade in ((known.counted, "counted"), (known.kernel_time, "timed")):
        if effect:
            told.append(f"{clean(effect.name)} moved by {change(effect.ratio)} [{grade}].")
    if arm.at_most:
        bound = arm.at_most
        told.append(
            f"A BOUND, NOT AN ESTIMATE: no kernel can save more than {bound.share:.3g} of a "
            f"token's time on this workload ({clean(bound.what)}), so at most "
            f"{bound.share * 100:.3g} % of the bill: {amount(bound.per_mtok)} "
            f"{result.fleet.currency}/Mtok, {amount(bound.per_year)} a year, fully loaded."
        )
    return " ".join(told)


def _measured_energy(result: CostResult) -> TableView | None:
    rows = [
        Row((clean(arm.arm, 60), amount(one[0]), amount(one[1]), change(energy.ratio)))
        for arm in result.arms
        if (one := arm.evidence.joules) and (energy := arm.evidence.energy)
    ]
    if not rows:
        return None
    used = (
        "Taken as the whole server's (measured_energy = true)."
        if result.fleet.measured_energy
        else "Not in the money: it covers processor packages, their memory and readable GPUs, not "
        "the plug. measured_energy = true takes its change as the whole server's."
    )
    return TableView(
        "Energy measured in the run, J/token",
        (Column("kernel"), Column("baseline", True), Column("candidate", True),
         Column("change", True)),
        tuple(rows),
        used,
    )  # fmt: skip


def _notes(result: CostResult) -> tuple[str, ...]:
    fleet, changes = result.fleet, [arm.change for arm in result.arms if arm.change]
    notes = []
    if not changes:
        notes.append(
            "To measure an effect: kernleap compare host host+... --machine here, or import the "
            "result files of a load generator. Counts of instructions are no speed."
        )
        return tuple(notes)
    if not any(arm.evidence.energy for arm in result.arms):
        notes.append("Energy was not measured: J/token is derived, with loaded watts unchanged.")
    notes.append(
        "The effect is taken to hold on every pool that gets the kernel, as measured on the "
        "machine of the run."
    )
    for arm in result.arms:
        if arm.change and arm.change.overload:
            notes.append(
                f"{clean(arm.arm, 60)}: with {arm.change.overload:.0%} the fleet could not serve "
                "its traffic any more; what that costs is not in the figures."
            )
        if arm.change and (later := arm.change.deferral):
            notes.append(
                f"{clean(arm.arm, 60)}: at the growth given, the fleet is full "
                f"{payback(later.days)} later; the purchases of a year so much later are worth "
                f"{with_interval(later.value)} {fleet.currency}, once. Not added to the above."
            )
    return tuple(notes)


def _effort(result: CostResult) -> SectionView | None:
    effort, money = result.effort, result.fleet.currency
    if effort.rollout_hours is None or effort.rollout_cost is None:
        return None
    rows = [
        Row(("staff hours of a rollout", amount(effort.rollout_hours))),
        Row((f"a rollout with its lost serving time, {money}", amount(effort.rollout_cost))),
        Row(("gain of throughput that pays within a year, marginal", _gain(effort.gain_marginal))),
        Row(("the same, fully loaded", _gain(effort.gain_loaded))),
    ]
    if effort.upkeep_per_year is not None:
        rows += [
            Row((f"upkeep of a patched kernel, {money} a year", amount(effort.upkeep_per_year))),
            Row(("gain that pays for a patched one, marginal",
                 _gain(effort.gain_marginal_patched))),
            Row(("the same, fully loaded", _gain(effort.gain_loaded_patched))),
        ]  # fmt: skip
    return SectionView(
        "effort",
        "What a new kernel asks for",
        tables=(TableView("Break-even", (Column("what"), Column("value", True)), tuple(rows)),),
    )


def _gain(ratio: float | None) -> str:
    if ratio is None:
        return "not given"
    return "none that is realistic" if ratio >= _UNREALISTIC else percent(ratio)


def _elsewhere(result: CostResult) -> SectionView | None:
    other, money = result.elsewhere, result.fleet.currency
    rows = [Row(("this fleet", amount(result.today.per_mtok.value), ""), "strong")]
    for name, price in (("API", other.api_per_mtok), ("rented server", other.rented_per_mtok)):
        if price is not None:
            ratio = price / result.today.per_mtok.value
            rows.append(Row((name, amount(price), f"{ratio:.2f} times")))
    if len(rows) == 1:
        return None
    lead = []
    if other.owning_from is not None and other.tokens_per_day_from is not None:
        lead.append(
            f"Owning is cheaper than the API from {other.owning_from:.0%} utilisation on "
            f"({amount(other.tokens_per_day_from / 1e6)} Mtok a day)."
            if other.owning_from <= 1
            else "At no utilisation is owning cheaper than the API."
        )
    return SectionView(
        "elsewhere",
        "The same tokens elsewhere",
        tuple(lead),
        (
            TableView(
                "Price of a million tokens",
                (Column("from"), Column(f"{money}/Mtok", True), Column("against this fleet", True)),
                tuple(rows),
            ),
        ),
    )
