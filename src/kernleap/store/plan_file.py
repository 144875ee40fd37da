"""plan.json: everything decided before the first boot, written once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kernleap.model.run import PLAN_SCHEMA, RunPlan
from kernleap.store.codec import CodecError, decode, encode
from kernleap.store.errors import bad_plan, newer_schema
from kernleap.store.write import write_atomically


def write_plan(path: Path, plan: RunPlan) -> None:
    """Write a plan; it must not be there yet."""
    text = json.dumps(encode(plan), indent=1, ensure_ascii=True) + "\n"
    write_atomically(path, text.encode("ascii"))


def read_plan(path: Path) -> RunPlan:
    """Read a plan strictly.

    Raises:
        InfrastructureError: it cannot be read, or is not a plan (unknown keys included).
        UsageError: it was written by a newer kernleap.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise bad_plan(path, str(error)) from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if isinstance(schema, int) and schema > PLAN_SCHEMA:
        raise newer_schema(path, f"plan schema {schema}; this kernleap reads {PLAN_SCHEMA}")
    try:
        return plan_from(data)
    except CodecError as error:
        raise bad_plan(path, str(error)) from error


def plan_from(data: Any, where: str = "") -> RunPlan:
    """A plan from parsed JSON, of this schema or an earlier one (which is brought up to this).

    Raises:
        CodecError: it is not a plan.
    """
    if isinstance(data, dict) and data.get("schema") == 1:
        data = _with_parts(data)
    plan = decode(RunPlan, data, where)
    if plan.schema != PLAN_SCHEMA:
        raise CodecError(f"unknown plan schema {plan.schema}")
    return plan


def _with_parts(data: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 described its only part itself; `workloads` named its regions once more."""
    of_part = ("suite", "machine", "regions", "metrics", "guest_sha256", "emulator_version")
    part = {key: data[key] for key in of_part if key in data}
    trials = data.get("trials")
    blocks = {t.get("block") for t in trials if isinstance(t, dict)} if trials else set()
    rest = {key: value for key, value in data.items() if key not in (*of_part, "workloads")}
    return rest | {"parts": [part | {"boots": len(blocks)}], "schema": PLAN_SCHEMA}
