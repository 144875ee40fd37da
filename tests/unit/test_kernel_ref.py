"""References to kernels: what is accepted, what it means, and what is refused where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernleap.kernel import parse_ref
from kernleap.model.errors import UsageError
from kernleap.model.kernel import KernelRef, Modifier, ModifierKind

CMDLINE, SYSCTL = ModifierKind.CMDLINE, ModifierKind.SYSCTL
DEBUGFS, SYSFS = ModifierKind.DEBUGFS, ModifierKind.SYSFS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian:7.2", KernelRef("debian", "7.2")),
        (
            "debian:7.2.12+deb13-cloud-amd64+cmdline:mitigations=off",
            KernelRef(
                "debian",
                "7.2.12+deb13-cloud-amd64",
                (Modifier(CMDLINE, "mitigations", "off"),),
            ),
        ),
        ("host", KernelRef("host", "")),
        ("host+cmdline:nosmt", KernelRef("host", "", (Modifier(CMDLINE, "nosmt", None),))),
        (
            "debian:7.2+cmdline:a=b=c+d+sysctl:net.ipv4.tcp_rmem=4096 131072 6291456",
            KernelRef(
                "debian",
                "7.2",
                (
                    Modifier(CMDLINE, "a", "b=c+d"),
                    Modifier(SYSCTL, "net.ipv4.tcp_rmem", "4096 131072 6291456"),
                ),
            ),
        ),
        (
            "debian:7.2+debugfs:sched/llc_balancing/enabled=0"
            "+sysfs:kernel/mm/transparent_hugepage/enabled=never",
            KernelRef(
                "debian",
                "7.2",
                (
                    Modifier(DEBUGFS, "sched/llc_balancing/enabled", "0"),
                    Modifier(SYSFS, "kernel/mm/transparent_hugepage/enabled", "never"),
                ),
            ),
        ),
        ("deb:a+b.deb,/c/d e.deb", KernelRef("deb", "a+b.deb,/c/d e.deb")),
        ("vmlinuz:./boot:1/vmlinuz", KernelRef("vmlinuz", "./boot:1/vmlinuz")),
    ],
)
def test_parses_into(text, expected):
    assert parse_ref(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 1, "empty"),
        ("7.2", 1, "unknown kernel source"),
        ("fedora:41", 1, "unknown kernel source `fedora`"),
        (":7.2", 1, "no kernel source"),
        ("debian", 7, "needs a series"),
        ("debian:", 8, "needs a series"),
        ("debian:../../etc", 8, "is not a series"),
        ("debian:latest", 8, "is not a series"),
        ("host:x", 5, "takes no name"),
        ("debian:7.2+kmod:x=1", 11, "unknown modifier kind `+kmod:`"),
        ("debian:7.2+cmdline:", 20, "not a boot parameter"),
        ("debian:7.2+cmdline:a b=c", 20, "not a boot parameter"),
        ("debian:7.2+cmdline:a=b c", 22, "white space"),
        ('debian:7.2+cmdline:a="b"', 22, "quote"),
        ("debian:7.2+sysctl:swappiness=1", 19, "not a sysctl"),
        ("debian:7.2+sysctl:vm.swappiness", 32, "needs `=VALUE`"),
        ("debian:7.2+sysctl:vm.swappiness=", 32, "needs `=VALUE`"),
        ("debian:7.2+sysctl:vm.swappiness= 1", 33, "white space"),
        ("debian:7.2+sysctl:vm..swappiness=1", 19, "not a sysctl"),
        ("debian:7.2+sysctl:../vm.x=1", 19, "not a sysctl"),
        ("debian:7.2+debugfs:/sched/features=X", 20, "not a path below debugfs"),
        ("debian:7.2+sysfs:kernel/../../etc/passwd=x", 18, "not a path below sysfs"),
        ("debian:7.2+sysfs:kernel//mm=x", 18, "not a path below sysfs"),
        ("debian:7.2+sysfs:kernel/a..b=x", 26, "`..`"),
        ("debian:7.2\n", 11, "control character"),
        ("debian:7.2+cmdline:a=\x1b[31m", 22, "control character"),
        ("deb:a.deb,,b.deb", 5, "empty path"),
        ("vmlinuz: ", 9, "blank"),
    ],
)
def test_refuses_and_points_at(text, position, says):
    with pytest.raises(UsageError) as caught:
        parse_ref(text)
    message = str(caught.value)
    assert says in message
    assert f"at character {position} " in message
    assert "debian:" in message  # the sources there are
    assert "+sysctl:" in message  # and the kinds
    assert "\x1b" not in message


words = st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True)
paths = st.lists(words, min_size=1, max_size=4).map("/".join)
values = st.from_regex(r"[A-Za-z0-9_.,=+/-]{1,12}", fullmatch=True)
modifiers = st.one_of(
    st.builds(Modifier, st.just(CMDLINE), words, st.one_of(st.none(), values, st.just(""))),
    st.builds(
        Modifier, st.just(SYSCTL), st.lists(words, min_size=2, max_size=4).map(".".join), values
    ),
    st.builds(Modifier, st.sampled_from([DEBUGFS, SYSFS]), paths, values),
)
names = st.one_of(
    st.tuples(
        st.just("debian"),
        st.from_regex(r"[1-9]\.[0-9]{1,2}(\.[0-9]{1,3}(\+deb1[34]-cloud-amd64)?)?", fullmatch=True),
    ),
    st.tuples(
        st.sampled_from(["deb", "rpm", "pacman", "vmlinuz", "tree"]),
        st.from_regex(r"/[a-z0-9+ =_.~-]{1,20}", fullmatch=True),
    ),
    st.just(("host", "")),
)


@given(names, st.lists(modifiers, max_size=4))
def test_text_and_reference_are_the_same_thing(name, parts):
    ref = KernelRef(name[0], name[1], tuple(parts))
    assert parse_ref(str(ref)) == ref


@given(st.text(max_size=60))
def test_any_text_is_parsed_whole_or_refused(text):
    try:
        ref = parse_ref(text)
    except UsageError:
        return
    assert str(ref) == text


@given(names, st.text(max_size=40))
def test_what_follows_a_good_head_is_kept_or_refused(name, tail):
    head = name[0] if not name[1] else ":".join(name)
    try:
        ref = parse_ref(head + tail)
    except UsageError:
        return
    assert str(ref) == head + tail
