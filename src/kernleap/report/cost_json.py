"""The cost of a fleet as JSON: schema `kernleap-cost/1`, described in docs/cost.md.

Money is in the document's `currency`; what has no value (a pay-back that never comes) is null.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from kernleap.cost.assemble import ArmCost, CostResult
from kernleap.cost.change import Change, Outcome
from kernleap.cost.effect import Measured
from kernleap.cost.fleet import Fleet, inputs
from kernleap.cost.sensitivity import Swing
from kernleap.report.cost_inputs import input_unit

SCHEMA = "kernleap-cost/1"


def document(result: CostResult) -> dict[str, Any]:
    """Everything that was found, and the inputs it was found from."""
    today = result.today
    made = {
        "schema": SCHEMA,
        "run": result.run or None,
        "baseline": result.baseline or None,
        "currency": result.fleet.currency,
        "seed": result.seed,
        "vary": result.vary,
        "fleet": {
            "name": result.fleet.name,
            "servers": result.fleet.servers,
            "slo": result.fleet.traffic.slo or None,
            "not_counted": list(result.fleet.left_out),
            "inputs": _inputs(result.fleet),
        },
        "today": {
            "lines": {line.name: line.per_year.to("money/year") for line in today.lines},
            "per_year": today.per_year,
            "energy_kwh": today.energy_kwh,
            "tokens": today.tokens,
            "highest_utilisation": today.busy,
            "per_mtok": asdict(today.per_mtok),
            "joules_per_token": asdict(today.joules_per_token),
            "joules_per_token_is": "derived",
            "throughput_is": "measured" if today.rated else "given",
        },
        "kernels": [_arm(arm) for arm in result.arms],
        "effort": asdict(result.effort),
        "elsewhere": asdict(result.elsewhere),
        "sensitivity": [_swing(swing) for swing in result.swings],
    }
    plain: dict[str, Any] = _finite(made)
    return plain


def _inputs(fleet: Fleet) -> dict[str, dict[str, Any]]:
    found = {}
    for path, value in inputs(fleet).items():
        unit = input_unit(path, value)
        one: dict[str, Any] = {"value": value.to(unit), "unit": _shown(unit, fleet)}
        if given := fleet.ranges.get(path):
            one |= {"low": given[0].to(unit), "high": given[1].to(unit)}
        found[".".join(path)] = one
    return found


def _shown(unit: str, fleet: Fleet) -> str:
    return unit.replace("money", fleet.currency)


def _arm(arm: ArmCost) -> dict[str, Any]:
    known = arm.evidence
    return {
        "arm": arm.arm,
        "patched": arm.patched,
        "priced": arm.change is not None,
        "not_priced_because": known.missing or None,
        "throughput": _measured(known.throughput),
        "energy": _measured(known.energy),
        "joules_per_token_measured": list(known.joules) if known.joules else None,
        "counted": _measured(known.counted),
        "kernel_time": _measured(known.kernel_time),
        "change": _change(arm.change) if arm.change else None,
        "at_most": {**asdict(arm.at_most), "is": "a bound, not an estimate"}
        if arm.at_most
        else None,
        "sensitivity": {
            "marginal": [_swing(swing) for swing in arm.swings_marginal],
            "fully_loaded": [_swing(swing) for swing in arm.swings_loaded],
        },
    }


def _measured(effect: Measured | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {"metric": effect.name, "grade": effect.metric.grade.value, **asdict(effect.ratio)}


def _change(change: Change) -> dict[str, Any]:
    return {
        "marginal": _outcome(change.marginal),
        "fully_loaded": _outcome(change.fully_loaded),
        "joules_per_token_is": "derived from measured change" if change.energy else "derived",
        "deferral": asdict(change.deferral) if change.deferral else None,
        "cannot_serve": change.overload,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    fields = asdict(outcome)
    fields.pop("accounting")
    return fields


def _swing(swing: Swing) -> dict[str, Any]:
    unit = input_unit(swing.path, swing.low)
    return {
        "input": ".".join(swing.path),
        "low": swing.low.to(unit),
        "high": swing.high.to(unit),
        "own_range": swing.given,
        "at_low": swing.at_low,
        "at_high": swing.at_high,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
