"""apt, privately: its own lists, cache and sources, so the machine's apt state never changes.

apt does what it does well: it finds the machine's proxies and credentials, verifies signatures
and transfers files. The configuration is the machine's `Acquire` options and nothing else of
it: its hooks (which would delete from the machine's cache) and its preferences stay out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernleap.archive.apt_sources import (
    SUITES,
    Mirror,
    machine_mirrors,
    mirror_from_environment,
    no_mirror_error,
)
from kernleap.model.errors import InfrastructureError

_UPDATE_LIMIT_S = 900
_FETCH_LIMIT_S = 1800
_POLL_S = 0.1
_ACQUIRE_OURS = (
    "Acquire::Languages",
    "Acquire::IndexTargets",
    "Acquire::GzipIndexes",
    "Acquire::CompressionTypes",
    "Acquire::PDiffs",
)


class NotServedError(Exception):
    """The mirror answers that it does not have this file."""


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A Packages file that an update brought: one suite of one mirror."""

    path: Path
    suite: str
    base_uri: str


class PrivateApt:
    """apt with everything it writes below `root`, for one architecture.

    Raises:
        InfrastructureError: apt is not on this machine.
    """

    def __init__(self, root: Path, arch: str) -> None:
        self.root = root
        self.arch = arch
        self._helper = _helper_path()
        self._conf = root / "apt.conf"

    def update(self) -> tuple[str, ...]:
        """Refresh the lists of every suite the mirror has; returns remarks on what it lacks.

        Raises:
            InfrastructureError: no mirror is known, or none gave a signed Debian index.
        """
        explicit = mirror_from_environment()
        mirrors = (explicit,) if explicit else machine_mirrors(self._source_files())
        if not mirrors:
            raise no_mirror_error()
        complaints: list[str] = []
        for mirror in mirrors:
            self._write_configuration(mirror)
            result = self._run(["apt-get", "update", "-q"], _UPDATE_LIMIT_S)
            have = {index.suite for index in self.indexes()}
            if have:
                return _remarks(result, have)
            complaints.append(_tail(result))
        raise InfrastructureError(
            "no index of Debian's archive could be fetched",
            where="; ".join(mirror.uri for mirror in mirrors),
            cause="\n".join(complaints) or None,
            next_step="check the network and `apt-get update`, or set KERNLEAP_OFFLINE=1 to use "
            "what is cached",
        )

    @property
    def mirror_uri(self) -> str:
        """The mirror that the last update used, without a slash at its end."""
        return (self.root / "mirror").read_text().strip().rstrip("/")

    def indexes(self) -> tuple[IndexFile, ...]:
        """The Packages files at hand that Debian's own signed Release files vouch for.

        Found by apt's naming of list files: `apt-get indextargets` would first build a cache
        of every package, which takes longer than all the rest.
        """
        lists = self.root / "lists"
        base_uri = (self.root / "mirror").read_text().strip()
        found = []
        for suite in SUITES:
            packages = sorted(lists.glob(f"*_dists_{suite}_main_binary-{self.arch}_Packages*"))
            releases = [*lists.glob(f"*_dists_{suite}_InRelease")]
            releases += lists.glob(f"*_dists_{suite}_Release")
            if packages and any(_is_of_debian(release) for release in releases):
                found.append(IndexFile(packages[0], suite, base_uri))
        return tuple(found)

    def read_index(self, index: IndexFile) -> str:
        """The text of a Packages file, whatever it is compressed with."""
        result = self._run([str(self._helper), "cat-file", str(index.path)], 120)
        if result.returncode:
            raise InfrastructureError(
                "apt cannot read its index", where=str(index.path), cause=_tail(result)
            )
        return result.stdout

    def download(
        self, uri: str, sha256: str, target: Path, progress: Callable[[int], None] | None = None
    ) -> None:
        """Fetch one file to `target` and have apt verify its digest.

        Raises:
            NotServedError: the mirror does not have it.
            InfrastructureError: anything else, with apt's words. `target` may then hold rubbish.
        """
        if not self._conf.is_file():
            raise InfrastructureError("the private apt configuration is gone", where=str(self.root))
        argv = [str(self._helper), "download-file", uri, str(target), f"SHA256:{sha256}"]

        def watch() -> None:
            if progress and target.is_file():
                progress(target.stat().st_size)

        result = self._run(argv, _FETCH_LIMIT_S, watch)
        if result.returncode == 0 and target.is_file():
            return
        words = result.stdout + result.stderr
        if any(sign in words for sign in ("404  ", "404 Not", "410  ", "403  ", "File not found")):
            raise NotServedError(uri)
        mismatch = "Hash Sum mismatch" in words or "unexpected size" in words
        raise InfrastructureError(
            "the download does not match the signed index" if mismatch else "a download failed",
            where=uri,
            cause=_tail(result),
            next_step="run the command again; if it persists, try another mirror",
        )

    def _source_files(self) -> list[Path]:
        listing = self._machine_config(
            [
                "apt-config",
                "shell",
                "LIST",
                "Dir::Etc::sourcelist/f",
                "PARTS",
                "Dir::Etc::sourceparts/d",
            ]
        )
        values: dict[str, str] = {}
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            values[key] = value.strip("'\"")
        files = [Path(values["LIST"])] if values.get("LIST") else []
        if values.get("PARTS"):
            parts = sorted(Path(values["PARTS"]).glob("*"))
            files += [p for p in parts if p.suffix in {".list", ".sources"}]
        return files

    def _write_configuration(self, mirror: Mirror) -> None:
        for name in ("lists/partial", "cache/archives/partial", "sources", "state", "log"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "state" / "status").touch()
        sources = "\n".join(mirror.stanza(suite) for suite in SUITES)
        (self.root / "sources" / "kernleap.sources").write_text(sources)
        (self.root / "mirror").write_text(mirror.uri)
        base = self._base_configuration()
        self._conf.write_text(base)
        self._conf.write_text(base + self._machine_acquire_options())

    def _base_configuration(self) -> str:
        settings = {
            "Dir::State": f"{self.root}/state/",
            "Dir::State::lists": f"{self.root}/lists/",
            "Dir::State::status": f"{self.root}/state/status",
            "Dir::State::extended_states": f"{self.root}/state/extended_states",
            "Dir::Cache": f"{self.root}/cache/",
            "Dir::Cache::archives": f"{self.root}/cache/archives/",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": f"{self.root}/sources/",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Log": f"{self.root}/log/",
            "APT::Architecture": self.arch,
            "APT::Get::List-Cleanup": "true",
            "pkgCacheFile::Generate": "false",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "true",
            "Acquire::PDiffs": "false",
            "Acquire::Retries": "2",
        }
        lines = [f'{key} "{value}";' for key, value in settings.items()]
        lines.append(f'APT::Architectures {{ "{self.arch}"; }};')
        return "\n".join(lines) + "\n"

    def _machine_acquire_options(self) -> str:
        """The machine's `Acquire` settings (proxies, time limits) that differ from apt's own."""
        plain = set(self._run(["apt-config", "dump"], 30).stdout.splitlines())
        machine = self._machine_config(["apt-config", "dump"]).splitlines()
        kept = [
            line
            for line in machine
            if line.startswith("Acquire::")
            and line not in plain
            and not line.startswith(_ACQUIRE_OURS)
        ]
        return "\n".join([*kept, ""])

    def _machine_config(self, argv: Sequence[str]) -> str:
        return _run(argv, 30, os.environ).stdout

    def _run(
        self, argv: Sequence[str], limit_s: float, watch: Callable[[], None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "APT_CONFIG": str(self._conf)}
        return _run(argv, limit_s, environment, watch)


def _helper_path() -> Path:
    missing = [name for name in ("apt-get", "apt-config") if shutil.which(name) is None]
    helper = Path("/usr/lib/apt/apt-helper")
    if missing or not helper.is_file():
        raise InfrastructureError(
            "`debian:` kernels are fetched with apt, and this machine has none",
            where=", ".join(missing) or str(helper),
            next_step="fetch the package yourself and give deb:PATH, or use another source",
        )
    return helper


def _run(
    argv: Sequence[str],
    limit_s: float,
    environment: Mapping[str, str],
    watch: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, which comes at the latest with the limit or with ours.

    It stays in our process group, so that Ctrl-C ends it even while a thread waits for it.
    """
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**environment, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
    ) as process:
        deadline = time.monotonic() + limit_s
        try:
            while True:
                try:
                    stdout, stderr = process.communicate(timeout=_POLL_S if watch else limit_s)
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() > deadline:
                        raise
                    if watch:
                        watch()
        except BaseException as error:
            process.kill()  # its transfer methods end with it: they read from a pipe of its
            if isinstance(error, subprocess.TimeoutExpired):
                raise InfrastructureError(
                    f"apt did not finish within {limit_s:.0f} s",
                    where=" ".join(argv),
                    next_step="check the network, then run the command again",
                ) from error
            raise
    return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)


def _is_of_debian(release: Path) -> bool:
    """Whether a Release file, whose signature apt has verified, says it is Debian's."""
    head = release.read_text("utf-8", "replace")[:4096]
    origin = re.search(r"^Origin: (.+)$", head, re.MULTILINE)
    return origin is not None and origin[1].strip() in {"Debian", "Debian Backports"}


def _complaints(result: subprocess.CompletedProcess[str]) -> list[str]:
    """apt's errors and warnings, without the one about who downloads."""
    lines = (result.stderr + result.stdout).splitlines()
    told = [line.strip() for line in lines if line.startswith(("E:", "W:", "Err:", "  "))]
    return [line for line in dict.fromkeys(told) if "unsandboxed" not in line]


def _tail(result: subprocess.CompletedProcess[str]) -> str:
    return "\n".join(_complaints(result)[:6]) or f"exit status {result.returncode}"


def _remarks(result: subprocess.CompletedProcess[str], have: set[str]) -> tuple[str, ...]:
    """What the update did not bring, suite by suite, in apt's words where it has some."""
    remarks = [f"no index of suite {suite}" for suite in SUITES if suite not in have]
    for line in _complaints(result):
        if any(f"/dists/{suite}/" in line or f" {suite} " in line for suite in have):
            remarks.append(line.removeprefix("E: ").removeprefix("W: "))
    return tuple(remarks)
