"""What can be asked of the running machine, and what is refused before anything is touched."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import click
import pytest

from kernleap import cli
from kernleap.cli import _serving
from kernleap.kernel.ref import parse_ref
from kernleap.kernel.running import running_kernel
from kernleap.machine.here_lock import alone_on_this_machine
from kernleap.machine.registry import kind_of
from kernleap.model.errors import Exit, InfrastructureError, TamperedError, UsageError
from kernleap.model.machine import MachineSpec
from kernleap.model.run import ArmInputs
from kernleap.workload.needs import needs_of
from kernleap.workload.serving.timed import TimedRegion

HERE = kind_of("here")


@pytest.mark.parametrize(
    ("refs", "words"),
    [
        (["host", "host+cmdline:mitigations=off"], "boot parameter"),
        (["host", "debian:7.2"], "one kernel"),
        (["host", "host+sysctl:vm.dirty_bytes=1+sysctl:vm.dirty_ratio=5"], "change each other"),
        (["host", "host+sysctl:kernel.no_such_knob=5"], "no such knob"),
        (["host", "host+debugfs:no/such/knob=5"], "no such knob"),
    ],
)
def test_what_cannot_be_compared_here(refs, words, capsys):
    assert cli.run(["compare", *refs, "--machine", "here"]) == Exit.USAGE
    said = capsys.readouterr().err
    assert words in said
    assert "next:" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--machine", "here", "--suite", "micro"], "in the lab"),
        (["--machine", "here", "--engine", "nonsense"], "no engine"),
        (["--machine", "here", "--engine", "tgi:http://h:1", "--target", "http://h:2"], "--target"),
        (["--machine", "here", "--target", "http://h:2", "--model", "tiny"], "--target"),
        (["--machine", "here", "--engine", "llama.cpp:tiny", "--model", "smollm2"], "--model"),
        (["--streams", "4"], "--machine here"),
        (["--machine", "here", "--arch", "amd64,arm64"], "--arch"),
        (["--machine", "here", "--cpu", "max"], "--cpu"),
        (["--machine", "here", "--profile", "two-llc"], "--profile"),
    ],
)
def test_options_that_do_not_go_together(words, said, capsys):
    assert cli.run(["compare", "host", "host", *words]) == Exit.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="others may set no knobs at all")
def test_a_rehearsal_leaves_every_knob_as_it_was():
    knob = Path("/proc/sys/net/unix/max_dgram_qlen")
    before = knob.read_text()
    refs = [parse_ref("host"), parse_ref(f"host+sysctl:net.unix.max_dgram_qlen={int(before) + 1}")]
    assert HERE.check(refs) == ()
    assert knob.read_text() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may set them")
def test_without_the_right_a_knob_is_an_error_and_none_is_none():
    assert HERE.check([parse_ref("host"), parse_ref("host")]) == ()
    with pytest.raises(UsageError, match="cannot be written"):
        HERE.check([parse_ref("host+sysctl:vm.swappiness=1")])


def test_one_run_at_a_time():
    with alone_on_this_machine(), pytest.raises(InfrastructureError, match="another kernleap"):
        alone_on_this_machine().__enter__()
    with alone_on_this_machine():
        pass


def test_the_running_kernel_needs_no_image():
    image = running_kernel(parse_ref("host"))
    assert image.release == os.uname().release
    assert len(image.sha256) == 64
    assert HERE.image(parse_ref("host"), MachineSpec(), True, None) == image
    then = ArmInputs("host", image.release, image.sha256, {})
    assert HERE.image_again(then, MachineSpec(), True, None) == image
    with pytest.raises(TamperedError, match="another kernel"):
        HERE.image_again(ArmInputs("host", "7.1", "0" * 64, {}), MachineSpec(), True, None)


def test_the_running_kernel_is_known_by_notes_and_version(tmp_path):
    for name, data in {
        "proc/version": b"Linux version 7.2.1 (gcc) #1\n",
        "proc/sys/kernel/osrelease": b"7.2.1\n",
        "proc/config.gz": gzip.compress(b"CONFIG_HZ=250\n"),
        "sys/kernel/notes": b"GNU\0id",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    first = running_kernel(parse_ref("host"), tmp_path)
    assert first.kconfig is not None
    assert first.kconfig.read_text() == "CONFIG_HZ=250\n"
    assert running_kernel(parse_ref("host"), tmp_path).sha256 == first.sha256
    (tmp_path / "sys/kernel/notes").write_bytes(b"GNU\0another")
    assert running_kernel(parse_ref("host"), tmp_path).sha256 != first.sha256


def region_of(*words: str) -> TimedRegion | None:
    found = []

    @click.command()
    @_serving.options
    @click.pass_context
    def command(ctx: click.Context, /, **_options: object) -> None:
        found.append(_serving.region(ctx))

    command.main(list(words), standalone_mode=False)
    return found[0]


def test_the_options_make_the_region():
    assert region_of() is None
    assert region_of("--model", "smollm2") == TimedRegion(engine="llama.cpp:smollm2")
    assert region_of("--target", "http://h:80") == TimedRegion(engine="openai:http://h:80")
    region = region_of(
        "--engine", "tgi", "--target", "http://h:80", "--streams", "3", "--window-s", "2.5",
        "--warmup-s", "0", "--slo-ttft-ms", "200", "--warm",
    )  # fmt: skip
    assert region == TimedRegion(
        "tgi:http://h:80", streams=3, window_ms=2500, warmup_ms=0, slo_ttft_ms=200, warm=True
    )
    assert TimedRegion.from_plan(region.planned) == region
    assert region.name == "serving/tgi"


def test_regions_of_other_versions_are_refused():
    planned = TimedRegion().planned
    assert TimedRegion.from_plan(planned) == TimedRegion()
    with pytest.raises(UsageError, match="another version"):
        TimedRegion.from_plan(type(planned)("serving/x", "x", "x", 1, 0, (1, 2)))


def test_the_machine_is_this_one():
    spec = HERE.fit(MachineSpec(cpu="EPYC-Milan"), needs_of("serving"))
    assert (spec.kind, spec.mode, spec.guest) == ("here", "timed", "")
    assert spec.cpu != "EPYC-Milan"
    assert spec.vcpus == len(os.sched_getaffinity(0))


def test_restore_with_nothing_to_restore(capsys):
    assert cli.run(["restore"]) == Exit.OK
    assert "nothing" in capsys.readouterr().out
    assert cli.run(["restore", "--json"]) == Exit.OK
    assert '"knobs": []' in capsys.readouterr().out
