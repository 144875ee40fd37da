"""`kernleap compare`: boot kernels side by side, count, judge, report."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kernleap import __version__
from kernleap.cli import _allreduce, _machines, _options, _serving
from kernleap.cli._judging import Outputs, judge_and_report
from kernleap.cli._progress import Show, showing
from kernleap.model.errors import UsageError
from kernleap.model.machine import MachineSpec
from kernleap.model.trial import TrialStatus

if TYPE_CHECKING:
    from kernleap.model.run import Part
    from kernleap.store import RunStore
    from kernleap.workload.allreduce.region import AllreduceRegion
    from kernleap.workload.serving.timed import TimedRegion

_OF_A_NEW_RUN = (
    "boots",
    "aa",
    "seed",
    "suite",
    "workload",
    "machine",
    "cpu",
    "arch",
    "profile",
    "no_off_arm",
    *_serving.NAMES,
    *_allreduce.NAMES,
)
"""Options that a stored plan has settled; a resumed run cannot change them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a new run is asked to measure."""

    refs: tuple[str, ...]
    boots: int | None
    aa: bool
    seed: int
    suites: tuple[str, ...]
    """None were named: those of the kind of machine."""
    workloads: tuple[str, ...]
    machines: tuple[MachineSpec, ...]
    """One for each architecture."""
    serving: TimedRegion | None
    """Engine and load as the options have them, on real machines; None: none was given."""
    allreduce: AllreduceRegion
    off_arms: bool
    """For placement: boot each candidate that has the feature once more with it off."""


@click.command(name="compare")
@click.argument("refs", nargs=-1, metavar="BASELINE CANDIDATE...")
@click.option(
    "--boots", type=int, help="Boots of each kernel, in each suite.  [default: the suite's]"
)
@_options.jobs
@click.option("--aa", is_flag=True, help="Boot the baseline a second time: the noise floor.")
@click.option(
    "--seed", default=1, show_default=True, help="Seed of the order of boots and of the guests."
)
@click.option(
    "--suite", metavar="NAME[,NAME]...", help="Suites of workloads.  [default: the machine's]"
)
@click.option(
    "--workload",
    multiple=True,
    metavar="GLOB",
    help="Only these (tcp-*, */1p, pipe/2p-*); may be given several times.",
)
@_options.policy_file
@_options.fleet_file
@_machines.options
@_serving.options
@_allreduce.options
@click.option(
    "--no-off-arm",
    is_flag=True,
    help="Placement: do not boot candidates again with cache-aware scheduling off.",
)
@_options.outputs
@_options.offline
@click.option("--resume", metavar="RUN", help="Go on with a run that was interrupted.")
@click.option(
    "--retry-failed",
    is_flag=True,
    help="With --resume: boot panicked, hung and invalid trials again, not only lost ones.",
)
@_options.quiet
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Say whether CANDIDATE is worth booting instead of BASELINE.

    Kernels are SOURCE:NAME[+KIND:KEY=VALUE]..., for example debian:7.2, deb:FILE, host, or
    debian:7.2+cmdline:mitigations=off. The exit code is the verdict's: 0 adopt, 10 hold,
    11 reject, 12 undecided.

    \b
    Examples:
      kernleap compare debian:7.0 debian:7.2
      kernleap compare debian:7.2 debian:7.2+cmdline:mitigations=off
      kernleap compare debian:7.0 debian:7.2 --workload 'tcp-*' --aa
      kernleap compare debian:7.0 debian:7.2 --suite serving
      kernleap compare debian:7.0 debian:7.2 --arch amd64,arm64
      kernleap compare host host+sysctl:vm.dirty_ratio=5 --machine here
      kernleap compare debian:7.1 debian:7.2 --suite placement --profile two-llc
      kernleap compare --resume latest
    """
    from kernleap.cost.fleet_file import load as load_fleet
    from kernleap.judge.policy import load

    outputs = Outputs.of(options)
    outputs.check()
    policy = load(options["policy_path"])
    fleet = load_fleet(options["fleet_path"]) if options["fleet_path"] else None
    with showing(options["quiet"]) as show:
        if options["resume"] is None:
            if options["retry_failed"]:
                raise click.UsageError("--retry-failed needs --resume RUN", ctx)
            store = _run_new(_wanted(ctx, options), options["jobs"], options["offline"], show)
        else:
            _refuse_changes(ctx)
            store = _resume(options, show)
        show.say("judging")
    return judge_and_report([store], policy, outputs, fleet)


def _wanted(ctx: click.Context, options: dict[str, Any]) -> Wanted:
    if len(options["refs"]) < (1 if options["aa"] else 2):
        raise click.UsageError("give a BASELINE and at least one CANDIDATE", ctx)
    return Wanted(
        refs=options["refs"],
        boots=options["boots"],
        aa=options["aa"],
        seed=options["seed"],
        suites=tuple(options["suite"].split(",")) if options["suite"] else (),
        workloads=options["workload"],
        serving=_serving.region(ctx),
        allreduce=_allreduce.region(ctx),
        machines=_machines.asked(ctx),
        off_arms=not options["no_off_arm"],
    )


