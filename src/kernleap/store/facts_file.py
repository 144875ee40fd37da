"""facts.json: facts about a run's kernels and hosts, for judging risk without the packages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kernleap.model.kernel_facts import FACTS_SCHEMA, HostFacts, KernelFacts, RunFacts
from kernleap.store.codec import CodecError, decode, encode
from kernleap.store.errors import damaged
from kernleap.store.write import write_atomically

FILE = "facts.json"


def write_facts(
    run: Path, kernels: Sequence[KernelFacts], hosts: Sequence[HostFacts] | None = None
) -> None:
    """Store facts beside the plan. InfrastructureError if they cannot be written."""
    facts = RunFacts(tuple(kernels), None if hosts is None else tuple(hosts))
    text = json.dumps(encode(facts), indent=1, ensure_ascii=True) + "\n"
    write_atomically(run / FILE, text.encode("ascii"), replace=True)


def read_facts(run: Path) -> RunFacts | None:
    """The facts of a run; None for a run that was made without.

    Raises:
        InfrastructureError: the file cannot be read.
    """
    path = run / FILE
    if not path.exists():
        return None
    try:
        facts = decode(RunFacts, json.loads(path.read_bytes()))
        if facts.schema != FACTS_SCHEMA:
            raise CodecError(f"schema {facts.schema}")
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    return facts
