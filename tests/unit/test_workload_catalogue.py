"""The catalogue: what it holds, how strictly it is read, how regions are chosen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kernleap.guest.channel import PLAN_BYTES
from kernleap.guest.plan import trial_plan
from kernleap.model.errors import UsageError
from kernleap.model.metric import Role
from kernleap.workload import (
    FORMS,
    Region,
    catalogue,
    load,
    region,
    select,
    select_from,
    suite,
    suites,
)

GUEST = Path(__file__).parents[2] / "native" / "guest"

ENTRY = """
family = "Pipes"

[workload.pipe-64]
program = "pipe"
description = "one  byte\\n there and back"
why = "because"
forms = ["1p", "2p-fifo"]
iterations = 10
warmup = 0
params = [64, -1]
tags = ["quick"]
"""


def parse(text: str):
    return catalogue.parse(text, "20-test.toml")


def test_an_entry_becomes_a_spec() -> None:
    (spec,) = parse(ENTRY)
    assert (spec.name, spec.program, spec.family) == ("pipe-64", "pipe", "Pipes")
    assert spec.description == "one byte there and back"
    assert spec.forms == ("1p", "2p-fifo")
    assert (spec.iterations, spec.warmup, spec.params) == (10, 0, (64, -1))
    planned = Region(spec, "2p-fifo").planned
    assert planned.name == "pipe-64/2p-fifo"
    assert (planned.program, planned.form, planned.params) == ("pipe", "2p-fifo", (64, -1))
    assert (planned.iterations, planned.warmup) == (10, 0)


def test_the_program_is_the_name_unless_told() -> None:
    (spec,) = parse(ENTRY.replace('program = "pipe"\n', ""))
    assert spec.program == "pipe-64"


@pytest.mark.parametrize(
    ("old", "new", "key", "what"),
    [
        ('why = "because"', 'why = "b"\ncolour = "red"', "workload.pipe-64.colour", "unknown key"),
        ('why = "because"\n', "", "workload.pipe-64.why", "missing key"),
        ("iterations = 10", "iterations = true", "workload.pipe-64.iterations", "an integer"),
        ("iterations = 10", 'iterations = "10"', "workload.pipe-64.iterations", "an integer"),
        ("params = [64, -1]", "params = [6.4]", "workload.pipe-64.params", "each an integer"),
        ('tags = ["quick"]', "tags = [1]", "workload.pipe-64.tags", "each a string"),
        ('family = "Pipes"', 'famly = "Pipes"', "famly", "unknown key"),
        ('family = "Pipes"', "", "family", "missing key"),
        ("[workload.pipe-64]", "[workload]", "workload.program", "must be a table"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(old: str, new: str, key: str, what: str) -> None:
    assert old in ENTRY
    with pytest.raises(UsageError) as caught:
        parse(ENTRY.replace(old, new))
    assert caught.value.where == "20-test.toml"
    assert key in caught.value.what
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("iterations = 10", "iterations = 0", "iterations must be at least 1"),
        ("warmup = 0", "warmup = -1", "warmup must not be negative"),
        ('["1p", "2p-fifo"]', "[]", "forms must be some of"),
        ('["1p", "2p-fifo"]', '["2p-fifo", "1p"]', "in this order"),
        ('["1p", "2p-fifo"]', '["3p"]', "forms must be some of"),
        ("[64, -1]", "[1, 2, 3, 4, 5]", "a workload takes 4"),
        ('program = "pipe"', 'program = "a b"', "program must be lower-case words"),
        ("pipe-64]", '"pipe/64"]', "name must be lower-case words"),
        ('why = "because"', 'why = " "', "why must not be empty"),
        ('["quick"]', '["Quick!"]', "tags must be lower-case words"),
        ("warmup = 0", 'warmup = 0\naggregation = "max"', "mode, median or mean"),
    ],
)
def test_a_value_that_the_guest_could_not_run_is_refused(old: str, new: str, cause: str) -> None:
    assert old in ENTRY
    with pytest.raises(UsageError) as caught:
        parse(ENTRY.replace(old, new))
    assert caught.value.where == "20-test.toml"
    assert cause in (caught.value.cause or "")


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(UsageError, match="not a TOML file"):
        parse("family = ")


def test_every_workload_has_a_program_in_the_guest_and_the_reverse() -> None:
    registered: list[str] = []
    for file in sorted((GUEST / "workloads").glob("*.c")):
        text = file.read_text()
        if "WORKLOAD(" in text:
            registered += re.findall(r"\.name = \"([^\"]+)\"", text)
    assert len(registered) == len(set(registered))
    # The lab's own check of its counter is no metric, so it has no entry.
    assert set(registered) - {"selfcheck"} == {spec.program for spec in load().values()}


def test_params_fit_the_guest() -> None:
    declared = re.search(r"enum \{ PARAMS = (\d+) \}", (GUEST / "runtime.h").read_text())
    assert declared is not None
    assert all(len(spec.params) <= int(declared[1]) for spec in load().values())


def test_the_paths_that_serving_lives_on_are_there() -> None:
    assert set(load()) >= {
        "syscall-getppid",
        "pipe",
        "eventfd",
        "unix-stream",
        "unix-dgram",
        "unix-seqpacket",
        "tcp-1b",
        "tcp-16k",
        "udp-1b",
        "tcp-connect",
        "epoll-64",
        "epoll-1024",
        "futex",
        "shm-futex",
        "sendmsg-iov",
        "mmap-4k",
        "mmap-248k",
        "mmap-2108k",
        "fork-exit-wait",
        "thread-create-join",
        "io-uring",
    }


def test_the_regions_fit_the_guest() -> None:
    """init.c runs at most MAX_REGIONS regions, of a plan of at most 64 KiB."""
    limit = re.search(r"MAX_REGIONS = (\d+)", (GUEST / "init.c").read_text())
    assert limit is not None
    regions = suite("micro")
    assert len(regions) <= int(limit[1])
    planned = [r.planned for r in regions]
    text = trial_plan(seed=1, settle_s=3, modifiers=(), events={}, regions=planned)
    assert len(text) < PLAN_BYTES / 2
    assert len({(p.program, p.form, p.params) for p in planned}) == len(planned)


def test_suites() -> None:
    assert suites()[0] == "micro"
    assert "quick" in suites()
    micro, quick = suite("micro"), suite("quick")
    assert [r for r in micro if r in quick] == list(quick)
    assert len({r.name for r in micro}) == len(micro)
    assert {r.spec.name for r in micro} == set(load())
    assert {"syscall-getppid", "pipe", "unix-stream", "tcp-1b", "futex"} <= {
        r.spec.name for r in quick
    }
    with pytest.raises(UsageError, match="no suite 'macro'"):
        suite("macro")


def test_regions_of_a_workload_run_in_the_order_of_the_forms() -> None:
    forms = [r.form for r in suite("micro") if r.spec.name == "pipe"]
    assert forms == list(FORMS)


def test_select_keeps_the_order_of_the_suite() -> None:
    names = [r.name for r in select("micro", ["tcp-1b", "*/1p", "pipe/2p-*"])]
    everything = [r.name for r in suite("micro")]
    assert names == [n for n in everything if n in names]
    assert "tcp-1b/2p-other" in names
    assert "pipe/2p-batch" in names
    assert "eventfd/1p" in names
    assert "eventfd/2p-fifo" not in names
    assert select("quick") == suite("quick")


def test_a_glob_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="matches 'pipes'") as caught:
        select("quick", ["futex", "pipes"])
    assert "syscall-getppid" in (caught.value.cause or "")


def test_region_by_name() -> None:
    assert region("pipe/2p-batch").role is Role.SCHEDULED
    for name in ("pipe", "pipe/3p", "nothing/1p", "syscall-getppid/2p-fifo"):
        with pytest.raises(UsageError, match="has no region"):
            region(name)


def test_several_suites_share_the_globs() -> None:
    assert set(select_from(("micro", "serving"))) == {"micro", "serving"}
    chosen = select_from(("micro", "serving"), ("pipe/*", "serving"))
    assert [r.name for r in chosen["serving"]] == ["serving/llama.cpp-tiny"]
    assert {r.name.split("/")[0] for r in chosen["micro"]} == {"pipe"}
    assert set(select_from(("micro", "serving"), ("tcp-1b/1p",))) == {"micro"}
    with pytest.raises(UsageError, match="suites micro, serving matches 'zzz'"):
        select_from(("micro", "serving"), ("pipe", "zzz"))
    with pytest.raises(UsageError, match="no suite 'nope'"):
        select_from(("micro", "nope"))
