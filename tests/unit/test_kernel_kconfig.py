"""Configurations: parsing and the settings that matter."""

from __future__ import annotations

from kernleap.kernel.kconfig import highlights
from kernleap.model.kconfig import parse

TEXT = """\
# Automatically generated file; DO NOT EDIT.
CONFIG_CC_VERSION_TEXT="gcc-14 (Debian 14.2.0-19) 14.2.0"
CONFIG_HZ=250
CONFIG_HZ_250=y
CONFIG_PREEMPT_LAZY=y
# CONFIG_PREEMPT is not set
CONFIG_PREEMPT_DYNAMIC=y
CONFIG_CPU_MITIGATIONS=y
CONFIG_MITIGATION_RETPOLINE=y
# CONFIG_MITIGATION_SLS is not set
CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y
CONFIG_LTO_NONE=y
CONFIG_MODULE_X=m
"""


def test_parse_keeps_every_option():
    options = parse(TEXT)
    assert options["HZ"] == "250"
    assert options["PREEMPT"] == "n"
    assert options["MODULE_X"] == "m"
    assert options["CC_VERSION_TEXT"] == "gcc-14 (Debian 14.2.0-19) 14.2.0"
    assert "DO NOT EDIT" not in options


def test_highlights_tell_absent_from_off():
    found = {highlight.name: highlight.value for highlight in highlights(TEXT)}
    assert found["compiler"].startswith("gcc-14")
    assert found["preemption"] == "lazy, dynamic"
    assert found["mitigations built"] == "retpoline"
    assert found["memory zeroed on allocation"] == "y"
    assert found["cache-aware scheduling"] == "absent"
    assert found["link-time optimisation"] == "none"


def test_an_empty_configuration_says_absent_everywhere():
    values = {h.value for h in highlights("")}
    assert values <= {"absent", "none"}
