"""Getting everything a run needs, kernels and guest at the same time."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kernleap.cli._progress import Show
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import Arch, KernelImage
from kernleap.model.machine import MachineSpec
from kernleap.model.metric import qualified
from kernleap.model.run import ArmInputs, Part
from kernleap.model.trial import Arm

if TYPE_CHECKING:
    from kernleap.machine import Machine


@dataclass(frozen=True, slots=True)
class Inputs:
    """What trials need: a kernel for each arm, and a machine for each part of the run."""

    images: dict[str, KernelImage]
    """By the kernel's key (ArmInputs.key)."""
    machines: tuple[Machine, ...]

    def parts_of_today(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The parts of a plan, made of what is here now."""
        return tuple(
            replace(
                part,
                guest_sha256=machine.identity.guest_sha256,
                emulator_version=machine.identity.emulator_version,
            )
            for part, machine in zip(parts, self.machines, strict=True)
        )

    def kconfigs(self) -> dict[str, str]:
        """Configuration texts by the kernel's key, where the kernel's source carries one.

        Raises:
            InfrastructureError: one cannot be read.
        """
        texts = {}
        for key, image in self.images.items():
            if image.kconfig is None:
                continue
            try:
                texts[key] = image.kconfig.read_bytes().decode("utf-8", "surrogateescape")
            except OSError as error:
                raise InfrastructureError(
                    "Cannot read the configuration of a kernel",
                    where=str(image.kconfig),
                    cause=error.strerror,
                ) from error
        return texts


def add_off_arms(arms: Sequence[Arm], inputs: Inputs, show: Show) -> tuple[tuple[Arm, ...], Inputs]:
    """The arms and inputs of a run that also boots its candidates with a feature off.

    What a change of placement comes from, the feature or the release, shows only so.
    """
    from kernleap.experiment.plan import with_off_arms
    from kernleap.kernel.feature import has_feature
    from kernleap.model.feature import CACHE_AWARE

    arches = [arch for arch in Arch if qualified(arms[0].name, arch) in inputs.images]
    having = {
        arm.name
        for arm in arms
        if arm.role == "candidate"
        for arch in arches
        if has_feature(inputs.images[qualified(arm.name, arch)], CACHE_AWARE)
    }
    more = with_off_arms(arms, CACHE_AWARE, having)
    for arm in more:
        if arm.role == "reference":
            show.say(
                f"{arm.name} is booted as well: {CACHE_AWARE.title} off, to tell what comes from "
                "it (--no-off-arm leaves it out)"
            )
    images: dict[str, KernelImage] = {}
    for arch in arches:
        by_ref = {arm.ref.base: inputs.images[qualified(arm.name, arch)] for arm in arms}
        images |= {qualified(arm.name, arch): by_ref[arm.ref.base] for arm in more}
    return more, replace(inputs, images=images)


def kconfig_digests(kconfigs: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of configuration texts, as a plan carries them."""
    return {
        key: hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        for key, text in kconfigs.items()
    }


def gather(arms: Sequence[Arm], specs: Sequence[MachineSpec], offline: bool, show: Show) -> Inputs:
    """Obtain the kernels that the arms name, while the guests are built.

    `specs` are the machines of the parts, all of one kind; each architecture among them needs
    its own kernels.

    Raises:
        KernleapError: the first thing that could not be had.
    """
    from kernleap.machine import kind_of

    kind = kind_of(specs[0].kind)

    def obtain(arm: Arm, spec: MachineSpec) -> Callable[[], KernelImage]:
        ref = arm.ref.base
        return lambda: kind.image(ref, spec, offline, show.fetching)

    return _gather(
        {
            qualified(arm.name, arch): ((arm.ref.base, arch), obtain(arm, spec))
            for arch, spec in {spec.arch: spec for spec in reversed(specs)}.items()
            for arm in arms
        },
        specs,
    )


def gather_again(
    inputs: Sequence[ArmInputs], specs: Sequence[MachineSpec], offline: bool, show: Show
) -> Inputs:
    """Obtain the very kernels of an earlier run, by digest.

    Raises:
        KernleapError: the first thing that could not be had.
    """
    from kernleap.machine import kind_of

    kind = kind_of(specs[0].kind)

    def obtain(one: ArmInputs) -> Callable[[], KernelImage]:
        spec = next(spec for spec in specs if spec.arch is one.arch)
        return lambda: kind.image_again(one, spec, offline, show.fetching)

    return _gather({one.key: (one.kernel_sha256, obtain(one)) for one in inputs}, specs)


def _gather(
    kernels: Mapping[str, tuple[Hashable, Callable[[], KernelImage]]],
    specs: Sequence[MachineSpec],
) -> Inputs:
    """Run the jobs in parallel; arms with equal keys share one kernel."""

    def machine(spec: MachineSpec) -> Callable[[], Machine]:
        from kernleap.machine import machine_for

        return lambda: machine_for(spec)

    jobs: dict[Hashable, Callable[[], Any]] = {("machine", s): machine(s) for s in specs}
    jobs |= {("kernel", key): job for key, job in kernels.values()}
    results = _in_parallel(jobs)
    return Inputs(
        images={name: results["kernel", key] for name, (key, _) in kernels.items()},
        machines=tuple(results["machine", spec] for spec in specs),
    )


def _in_parallel(jobs: Mapping[Hashable, Callable[[], Any]]) -> dict[Hashable, Any]:
    """Results by key. The first error is raised at once; the other threads are left behind.

    They are daemons: what they do (fill caches, atomically) may be cut off at any moment.
    """
    ended: queue.SimpleQueue[tuple[Hashable, Any, BaseException | None]] = queue.SimpleQueue()

    def work(key: Hashable, job: Callable[[], Any]) -> None:
        try:
            ended.put((key, job(), None))
        except BaseException as error:  # raised again by the caller
            ended.put((key, None, error))

    for key, job in jobs.items():
        threading.Thread(target=work, args=(key, job), daemon=True).start()
    results: dict[Hashable, Any] = {}
    while len(results) < len(jobs):
        key, result, error = ended.get()
        if error is not None:
            raise error
        results[key] = result
    return results
