"""Machine shapes: their arithmetic, their files, and what the emulator is told of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from kernleap.guest.channel import ChannelError, Records
from kernleap.machine import profiles
from kernleap.machine.argv import BootFiles, kernel_cmdline, placed_argv
from kernleap.machine.collect import InvalidTrial
from kernleap.machine.kinds.lab import Lab
from kernleap.machine.survey import nearest, survey
from kernleap.machine.truth import check_truth
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch
from kernleap.model.machine import MachineSpec
from kernleap.model.topology import cpu_list, cpus_in
from kernleap.workload.needs import needs_of

FILES = BootFiles(Path("/k/vmlinuz"), Path("/g.cpio"), Path("/t/channel"))


def argv_of(name: str) -> list[str]:
    return placed_argv("qemu", profiles.load(name), FILES, "quiet", 7)


def after(argv: list[str], option: str) -> list[str]:
    return [b for a, b in pairwise(argv) if a == option]


@pytest.mark.parametrize(
    ("text", "cpus"), [("0", (0,)), ("0-3", (0, 1, 2, 3)), ("0-1,4,6-7", (0, 1, 4, 6, 7))]
)
def test_cpu_lists_read_as_the_kernel_writes_them(text, cpus):
    assert cpus_in(text) == cpus
    assert cpu_list(reversed(cpus)) == text


@pytest.mark.parametrize("text", ["", "a", "1-", "0-3;4", "-1", "0, 1"])
def test_what_is_no_cpu_list_is_refused(text):
    with pytest.raises(ValueError, match="no list of CPUs"):
        cpus_in(text)


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_survives_its_own_file(name, tmp_path):
    shape = profiles.load(name)
    path = tmp_path / f"{name}.toml"
    path.write_text(profiles.to_toml(shape))
    assert profiles.load(str(path)) == shape


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("cores = 6", "cores = 5"), "llcs must name each of the CPUs 0-9 once"),
        (("cores = 6", 'cores = "6"'), "expected int"),
        (("cores = 6", "cores = 6\ncors = 6"), "cors"),
        (('"6-11"]', '"6-11x"]'), "no list of CPUs"),
        (("threads = 1", "threads = 1\nthreads = 2"), "Cannot overwrite"),
        (("siblings = []", 'siblings = ["0-11"]'), "siblings are named exactly where"),
    ],
)
def test_a_profile_that_contradicts_itself_is_refused(change, says):
    text = profiles.to_toml(profiles.load("two-llc"))
    assert change[0] in text or change[0] == '"6-11"]'
    with pytest.raises(UsageError, match="no profile") as caught:
        profiles.parse(text.replace(*change), "mine", "mine.toml")
    assert says in str(caught.value)


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(UsageError, match="no profile 'four-llc'") as caught:
        profiles.load("four-llc")
    assert "two-llc" in str(caught.value)


def test_dies_sockets_and_nodes_reach_the_emulator():
    argv = argv_of("epyc-like")
    assert after(argv, "-smp") == ["24,sockets=2,dies=2,cores=6,threads=1"]
    assert after(argv, "-cpu") == ["Icelake-Server"]
    assert after(argv, "-numa") == [
        "node,nodeid=0,cpus=0-11,memdev=node0",
        "node,nodeid=1,cpus=12-23,memdev=node1",
    ]
    assert [o for o in after(argv, "-object") if o.startswith("memory-backend-ram")] == [
        "memory-backend-ram,id=node0,size=512M",
        "memory-backend-ram,id=node1,size=512M",
    ]
    assert "tcg,thread=single" in argv
    assert "-plugin" not in argv


def test_levels_that_a_machine_does_not_know_are_left_out():
    assert after(argv_of("intel-like"), "-smp") == ["12,sockets=2,cores=6,threads=1"]
    assert after(argv_of("arm-like"), "-smp") == ["12,sockets=1,clusters=3,cores=4,threads=1"]
    assert after(argv_of("two-llc"), "-numa") == []


def test_a_placed_kernel_shows_its_domains_and_trusts_its_clock():
    assert {"sched_verbose", "tsc=reliable"} <= set(kernel_cmdline((), placed=True).split())
    assert not {"sched_verbose", "tsc=reliable"} & set(kernel_cmdline(()).split())
    assert "tsc=reliable" not in kernel_cmdline((), Arch.ARM64, placed=True)


def test_the_lab_takes_the_shape_for_placement_only():
    spec = MachineSpec(topology=profiles.load("three-llc"))
    placed = Lab().fit(spec, needs_of("placement"))
    assert (placed.mode, placed.vcpus, placed.profile) == ("placed", 18, "three-llc")
    assert Lab().fit(spec, needs_of("micro")).topology is None
    assert Lab().fit(MachineSpec(), needs_of("placement")).profile == profiles.DEFAULT


def test_a_profile_of_another_architecture_is_refused():
    spec = MachineSpec(topology=profiles.load("arm-like"))
    with pytest.raises(UsageError, match="arm64 machines, not amd64") as caught:
        Lab().fit(spec, needs_of("placement"))
    assert "--arch arm64" in str(caught.value)


# What a guest says of itself, and whether it is what the profile promises.


def guest_says(name: str, *, line: str = "", enabled: str = "", **wrong: str) -> Records:
    shape = profiles.load(name)
    llc = {c: text for text in shape.truth.llcs for c in cpus_in(text)}
    smt = {c: text for text in shape.truth.siblings for c in cpus_in(text)}
    node = {c: n for n, text in enumerate(shape.truth.nodes) for c in cpus_in(text)}
    cpus = [
        {
            "type": "cpu",
            "cpu": cpu,
            "llc": llc[cpu],
            "smt": smt.get(cpu, str(cpu)),
            "node": node[cpu],
            "domains": " ".join(shape.truth.domains),
        }
        for cpu in range(shape.cpus)
    ]
    cpus[-1] |= wrong
    return Records((*cpus, {"type": "cache_aware", "line": line, "enabled": enabled}))


ON = "_sched_cache_active_set: enabling cache aware scheduling"
OFF = "_sched_cache_active_set: disabling cache aware scheduling"


@pytest.mark.parametrize("name", ["two-llc", "epyc-like", "intel-smt"])
@pytest.mark.parametrize(("line", "enabled"), [("", ""), (ON, "1"), (OFF, "0"), (ON, "Y")])
def test_a_guest_that_is_as_promised_passes(name, line, enabled):
    facts = {}
    check_truth(profiles.load(name), guest_says(name, line=line, enabled=enabled), facts)
    assert facts["topology"]["last-level caches"] == list(profiles.load(name).truth.llcs)
    assert facts["cache_aware_line"] == line


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"llc": "0-11"}, "last-level caches: the guest sees 0-5 | 6-11 | 0-11"),
        ({"smt": "10-11"}, "SMT siblings: the guest sees 10-11, the profile two-llc promises none"),
        ({"node": "1"}, "NUMA nodes: the guest sees 0-10 | 11"),
        ({"domains": "PKG"}, "scheduling domains: the guest sees MC PKG | PKG"),
        ({"line": ON, "enabled": "0"}, "promises it off"),
        ({"line": "", "enabled": "1"}, "promises it on"),
    ],
)
def test_a_guest_of_another_shape_is_invalid(wrong, says):
    with pytest.raises(InvalidTrial) as caught:
        check_truth(profiles.load("two-llc"), guest_says("two-llc", **wrong), {})
    assert says in str(caught.value)


def test_a_guest_with_fewer_cpus_is_invalid():
    records = guest_says("two-llc")
    with pytest.raises(InvalidTrial, match="the guest has 11 CPUs, the profile 12"):
        check_truth(profiles.load("two-llc"), Records(records.items[1:]), {})


def test_a_garbled_guest_is_an_error_of_the_channel():
    with pytest.raises(ChannelError):
        check_truth(profiles.load("two-llc"), guest_says("two-llc", llc="x"), {})


# Real hosts, from a sysfs of our making.


def host(root: Path, *, sockets: int, llcs: int, cores: int, threads: int, nodes: int) -> Path:
    """A tree as sysfs shows a host whose CPUs are numbered cache by cache."""
    total = sockets * llcs * cores * threads
    base = root / "sys/devices/system"

    def write(path: str, text: str) -> None:
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_text(text + "\n")

    def run(cpu: int, size: int) -> str:
        first = cpu - cpu % size
        return cpu_list(range(first, first + size))

    write("cpu/online", cpu_list(range(total)))
    for cpu in range(total):
        write(f"cpu/cpu{cpu}/cache/index0/level", "1")
        write(f"cpu/cpu{cpu}/cache/index0/shared_cpu_list", run(cpu, threads))
        write(f"cpu/cpu{cpu}/cache/index3/level", "3")
        write(f"cpu/cpu{cpu}/cache/index3/shared_cpu_list", run(cpu, cores * threads))
        write(f"cpu/cpu{cpu}/cache/index3/size", "32768K")
        write(f"cpu/cpu{cpu}/topology/core_cpus_list", run(cpu, threads))
        write(f"cpu/cpu{cpu}/topology/package_cpus_list", run(cpu, total // sockets))
    for node in range(nodes):
        write(f"node/node{node}/cpulist", run(node * total // nodes, total // nodes))
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text("processor : 0\nmodel name : A CPU\n\nmodel name : B\n")
    return root


def test_a_large_server_is_shown_smaller_and_says_so(tmp_path):
    seen = survey(host(tmp_path, sockets=2, llcs=8, cores=8, threads=2, nodes=2))
    assert (len(seen.llcs), len(seen.sockets), len(seen.nodes), seen.model) == (16, 2, 2, "A CPU")
    shape = nearest(seen, "big")
    assert (len(shape.truth.llcs), len(shape.truth.nodes), shape.emulator.threads) == (4, 2, 2)
    assert shape.truth.domains == ("SMT", "MC", "PKG", "NUMA")
    assert any("16 last-level caches: 4 shown" in text for text in shape.not_shown)


def test_a_small_desktop_keeps_its_caches(tmp_path):
    shape = nearest(survey(host(tmp_path, sockets=1, llcs=2, cores=6, threads=1, nodes=1)), "desk")
    two = profiles.load("two-llc")
    assert shape.truth == two.truth
    assert shape.emulator == two.emulator


def test_a_captured_profile_can_be_given_back(tmp_path):
    shape = nearest(survey(host(tmp_path, sockets=1, llcs=3, cores=8, threads=2, nodes=1)), "mine")
    path = tmp_path / "mine.toml"
    path.write_text(profiles.to_toml(shape))
    assert profiles.load(str(path)) == shape


def test_a_host_without_sysfs_is_an_infrastructure_failure(tmp_path):
    with pytest.raises(InfrastructureError, match="does not describe its CPUs"):
        survey(tmp_path)


def test_capture_of_another_architecture_says_so(tmp_path):
    seen = survey(host(tmp_path, sockets=1, llcs=2, cores=6, threads=1, nodes=1))
    shape = nearest(replace(seen, arch="aarch64"), "arm")
    assert shape.arch is Arch.AMD64
    assert "its architecture (aarch64): shown on amd64" in shape.not_shown
