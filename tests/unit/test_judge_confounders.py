"""Confounders: what differs besides what was asked, and why it matters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernleap.judge.confounders import confounders, flavour, kconfig, weight
from kernleap.model.run import ArmInputs
from simulated import run_of

CONFIG = """#
# Automatically generated file; DO NOT EDIT.
CONFIG_CC_VERSION_TEXT="gcc-14 (Debian 14.2.0-19) 14.2.0"
CONFIG_HZ=250
CONFIG_HZ_250=y
# CONFIG_HZ_1000 is not set
CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y
CONFIG_LSM="landlock,lockdown,yama,apparmor,bpf"
CONFIG_SND_HDA=m
"""
OTHER = """CONFIG_CC_VERSION_TEXT="gcc-15 (Debian 15.2.0-4) 15.2.0"
CONFIG_HZ=1000
CONFIG_HZ_1000=y
CONFIG_LSM="landlock,lockdown,yama,apparmor,bpf"
CONFIG_SND_USB=m
"""


def inputs(arm: str, digest: str, release: str = "7.0-cloud-amd64", **provenance: str):
    return ArmInputs(arm, release, digest, {"source": "debian", "suite": "sid", **provenance})


def found(baseline: str | None, candidate: str | None, *items: ArmInputs):
    texts = {"baseline": baseline, "candidate": candidate}
    run = run_of(
        {"baseline": [], "candidate": []},
        regions=(),
        kconfigs={arm: text for arm, text in texts.items() if text is not None},
        inputs=items or (inputs("baseline", "a"), inputs("candidate", "b")),
    )
    return {c.name: c for c in confounders(run, "candidate")}


def test_options_that_matter_come_with_a_reason_the_rest_as_a_count():
    result = found(CONFIG, OTHER)
    assert next(iter(result)) == "CC_VERSION_TEXT"
    assert result["CC_VERSION_TEXT"].kind == "compiler"
    assert result["CC_VERSION_TEXT"].candidate == "gcc-15 (Debian 15.2.0-4) 15.2.0"
    assert (result["HZ"].baseline, result["HZ"].candidate) == ("250", "1000")
    assert result["INIT_ON_ALLOC_DEFAULT_ON"].candidate == "not set"
    assert "LSM" not in result
    assert "SND_HDA" not in result
    assert "2 more options differ (SND_HDA, SND_USB)" in result["other options"].why_it_matters
    assert all(c.why_it_matters for c in result.values())


def test_equal_configurations_confound_nothing():
    assert found(CONFIG, CONFIG) == {}


@pytest.mark.parametrize(("baseline", "candidate"), [(None, CONFIG), (CONFIG, None), (None, None)])
def test_an_unknown_configuration_is_itself_a_confounder(baseline, candidate):
    result = found(baseline, candidate)
    assert list(result) == ["configuration"]
    assert result["configuration"].baseline == ("unknown" if baseline is None else "known")


def test_one_image_under_two_settings_has_no_confounders():
    assert found(CONFIG, None, inputs("baseline", "a"), inputs("candidate", "a")) == {}


def test_provenance_that_differs_is_listed():
    result = found(
        CONFIG,
        CONFIG,
        inputs("baseline", "a"),
        inputs("candidate", "b", "7.0-rt-amd64", suite="", source="pacman"),
    )
    assert set(result) == {"source", "suite", "flavour"}
    assert result["flavour"].candidate == "rt-amd64"
    assert result["suite"].candidate == "unknown"


def test_machines_that_differ_are_listed_even_for_one_image():
    run = run_of(
        {"baseline": [None], "candidate": [None]},
        regions=(),
        inputs=(inputs("baseline", "a"), inputs("candidate", "a")),
    )
    from kernleap.model.trial import TrialStatus

    records = tuple(
        replace(r, status=TrialStatus.OK, facts={"emulator": v, "cpu": "EPYC-Milan"})
        for r, v in zip(run.records, ("7.2.22", "10.0.2"), strict=True)
    )
    result = confounders(replace(run, records=records), "candidate")
    assert [(c.kind, c.name, c.baseline, c.candidate) for c in result] == [
        ("machine", "emulator", "7.2.22", "10.0.2")
    ]


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("7.2.12+deb13-cloud-amd64", "cloud-amd64"),
        ("6.12.41-amd64", "amd64"),
        ("7.0.0-2-cachyos", "cachyos"),
        ("7.0.0", ""),
    ],
)
def test_flavours(release, expected):
    assert flavour(release) == expected


@pytest.mark.parametrize(
    "option",
    ["HZ_1000", "PREEMPT_DYNAMIC", "SCHED_CORE", "MITIGATION_RETPOLINE", "LTO_CLANG",
     "INIT_ON_ALLOC_DEFAULT_ON", "DEBUG_LIST", "RANDOMIZE_KSTACK_OFFSET_DEFAULT",
     "HARDENED_USERCOPY", "SLUB_DEBUG", "CPU_MITIGATIONS", "NO_HZ_FULL",
     "TRANSPARENT_HUGEPAGE_ALWAYS", "AUDIT", "SECURITY_SELINUX", "NETFILTER", "BPF_JIT"],
)  # fmt: skip
def test_known_options_have_a_reason(option):
    assert weight(option)[1]


def test_kconfig_reads_values_and_skips_comments():
    assert kconfig('# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C="x=y"\n') == {
        "B": "y",
        "C": '"x=y"',
    }
