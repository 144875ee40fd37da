"""Boot images: recognised, named, or refused with what they look like."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_packages import arm64_image, bzimage
from kernleap.kernel.bootimage import inspect, inspect_for
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch


def test_x86_says_its_release():
    image = inspect(bzimage("7.2.12+deb13-cloud-amd64"), "x")
    assert (image.arch, image.release) == (Arch.AMD64, "7.2.12+deb13-cloud-amd64")


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_arm64_says_its_release_plain_or_in_gzip(wrap):
    image = inspect(wrap(arm64_image("7.2.12+deb13-arm64-16k")), "x")
    assert (image.arch, image.release) == (Arch.ARM64, "7.2.12+deb13-arm64-16k")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "an empty file"),
        (b"#!/bin/sh\n" * 100, "neither"),
        (b"\x7fELF" + bytes(4000), "an ELF file"),
        (b"MZ\0\0zimg" + bytes(4000), "zboot"),
        (gzip.compress(b"text" * 1000, mtime=0), "gzip file that holds no arm64"),
        (gzip.compress(arm64_image(), mtime=0)[:-20], "cut short"),
        (b"\x1f\x8b" + b"\xff" * 100, "damaged gzip"),
        (bzimage("not a release"), "names the release"),
        (bzimage("7.2\x1b[31m"), "names the release"),
    ],
)
def test_refuses(data, says):
    with pytest.raises(UsageError, match=says):
        inspect(data, "some/file")


def test_wrong_architecture_is_named():
    with pytest.raises(UsageError, match="built for arm64, not for amd64"):
        inspect_for(arm64_image(), Arch.AMD64, "x")


@given(st.binary(max_size=2000))
def test_any_bytes_are_an_image_or_refused(data):
    try:
        inspect(data, "x")
    except UsageError:
        return
    assert data[0x202:0x206] == b"HdrS" or data[0x38:0x3C] == b"ARM\x64"
