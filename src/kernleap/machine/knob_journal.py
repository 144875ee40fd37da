"""The journal of knobs that are set on the running kernel: what each was before."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kernleap.kernel.cache import write_atomically
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Modifier, ModifierKind

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class KnobFact:
    """A knob that was set: what it was, what it reads now. `after` is None before it is set."""

    kind: str
    key: str
    wanted: str
    before: str
    after: str | None = None

    @property
    def modifier(self) -> Modifier:
        """The modifier that asked for it."""
        return Modifier(ModifierKind(self.kind), self.key, self.wanted)


class Journal:
    """What was before, on disk. One for each host: the directory may be shared by several."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / f".host-knobs-{socket.gethostname()}.json"
        self._lock = self.file.with_suffix(".lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone on this host. InfrastructureError if another holds it, or there is no disk."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._disk(error) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InfrastructureError(
                    "another kernleap has knobs of this kernel set",
                    where=str(self._lock),
                    next_step="wait until it has ended: two at once would measure each other",
                ) from error
            yield
        finally:
            os.close(descriptor)

    def write(self, facts: Sequence[KnobFact]) -> None:
        """Have it on the disk. InfrastructureError if the disk refuses."""
        document = {"boot": _boot(), "knobs": [asdict(fact) for fact in facts]}
        try:
            write_atomically(self.file, json.dumps(document).encode(), self.directory)
        except OSError as error:
            raise self._disk(error) from error

    def read(self) -> list[KnobFact]:
        """What a killed kernleap left; nothing if there was none, or the kernel is another."""
        try:
            document = json.loads(self.file.read_bytes())
            if document["boot"] != _boot():
                return []
            facts = [KnobFact(**knob) for knob in document["knobs"]]
            refuse([fact.modifier for fact in facts])
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._disk(error) from error
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise InfrastructureError(
                "the journal of knobs cannot be read",
                where=str(self.file),
                cause=str(error),
                next_step="look at it, put the knobs back by hand, and remove it",
            ) from error
        return facts

    def clear(self) -> None:
        """All has been put back."""
        with suppress(FileNotFoundError):
            self.file.unlink()

    def _disk(self, error: OSError) -> InfrastructureError:
        return InfrastructureError(
            "the journal of knobs cannot be kept, so none is touched",
            where=str(self.file),
            cause=error.strerror,
            next_step="set KERNLEAP_STATE to a directory that can be written",
        )


def refuse(modifiers: Sequence[Modifier]) -> None:
    """UsageError for what cannot be set on a running kernel, or is set twice."""
    seen: set[tuple[str, str]] = set()
    for modifier in modifiers:
        if modifier.kind is ModifierKind.CMDLINE:
            raise UsageError(
                "a boot parameter cannot be set on the running kernel",
                where=str(modifier),
                cause="it is decided when the machine boots",
                next_step="compare it in the lab, or boot the machine with it",
            )
        if (modifier.kind, modifier.key) in seen:
            raise UsageError("the same knob is set twice", where=str(modifier))
        seen.add((modifier.kind, modifier.key))


def _boot() -> str:
    return _BOOT_ID.read_text().strip()
