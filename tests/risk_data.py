"""Risk data made by hand: CVE records in the form of the kernel's CNA, bundles, and kernels."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from kernleap.model.kernel_facts import ImageSignature, KernelFacts

TODAY = date(2026, 11, 23)
_COMMIT = "0123456789ab"


def record(
    number: int,
    *,
    introduced: str,
    fixed: Mapping[str, str] | None = None,
    mainline: str = "",
    files: tuple[str, ...] = ("net/core/dev.c",),
    backported_to: tuple[tuple[str, str], ...] = (),
    score: float | None = None,
    updated: str = "2026-11-20",
    **changes: Any,
) -> dict[str, Any]:
    """A record: introduced in a series, fixed in stable releases (series -> release) and mainline.

    `backported_to` are (release, fixed release) of series that got the bug by a backport.
    """
    versions: list[dict[str, str]] = [
        {"version": introduced, "status": "affected"},
        {
            "version": "0", "lessThan": introduced, "status": "unaffected",
            "versionType": "semver",
        },
    ]  # fmt: skip
    for series, release in (fixed or {}).items():
        versions.append(
            {
                "version": release, "lessThanOrEqual": f"{series}.*", "status": "unaffected",
                "versionType": "semver",
            }
        )  # fmt: skip
    if mainline:
        versions.append(
            {
                "version": mainline, "lessThanOrEqual": "*", "status": "unaffected",
                "versionType": "original_commit_for_fix",
            }
        )  # fmt: skip
    commits = [
        {
            "version": _COMMIT, "lessThan": _COMMIT[::-1], "status": "affected",
            "versionType": "git",
        },
        *(
            {"version": low, "lessThan": high, "status": "affected", "versionType": "semver"}
            for low, high in backported_to
        ),
    ]  # fmt: skip
    common = {"product": "Linux", "vendor": "Linux", "programFiles": list(files)}
    made: dict[str, Any] = {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.2",
        "cveMetadata": {
            "cveId": f"CVE-2026-{number:05}",
            "assignerShortName": "Linux",
            "state": "PUBLISHED",
            "dateUpdated": f"{updated}T00:00:00.000Z",
        },
        "containers": {
            "cna": {
                "title": f"bug {number}",
                "affected": [
                    {**common, "defaultStatus": "unaffected", "versions": commits},
                    {**common, "defaultStatus": "affected", "versions": versions},
                ],
            }
        },
    }
    if score is not None:
        made["containers"]["cna"]["metrics"] = [{"cvssV3_1": {"baseScore": score}}]
    made.update(changes)
    return made


def as_files(*records: dict[str, Any]) -> dict[str, bytes]:
    """Records as the files of a bundle."""
    return {
        f"cve/published/2026/{item['cveMetadata']['cveId']}.json": json.dumps(item).encode()
        for item in records
    }


def manifest(files: Mapping[str, bytes], **changes: Any) -> bytes:
    """The manifest of these files."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return json.dumps(
        {"schema": 1, "as_of": "2026-11-20", "source": "made by hand", "files": digests} | changes
    ).encode()


def tar_bundle(path: Path, files: Mapping[str, bytes], about: bytes | None = None) -> Path:
    """A tar of the files with a manifest; `about` replaces the true one."""
    with tarfile.open(path, "w") as archive:
        for name, data in {
            "manifest.json": about if about is not None else manifest(files),
            **files,
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zip_bundle(path: Path, files: Mapping[str, bytes]) -> Path:
    """The same as a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", manifest(files))
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def facts(release: str, **changes: Any) -> KernelFacts:
    """Facts of a kernel of which little is known but its release."""
    known: dict[str, Any] = {
        "arm": release, "ref": f"vmlinuz:{release}", "release": release, "arch": "amd64",
        "version": "", "kernel_sha256": "0" * 64, "source": "vmlinuz",
        "signature": ImageSignature(True, True, ("A signer",)),
    }  # fmt: skip
    return KernelFacts(**(known | changes))
