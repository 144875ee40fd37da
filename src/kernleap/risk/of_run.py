"""The risk of a stored run's kernels: from the facts stored with it, else from its plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from kernleap.model.kernel import ModifierKind
from kernleap.model.kernel_facts import HostFacts, ImageSignature, KernelFacts, RunFacts
from kernleap.model.result import Confounder
from kernleap.model.run import FACTS, ArmInputs, RunData
from kernleap.risk.assess import Subject, assess
from kernleap.risk.library import Library
from kernleap.risk.profile import RiskProfile


def profiles_of_run(
    run: RunData,
    library: Library,
    confounders: Callable[[RunData, str], tuple[Confounder, ...]],
    *,
    today: date,
    hosts: Sequence[HostFacts] | None = None,
) -> dict[str, RiskProfile]:
    """Profiles by the kernels' keys (ArmInputs.key), of each architecture the baseline first.

    Args:
        confounders: kernleap.judge.confounders.confounders; risk does not import what judges.
        hosts: in place of those stored with the run.
    """
    stored = run.extra.get(FACTS)
    facts = stored if isinstance(stored, RunFacts) else None
    known = {kernel.arm: kernel for kernel in facts.kernels} if facts else {}
    if hosts is None and facts is not None:
        hosts = facts.hosts
    baseline = run.plan.baseline.name
    found: dict[str, RiskProfile] = {}
    for arch in run.plan.arches:
        inputs = [item for item in run.plan.inputs if item.arch is arch]
        inputs.sort(key=lambda item: item.arm != baseline)
        subjects = [
            Subject(
                known.get(item.key) or _from_plan(run, item),
                run.kconfigs.get(item.key),
                confounders(run, item.arm) if item.arm != baseline else (),
            )
            for item in inputs
        ]
        profiles = assess(subjects, library, hosts=hosts, today=today)
        found |= {profile.arm: profile for profile in profiles}
    return found


def _from_plan(run: RunData, inputs: ArmInputs) -> KernelFacts:
    """What the plan of a run made without facts tells."""
    ref = run.plan.arm(inputs.arm).ref
    source = inputs.provenance.get("source", "")
    note = "this run was made without gathering facts for risk"
    return KernelFacts(
        arm=inputs.key,
        ref=str(ref),
        release=inputs.release,
        arch=inputs.arch.value,
        version=inputs.provenance.get("version", ""),
        kernel_sha256=inputs.kernel_sha256,
        source=source,
        suite=inputs.provenance.get("suite", ""),
        cmdline=tuple(
            modifier.key if modifier.value is None else f"{modifier.key}={modifier.value}"
            for modifier in ref.modifiers
            if modifier.kind is ModifierKind.CMDLINE
        ),
        signature=ImageSignature(None, note=note),
        notes=(note,),
    )
