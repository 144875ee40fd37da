"""The lab as a kind of machine: kernels boot in an emulator, what they execute is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kernleap import kernel
from kernleap.kernel import Progress
from kernleap.machine import profiles
from kernleap.machine.base import Machine
from kernleap.machine.lab import LabMachine
from kernleap.machine.placed import PlacedMachine
from kernleap.machine.registry import Regions, register
from kernleap.model.errors import UsageError
from kernleap.model.kernel import KernelImage, KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.run import ArmInputs
from kernleap.workload.needs import ALLREDUCE, MICRO, SERVING, Needs
from kernleap.workload.serving.timed import TimedRegion

_PLACED_SETTLE_S = 0.5
_PLACED_LIMIT_S = 600.0
"""Dozens of emulated CPUs share one of the host's, which others may use as well."""


@register
class Lab:
    """Emulated machines."""

    name = "lab"
    summary = "kernels booted in an emulator, counted exactly"
    suites = (MICRO, SERVING)
    emulated = True
    jobs = None

    def fit(self, spec: MachineSpec, needs: Needs) -> MachineSpec:
        """A machine with the guest, the memory and, for placement, the shape that is needed.

        Raises:
            UsageError: the profile is of another architecture.
        """
        if needs.mode != "placed":
            return replace(spec, guest=needs.guest, memory_mib=needs.memory_mib, topology=None)
        shape = spec.topology or profiles.load(profiles.DEFAULT)
        if shape.arch is not spec.arch:
            raise UsageError(
                f"the profile {shape.name} is of {shape.arch} machines, not {spec.arch}",
                where="--profile",
                next_step=f"add --arch {shape.arch}, or see kernleap profile list",
            )
        return replace(
            spec,
            mode="placed",
            topology=shape,
            cpu=shape.emulator.cpu,
            vcpus=shape.cpus,
            memory_mib=shape.memory_mib,
            settle_s=_PLACED_SETTLE_S,
            time_limit_s=_PLACED_LIMIT_S,
        )

    def regions(self, suite: str, chosen: Regions, serving: TimedRegion | None) -> Regions:
        """The suite as it is: engine and load of the lab's serving are part of its guest."""
        if suite == ALLREDUCE:
            raise UsageError(
                "all-reduce is timed, and the lab has no clock to time by",
                where="--suite",
                next_step="add --machine here",
            )
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

    def open(self, spec: MachineSpec) -> Machine:
        """Find the emulator; build guest and plugin."""
        return PlacedMachine(spec) if spec.mode == "placed" else LabMachine(spec)
