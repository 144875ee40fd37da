"""The running machine as a kind: configurations of its kernel, compared by the clock."""

from __future__ import annotations

import os
from collections.abc import Sequence

from kernleap.guest.build import host_arch
from kernleap.kernel import Progress
from kernleap.kernel.running import running_kernel
from kernleap.machine.here import HereMachine
from kernleap.machine.host_facts import host_facts
from kernleap.machine.knob_host import check_knobs_exist, host_knobs, recover
from kernleap.machine.registry import Regions, register
from kernleap.model.errors import TamperedError, UsageError
from kernleap.model.kernel import KernelImage, KernelRef, ModifierKind
from kernleap.model.machine import MachineSpec
from kernleap.model.run import ArmInputs
from kernleap.workload.allreduce.run import python_with_torch
from kernleap.workload.needs import ALLREDUCE, SERVING, Needs
from kernleap.workload.serving.timed import TimedRegion

_USABLE = "host+sysctl:KEY=VALUE, host+sysfs:PATH=VALUE, host+debugfs:PATH=VALUE"


@register
class Here:
    """This machine, with the kernel that it runs."""

    name = "here"
    summary = "the running kernel under several settings, timed"
    suites = (SERVING,)
    emulated = False
    jobs = 1

    def fit(self, spec: MachineSpec, needs: Needs) -> MachineSpec:  # noqa: ARG002
        """This machine, as it is."""
        return MachineSpec(
            kind=self.name, mode="timed", arch=host_arch(),
            cpu=str(host_facts().get("cpu", "")), guest="", memory_mib=0,
            vcpus=len(os.sched_getaffinity(0)), settle_s=0.0,
        )  # fmt: skip

    def regions(self, suite: str, chosen: Regions, serving: TimedRegion | None) -> Regions:
        """Serving as the options describe it; other suites are counted, not timed."""
        if suite == ALLREDUCE:
            python_with_torch()  # found missing now, not by the first trial
            return chosen
        if suite != SERVING:
            raise UsageError(
                f"the suite {suite} cannot be measured on the running machine",
                where="--suite",
                cause="its operations are counted in the lab, not timed",
                next_step="--suite serving or allreduce, or leave --machine out",
            )
        return (serving or TimedRegion(),)

    def check(self, refs: Sequence[KernelRef]) -> tuple[str, ...]:
        """Put back what a killed run left; then set every arm's knobs once, and put them back."""
        for ref in refs:
            _check_ref(ref)
        lines = recover()
        for ref in refs:
            check_knobs_exist(ref.modifiers)
        for modifiers in dict.fromkeys(ref.modifiers for ref in refs if ref.modifiers):
            with host_knobs(modifiers):
                pass
        return tuple(f"left by a run that was killed: {line}" for line in lines)

    def image(
        self, ref: KernelRef, spec: MachineSpec, offline: bool, progress: Progress | None  # noqa: ARG002
    ) -> KernelImage:  # fmt: skip
        """The kernel that runs."""
        return running_kernel(ref)

    def image_again(
        self, one: ArmInputs, spec: MachineSpec, offline: bool, progress: Progress | None  # noqa: ARG002
    ) -> KernelImage:  # fmt: skip
        """The kernel that runs, if it is the one of then."""
        image = running_kernel(KernelRef("host", ""))
        if image.sha256 != one.kernel_sha256:
            raise TamperedError(
                "this machine runs another kernel than when the run began",
                where=one.arm,
                cause=f"then {one.release}, now {image.release}",
                next_step="boot that kernel, or make a new run",
            )
        return image

    def open(self, spec: MachineSpec) -> HereMachine:
        """Build the load driver; be alone on this machine."""
        return HereMachine(spec)


def _check_ref(ref: KernelRef) -> None:
    """UsageError for what the running machine cannot be."""
    for modifier in ref.modifiers:
        if modifier.kind is ModifierKind.CMDLINE:
            raise UsageError(
                "a boot parameter cannot be changed on a machine that runs",
                where=str(ref),
                cause="it is decided when the machine boots",
                next_step=f"here: {_USABLE}; boot parameters in the lab: leave --machine out",
            )
    running_kernel(ref.base)
