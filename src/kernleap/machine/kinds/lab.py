"""The lab as a kind of machine: kernels boot in an emulator, what they execute is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kernleap import kernel
from kernleap.kernel import Progress
from kernleap.machine.lab import LabMachine
from kernleap.machine.registry import Regions, register
from kernleap.model.errors import UsageError
from kernleap.model.kernel import KernelImage, KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.run import ArmInputs
from kernleap.workload.needs import MICRO, SERVING, Needs
from kernleap.workload.serving.timed import TimedRegion


@register
class Lab:
    """Emulated machines."""

    name = "lab"
    summary = "kernels booted in an emulator, counted exactly"
    suites = (MICRO, SERVING)
    jobs = None

    def fit(self, spec: MachineSpec, needs: Needs) -> MachineSpec:
        """A machine with the guest and the memory that the suite needs."""
        return replace(spec, guest=needs.guest, memory_mib=needs.memory_mib)

    def regions(self, suite: str, chosen: Regions, serving: TimedRegion | None) -> Regions:  # noqa: ARG002
        """The suite as it is: engine and load of the lab's serving are part of its guest."""
        if serving is not None:
            raise UsageError(
                "the lab serves its own model with its own load",
                cause="engine, model and load can be chosen on the running machine",
                next_step="add --machine here, or leave these options out",
            )
        return chosen

    def check(self, refs: Sequence[KernelRef]) -> tuple[str, ...]:  # noqa: ARG002
        """Any kernel can be booted; whether it has its knobs shows then."""
        return ()

    def image(
        self, ref: KernelRef, spec: MachineSpec, offline: bool, progress: Progress | None
    ) -> KernelImage:
        """Resolve and fetch."""
        return kernel.obtain(ref, arch=spec.arch, offline=offline, progress=progress)

    def image_again(
        self, one: ArmInputs, spec: MachineSpec, offline: bool, progress: Progress | None
    ) -> KernelImage:
        """By digest, from the cache or where it came from."""
        return kernel.obtain_by_digest(one, spec.arch, offline=offline, progress=progress)

    def open(self, spec: MachineSpec) -> LabMachine:
        """Find the emulator; build guest and plugin."""
        return LabMachine(spec)
