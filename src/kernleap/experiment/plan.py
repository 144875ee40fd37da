"""Plans: which boots, of which arm, in which order, with which seed. Pure.

A block holds one boot of every arm, all with the same guest seed, in a random order of its
own. So arms are paired within blocks, and whatever drifts during a run (a busier host, a
warmer machine) falls on all arms alike. A block belongs to one part; the blocks of all parts are
spread evenly over the run, so that an interrupted run has some of each.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kernleap.model.errors import UsageError
from kernleap.model.feature import Feature
from kernleap.model.kernel import KernelImage, KernelRef
from kernleap.model.metric import qualified
from kernleap.model.run import ArmInputs, Part, RunPlan
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


def with_off_arms(
    arms: Sequence[Arm], feature: Feature, having: Collection[str]
) -> tuple[Arm, ...]:
    """The arms, and behind each candidate in `having` (names) its kernel with the feature off.

    Where the run has that arm already, or the candidate sets the knob itself, none is added.
    """
    present = {arm.ref for arm in arms}
    out: list[Arm] = []
    for arm in arms:
        out.append(arm)
        off = feature.off_ref(arm.ref)
        if arm.role != "candidate" or arm.name not in having or feature.mentions(arm.ref):
            continue
        if off not in present:
            present.add(off)
            out.append(Arm(str(off), off, "reference"))
    return tuple(out)


def check_boots(boots: int) -> None:
    """Refuse a number of boots that cannot be planned.

    Raises:
        UsageError: it is out of range.
    """
    if not 1 <= boots <= MAX_BOOTS:
        raise UsageError(f"--boots must be between 1 and {MAX_BOOTS}, not {boots}")


def check_parts(parts: Sequence[Part]) -> None:
    """Refuse parts that cannot be planned together.

    Raises:
        UsageError: boots out of range, no part, or a region that is in two parts.
    """
    if not parts:
        raise UsageError("A run needs at least one part")
    for part in parts:
        check_boots(part.boots)
    check_boots(sum(part.boots for part in parts))
    seen: set[str] = set()
    for region in (region.name for part in parts for region in part.regions):
        if region in seen:
            raise UsageError(
                f"{region} is in two of the suites",
                where="--suite",
                next_step="name suites that have no workload in common",
            )
        seen.add(region)


def make_plan(
    *,
    arms: Sequence[Arm],
    images: Mapping[str, KernelImage],
    kconfig_digests: Mapping[str, str],
    parts: Sequence[Part],
    seed: int,
    created: datetime,
    command: Sequence[str] = (),
    kernleap_version: str = "",
) -> RunPlan:
    """The plan of a run of these parts. Equal arguments give equal plans.

    `images` and `kconfig_digests` are by the key of an arm's kernel (ArmInputs.key); the latter
    holds only the kernels whose configuration is known.

    Raises:
        UsageError: boots out of range, no part, or a region that is in two parts.
    """
    check_parts(parts)
    inputs = tuple(
        ArmInputs(
            arm=arm.name,
            release=images[key].release,
            kernel_sha256=images[key].sha256,
            provenance=dataclasses.asdict(images[key].provenance),
            kconfig_sha256=kconfig_digests.get(key, ""),
            arch=arch,
        )
        for arch in dict.fromkeys(part.machine.arch for part in parts)
        for arm in arms
        for key in (qualified(arm.name, arch),)
    )
    trials = _trials(arms, inputs, parts, seed)
    moment = created.astimezone(UTC)
    regions = [region.name for part in parts for region in part.regions]
    digest = _digest(moment.isoformat(), [t.id for t in trials], regions, list(command))
    return RunPlan(
        id=f"{moment:%Y%m%d-%H%M%S}-{digest.hex()[:6]}",
        created=moment.isoformat(timespec="seconds"),
        arms=tuple(arms),
        trials=trials,
        parts=tuple(parts),
        inputs=inputs,
        seed=seed,
        command=tuple(command),
        kernleap_version=kernleap_version,
    )


def repeat_plan(
    plan: RunPlan,
    *,
    trials: Collection[str],
    parts: Sequence[Part],
    kconfig_digests: Mapping[str, str],
    created: datetime,
    command: Sequence[str],
    kernleap_version: str,
) -> RunPlan:
    """The plan of a run that repeats those `trials` (ids) of `plan` on what is here now.

    `parts` are the plan's own, with the guests and emulators of today.
    """
    moment = created.astimezone(UTC)
    digest = _digest(moment.isoformat(), plan.id, list(command))
    return dataclasses.replace(
        plan,
        id=f"{moment:%Y%m%d-%H%M%S}-{digest.hex()[:6]}",
        created=moment.isoformat(timespec="seconds"),
        trials=tuple(trial for trial in plan.trials if trial.id in trials),
        inputs=tuple(
            dataclasses.replace(one, kconfig_sha256=kconfig_digests.get(one.key, ""))
            for one in plan.inputs
        ),
        parts=tuple(parts),
        command=tuple(command),
        kernleap_version=kernleap_version,
    )


def guest_seed(seed: int, block: int) -> int:
    """Seed of the guests of the n-th block of a part: the same for all arms, unrelated between
    blocks.

    It depends on these two alone, so more boots extend a part without changing it, and a suite
    counts the same whatever runs beside it.
    """
    return int.from_bytes(_digest("guest seed", seed, block)[:_SEED_BYTES], "big")


def _trials(
    arms: Sequence[Arm], inputs: Sequence[ArmInputs], parts: Sequence[Part], seed: int
) -> tuple[Trial, ...]:
    trials: list[Trial] = []
    kernels = {one.key: one.kernel_sha256 for one in inputs}
    for number, nth, block in _blocks(parts):
        in_block = guest_seed(seed, nth)
        guest, arch = parts[number].guest_sha256, parts[number].machine.arch
        drawn = sorted((_digest("order", seed, nth, index), index) for index in range(len(arms)))
        for _, index in drawn:
            arm = arms[index]
            kernel = kernels[qualified(arm.name, arch)]
            digest = _digest(str(arm.ref), in_block, kernel, guest)
            trials.append(
                Trial(
                    id=f"{block:03d}-{index}-{digest.hex()[:8]}",
                    arm=arm.name,
                    block=block,
                    order=len(trials),
                    seed=in_block,
                    part=number,
                )
            )
    return tuple(trials)


def _blocks(parts: Sequence[Part]) -> list[tuple[int, int, int]]:
    """(part, number within the part, number in the run) of all blocks, in execution order."""
    first = 0
    placed = []
    for number, part in enumerate(parts):
        for nth in range(part.boots):
            placed.append(((nth + 0.5) / part.boots, (number, nth, first + nth)))
        first += part.boots
    return [block for _, block in sorted(placed)]


def _digest(*parts: Any) -> bytes:
    """SHA-256 over the parts; also the source of randomness, the same in every Python."""
    return hashlib.sha256(json.dumps(parts).encode("ascii")).digest()
