"""Plans: which boots, of which arm, in which order, with which seed. Pure.

A block holds one boot of every arm, all with the same guest seed, in a random order of its
own. So arms are paired within blocks, and whatever drifts during a run (a busier host, a
warmer machine) falls on all arms alike.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kernleap.model.errors import UsageError
from kernleap.model.kernel import KernelImage, KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.metric import Metric
from kernleap.model.run import ArmInputs, Region, RunPlan
from kernleap.model.trial import Arm, Trial

MAX_BOOTS = 999
"""Trial ids give a block three digits."""

_SEED_BYTES = 4


def make_arms(refs: Sequence[KernelRef], *, aa: bool = False) -> tuple[Arm, ...]:
    """Arms for `refs`, the first of which is the baseline.

    An arm is named by its reference; the n-th arm of one reference gets ` (n)`. With `aa` the
    baseline is booted a second time under a name of its own, to measure the noise floor.

    Raises:
        UsageError: fewer than two arms.
    """
    if len(refs) < (1 if aa else 2):
        raise UsageError(
            "A comparison needs a baseline and at least one candidate",
            next_step="kernleap compare debian:7.0 debian:7.2",
        )
    arms = []
    seen: dict[str, int] = {}
    for position, ref in enumerate(refs):
        text = str(ref)
        seen[text] = seen.get(text, 0) + 1
        name = text if seen[text] == 1 else f"{text} ({seen[text]})"
        arms.append(Arm(name, ref, "candidate" if position else "baseline"))
    if aa:
        arms.append(Arm(f"{refs[0]} (A/A)", refs[0], "aa"))
    return tuple(arms)


def check_boots(boots: int) -> None:
    """Refuse a number of boots that cannot be planned.

    Raises:
        UsageError: it is out of range.
    """
    if not 1 <= boots <= MAX_BOOTS:
        raise UsageError(f"--boots must be between 1 and {MAX_BOOTS}, not {boots}")


def make_plan(
    *,
    arms: Sequence[Arm],
    images: Mapping[str, KernelImage],
    kconfig_digests: Mapping[str, str],
    boots: int,
    seed: int,
    machine: MachineSpec,
    suite: str,
    regions: Sequence[Region],
    metrics: Sequence[Metric],
    guest_sha256: str,
    emulator_version: str,
    created: datetime,
    command: Sequence[str] = (),
    kernleap_version: str = "",
) -> RunPlan:
    """The plan of a run of `boots` boots an arm. Equal arguments give equal plans.

    `images` and `kconfig_digests` are by arm name; the latter holds only the arms whose
    kernel configuration is known.

    Raises:
        UsageError: `boots` is out of range.
    """
    check_boots(boots)
    inputs = tuple(
        ArmInputs(
            arm=arm.name,
            release=images[arm.name].release,
            kernel_sha256=images[arm.name].sha256,
            provenance=dataclasses.asdict(images[arm.name].provenance),
            kconfig_sha256=kconfig_digests.get(arm.name, ""),
        )
        for arm in arms
    )
    trials = _trials(arms, inputs, boots, seed, guest_sha256)
    moment = created.astimezone(UTC)
    digest = _digest(
        moment.isoformat(), [t.id for t in trials], [r.name for r in regions], list(command)
    )
    return RunPlan(
        id=f"{moment:%Y%m%d-%H%M%S}-{digest.hex()[:6]}",
        created=moment.isoformat(timespec="seconds"),
        arms=tuple(arms),
        trials=trials,
        machine=machine,
        suite=suite,
        workloads=tuple(r.name for r in regions),
        regions=tuple(regions),
        metrics=tuple(metrics),
        inputs=inputs,
        guest_sha256=guest_sha256,
        emulator_version=emulator_version,
        seed=seed,
        command=tuple(command),
        kernleap_version=kernleap_version,
    )


def repeat_plan(
    plan: RunPlan,
    *,
    trials: Collection[str],
    guest_sha256: str,
    emulator_version: str,
    kconfig_digests: Mapping[str, str],
    created: datetime,
    command: Sequence[str],
    kernleap_version: str,
) -> RunPlan:
    """The plan of a run that repeats those `trials` (ids) of `plan` on what is here now."""
    moment = created.astimezone(UTC)
    digest = _digest(moment.isoformat(), plan.id, list(command))
    return dataclasses.replace(
        plan,
        id=f"{moment:%Y%m%d-%H%M%S}-{digest.hex()[:6]}",
        created=moment.isoformat(timespec="seconds"),
        trials=tuple(trial for trial in plan.trials if trial.id in trials),
        inputs=tuple(
            dataclasses.replace(one, kconfig_sha256=kconfig_digests.get(one.arm, ""))
            for one in plan.inputs
        ),
        guest_sha256=guest_sha256,
        emulator_version=emulator_version,
        command=tuple(command),
        kernleap_version=kernleap_version,
    )


def guest_seed(seed: int, block: int) -> int:
    """Seed of the guests of a block: the same for all arms, unrelated between blocks.

    It depends on run seed and block alone, so more boots extend a run without changing it.
    """
    return int.from_bytes(_digest("guest seed", seed, block)[:_SEED_BYTES], "big")


def _trials(
    arms: Sequence[Arm], inputs: Sequence[ArmInputs], boots: int, seed: int, guest_sha256: str
) -> tuple[Trial, ...]:
    trials: list[Trial] = []
    for block in range(boots):
        in_block = guest_seed(seed, block)
        drawn = sorted((_digest("order", seed, block, index), index) for index in range(len(arms)))
        for _, index in drawn:
            arm = arms[index]
            digest = _digest(str(arm.ref), in_block, inputs[index].kernel_sha256, guest_sha256)
            trials.append(
                Trial(
                    id=f"{block:03d}-{index}-{digest.hex()[:8]}",
                    arm=arm.name,
                    block=block,
                    order=len(trials),
                    seed=in_block,
                )
            )
    return tuple(trials)


def _digest(*parts: Any) -> bytes:
    """SHA-256 over the parts; also the source of randomness, the same in every Python."""
    return hashlib.sha256(json.dumps(parts).encode("ascii")).digest()
