"""plan.json: everything decided before the first boot, written once."""

from __future__ import annotations

import json
from pathlib import Path

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
        plan = decode(RunPlan, data)
    except CodecError as error:
        raise bad_plan(path, str(error)) from error
    if plan.schema != PLAN_SCHEMA:
        raise bad_plan(path, f"unknown plan schema {plan.schema}")
    return plan