def _parts(wanted: Wanted) -> list[Part]:
    """The parts of a new run, before anything has been fetched for them.

    Raises:
        UsageError: no such suite, workload or machine, or they do not go together.
    """
    from kernleap.experiment.plan import check_parts
    from kernleap.machine import kind_of
    from kernleap.model.run import Part
    from kernleap.workload import fitted, metrics_for, planned_for, select_from
    from kernleap.workload.needs import ALLREDUCE, needs_of

    parts = []
    for asked in wanted.machines:
        kind = kind_of(asked.kind)
        for suite, regions in select_from(wanted.suites or kind.suites, wanted.workloads).items():
            needs = needs_of(suite)
            alone = wanted.suites or len(kind.suites) == 1
            usual = needs.boots if alone else needs.boots_by_default
            machine = kind.fit(asked, needs)
            asked_for = (wanted.allreduce,) if suite == ALLREDUCE else regions
            chosen = fitted(kind.regions(suite, asked_for, wanted.serving), machine.topology)
            parts.append(
                Part(
                    suite=suite,
                    machine=machine,
                    regions=planned_for(chosen, machine.arch),
                    metrics=metrics_for(chosen, machine.arch),
                    guest_sha256="",
                    emulator_version="",
                    boots=usual if wanted.boots is None else wanted.boots,
                )
            )
    check_parts(parts)
    if wanted.machines[0].topology and not any(part.machine.topology for part in parts):
        raise UsageError(
            "a profile shapes the machine for placement, and no suite of this run looks at that",
            where="--profile",
            cause=f"the suites: {', '.join(dict.fromkeys(part.suite for part in parts))}",
            next_step="add --suite placement, or leave --profile out",
        )
    return parts


def _refuse_changes(ctx: click.Context) -> None:
    given = [n for n in _OF_A_NEW_RUN if ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if ctx.params["refs"] or given:
        what = "the kernels" if ctx.params["refs"] else f"--{given[0]}"
        raise click.UsageError(f"--resume goes on with the run's own plan; leave {what} out", ctx)


def _run_new(wanted: Wanted, jobs: int | None, offline: bool, show: Show) -> RunStore:
    from kernleap import kernel
    from kernleap.cli._inputs import add_off_arms, gather, kconfig_digests
    from kernleap.cli._risk import keep_facts
    from kernleap.cli._running import jobs_for, run_trials
    from kernleap.experiment.plan import make_arms, make_plan
    from kernleap.machine import kind_of
    from kernleap.store import RunStore

    # Everything that can be wrong with the command is found before anything is fetched.
    arms = make_arms([kernel.parse_ref(text) for text in wanted.refs], aa=wanted.aa)
    parts = _parts(wanted)
    for note in kind_of(wanted.machines[0].kind).check([arm.ref for arm in arms]):
        show.say(note)
    show.say("getting the kernels and the machine ready")
    inputs = gather(arms, [part.machine for part in parts], offline, show)
    if wanted.off_arms and any(part.machine.mode == "placed" for part in parts):
        arms, inputs = add_off_arms(arms, inputs, show)
    kconfigs = inputs.kconfigs()
    plan = make_plan(
        arms=arms,
        images=inputs.images,
        kconfig_digests=kconfig_digests(kconfigs),
        parts=inputs.parts_of_today(parts),
        seed=wanted.seed,
        created=datetime.now(UTC),
        command=("kernleap", *sys.argv[1:]),
        kernleap_version=__version__,
    )
    store = RunStore.create(plan, kconfigs)
    keep_facts(store, inputs.images, show)
    roles = {arm.name: arm.role for arm in arms}
    for one in plan.inputs:
        show.say(f"{roles[one.arm]} {one.arm}: {one.release}")
        for note in inputs.images[one.key].notes:
            show.say(f"  note: {note}")
    _announce(store, show)
    run_trials(store, inputs, jobs=jobs_for(plan, jobs), show=show)
    return store


def _resume(options: dict[str, Any], show: Show) -> RunStore:
    from kernleap.cli._inputs import gather_again
    from kernleap.cli._running import jobs_for, run_trials
    from kernleap.store import RunStore

    store = RunStore.open(options["resume"])
    plan = store.plan
    finished = store.finished()
    again = {TrialStatus.LOST}
    if options["retry_failed"]:
        again = set(TrialStatus) - {TrialStatus.OK}
    if len([s for s in finished.values() if s not in again]) == len(plan.trials):
        show.say(f"run {plan.id} is complete: nothing to boot")
        return store
    inputs = gather_again(plan.inputs, [p.machine for p in plan.parts], options["offline"], show)
    for then, now in zip(plan.parts, inputs.parts_of_today(plan.parts), strict=True):
        for name, planned, found in (
            ("guest", then.guest_sha256, now.guest_sha256),
            ("emulator", then.emulator_version, now.emulator_version),
        ):
            if planned != found:
                raise UsageError(
                    f"The {name} is another one than when this run began",
                    where=plan.id,
                    cause=f"then {planned}, now {found}; their counts cannot be mixed in one run",
                    next_step=shlex.join(plan.command) or "start a new run",
                )
    _announce(store, show)
    run_trials(store, inputs, jobs=jobs_for(plan, options["jobs"]), show=show, again=again)
    return store


def _announce(store: RunStore, show: Show) -> None:
    plan = store.plan
    stored = len(store.finished())
    left = f", {stored} of them stored already" if stored else ""
    show.say(f"run {plan.id}: {len(plan.trials)} {plan.trial_word}s{left}")
    show.say(f"  in {store.path}")
