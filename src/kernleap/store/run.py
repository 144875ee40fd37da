"""A run on disk: created whole, trials added one file at a time, never rewritten.

```
<runs dir>/<run id>/plan.json            everything decided before the first boot
                   /facts.json           what risk needs of its kernels, where it was gathered
                   /kconfig/<sha256>     configurations of the kernels, where known
                   /trials/<id>.parquet  one file a trial, there once it has ended
                   /report.html .json    the latest judgement (can be made again)
                   /controller.lock      held while a controller works on the run
                   /work/                scratch of trials under way
```
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import pyarrow as pa
import pyarrow.parquet as pq

from kernleap import paths
from kernleap.model.errors import KernleapError, UsageError
from kernleap.model.run import FACTS, RunData, RunPlan
from kernleap.model.trial import Trial, TrialRecord, TrialStatus
from kernleap.store.errors import cannot_write, damaged, newer_schema
from kernleap.store.facts_file import read_facts
from kernleap.store.find import find_run, run_ids
from kernleap.store.plan_file import read_plan, write_plan
from kernleap.store.schema import (
    Header,
    NewerSchemaError,
    check_version,
    from_table,
    read_header,
    to_bytes,
)
from kernleap.store.write import leftovers, sync_directory, write_atomically

_UNFINISHED = ".new-"
_UNFINISHED_MAX_AGE_S = 3600.0


_LOCK_WAIT_S = 2.0
"""A child that a killed controller was just starting holds the lock for a moment longer."""


class RunStore:
    """One run. Reading needs no lock; writing is for the holder of `controlling()`."""

    def __init__(self, path: Path, plan: RunPlan) -> None:
        self.path = path
        self.plan = plan
        self._trials: dict[str, Trial] = {trial.id: trial for trial in plan.trials}

    # -- making and finding runs -----------------------------------------------------------

    @classmethod
    def create(cls, plan: RunPlan, kconfigs: Mapping[str, str]) -> RunStore:
        """Make the run's directory with its plan; `kconfigs` maps kernels to configuration texts.

        The directory appears whole or not at all.

        Raises:
            InfrastructureError: it cannot be written, or a run of this id exists.
            ValueError: a configuration does not match its digest in the plan.
        """
        base = paths.runs_dir()
        final = base / plan.id
        new = base / f"{_UNFINISHED}{plan.id}"
        try:
            base.mkdir(parents=True, exist_ok=True)
            _drop_unfinished(base)
            for name in ("kconfig", "trials"):
                (new / name).mkdir(parents=True)
            digests = {inputs.key: inputs.kconfig_sha256 for inputs in plan.inputs}
            for key, text in kconfigs.items():
                data = text.encode("utf-8", "surrogateescape")
                if hashlib.sha256(data).hexdigest() != digests.get(key):
                    raise ValueError(f"configuration of {key} does not match the plan's digest")
                write_atomically(new / "kconfig" / digests[key], data, replace=True)
            write_plan(new / "plan.json", plan)
            new.rename(final)
            sync_directory(base)
        except OSError as error:
            raise cannot_write(final, error) from error
        finally:
            if new.exists():
                shutil.rmtree(new, ignore_errors=True)
        return cls(final, plan)

    @classmethod
    def open(cls, run: str | Path) -> RunStore:
        """The run of that id, unique prefix of an id, path, or `latest`.

        Raises:
            UsageError: there is none, or several match.
            InfrastructureError: its plan cannot be read.
        """
        path = find_run(str(run))
        return cls(path, read_plan(path / "plan.json"))

    @staticmethod
    def list() -> tuple[str, ...]:
        """Ids of all runs, oldest first."""
        return run_ids()

    # -- controlling -----------------------------------------------------------------------

    @contextlib.contextmanager
    def controlling(self) -> Iterator[None]:
        """Hold the run for writing; leftovers of a killed controller are swept first.

        The kernel releases the lock when its holder dies, however it dies.

        Raises:
            UsageError: another controller holds it.
            InfrastructureError: the lock cannot be made.
        """
        path = self.path / "controller.lock"
        lock = filelock.FileLock(path, timeout=_LOCK_WAIT_S)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise UsageError(
                "Another kernleap is working on this run",
                where=str(self.path),
                next_step="wait for it or stop it; the run can be read meanwhile "
                f"(kernleap runs show {self.plan.id})",
            ) from None
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            self._sweep()
            yield
        finally:
            with contextlib.suppress(OSError):
                shutil.rmtree(self.work_dir, ignore_errors=True)
            lock.release()

    @property
    def busy(self) -> bool:
        """Whether a controller works on the run now."""
        path = self.path / "controller.lock"
        if not path.exists():
            return False
        lock = filelock.FileLock(path, timeout=_LOCK_WAIT_S)
        try:
            with lock:
                return False
        except (filelock.Timeout, OSError):
            return True

    @property
    def work_dir(self) -> Path:
        """Scratch of trials under way; swept whenever a controller starts or ends."""
        return self.path / "work"

    def _sweep(self) -> None:
        shutil.rmtree(self.work_dir, ignore_errors=True)
        for directory in (self.path, self.path / "trials"):
            for leftover in leftovers(directory):
                leftover.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the run and everything measured in it.

        Raises:
            UsageError: a controller works on it.
        """
        with self.controlling():
            gone = self.path.with_name(f"{_UNFINISHED}{self.path.name}")
            self.path.rename(gone)
        shutil.rmtree(gone)

    # -- trials ----------------------------------------------------------------------------

    def trial_path(self, trial_id: str) -> Path:
        """Where the record of a trial is or will be."""
        return self.path / "trials" / f"{trial_id}.parquet"

    def write(self, record: TrialRecord) -> Path:
        """Store the record of an ended trial, atomically. Samples are never rewritten.

        A record may take the place of a *failed* one (which has no samples), never of an
        `ok` one.

        Raises:
            ValueError: the trial is not in the plan, or has been stored with status `ok`.
            InfrastructureError: it cannot be written; nothing is left half-written.
        """
        if self._trials.get(record.trial.id) != record.trial:
            raise ValueError(f"trial {record.trial.id} is not part of run {self.plan.id}")
        path = self.trial_path(record.trial.id)
        if path.exists() and self._header(path).status is TrialStatus.OK:
            raise ValueError(f"trial {record.trial.id} is already stored")
        write_atomically(path, to_bytes(record), replace=True)
        return path

    def write_report(self, name: str, text: str) -> Path:
        """Store a rendering of the judgement (it can be made again) and return its path."""
        path = self.path / name
        write_atomically(path, text.encode("utf-8"), replace=True)
        return path

    def finished(self) -> dict[str, TrialStatus]:
        """Stored trials and how they ended, in plan order. Reads headers only.

        Raises:
            InfrastructureError: a file is damaged or does not belong here; names it.
            UsageError: a file was written by a newer kernleap.
        """
        return {trial_id: header.status for trial_id, header in self.headers().items()}

    def headers(self) -> dict[str, Header]:
        """Headers of stored trials (everything but samples and profiles), in plan order."""
        headers = {path.stem: self._header(path) for path in self._trial_files()}
        return {trial_id: headers[trial_id] for trial_id in self._trials if trial_id in headers}

    def load(self) -> RunData:
        """The run with every stored trial, in plan order.

        Raises:
            InfrastructureError, UsageError: as `finished`.
        """
        files = self._trial_files()
        with ThreadPoolExecutor() as pool:
            loaded = list(pool.map(self._record, files))
        records = {record.trial.id: record for record in loaded}
        ordered = tuple(records[trial_id] for trial_id in self._trials if trial_id in records)
        facts = read_facts(self.path)
        extra = {FACTS: facts} if facts else {}
        return RunData(self.plan, ordered, self.kconfigs(), extra)

    def kconfigs(self) -> dict[str, str]:
        """Configuration texts by the kernel's key, where they are known.

        Raises:
            InfrastructureError: one is missing or not the one planned.
        """
        texts = {}
        for inputs in self.plan.inputs:
            if not inputs.kconfig_sha256:
                continue
            path = self.path / "kconfig" / inputs.kconfig_sha256
            try:
                data = path.read_bytes()
            except OSError as error:
                raise damaged(path, error.strerror or str(error)) from error
            if hashlib.sha256(data).hexdigest() != inputs.kconfig_sha256:
                raise damaged(path, "its bytes do not match its digest")
            texts[inputs.key] = data.decode("utf-8", "surrogateescape")
        return texts

    def _trial_files(self) -> tuple[Path, ...]:
        """Trial files; anything else there is an error, temporaries of writers excepted."""
        directory = self.path / "trials"
        try:
            files = sorted(p for p in directory.iterdir() if not p.name.startswith("."))
        except OSError as error:
            raise damaged(directory, error.strerror or str(error)) from error
        for path in files:
            if path.suffix != ".parquet" or path.stem not in self._trials:
                raise damaged(path, "it is not a trial of this run's plan")
        return tuple(files)

    def _header(self, path: Path) -> Header:
        try:
            header = read_header(pq.read_schema(path).metadata)
        except (ValueError, OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from error
        self._check_place(path, header.trial)
        return header

    def _record(self, path: Path) -> TrialRecord:
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                check_version(file.schema_arrow.metadata)
                record = from_table(file.read(use_threads=False))
        except (ValueError, TypeError, OSError, KeyError, pa.ArrowException) as error:
            raise _unreadable(path, error) from error
        self._check_place(path, record.trial)
        return record

    def _check_place(self, path: Path, trial: Trial) -> None:
        if self._trials[path.stem] != trial:
            raise damaged(path, f"it holds trial {trial.id}, not the one its name promises")


def _drop_unfinished(base: Path) -> None:
    """Remove what a killed `create` or `remove` left, once nobody can be at work on it."""
    limit = time.time() - _UNFINISHED_MAX_AGE_S
    for path in base.glob(f"{_UNFINISHED}*"):
        if path.stat().st_mtime < limit:
            shutil.rmtree(path, ignore_errors=True)


def _unreadable(path: Path, error: Exception) -> KernleapError:
    if isinstance(error, NewerSchemaError):
        return newer_schema(path, str(error))
    return damaged(path, str(error))
