"""Kinds of machines, by name: each registers itself from its own file in `machine/kinds`."""

from __future__ import annotations

from typing import Protocol, TypeVar

from kernleap.machine.base import Machine
from kernleap.model.errors import UsageError
from kernleap.model.machine import MachineSpec
from kernleap.workload.needs import Needs


class Kind(Protocol):
    """A kind of machine. One instance each, registered at import."""

    name: str
    summary: str
    """What it is, in a few words, for people."""
    suites: tuple[str, ...]
    """What a run on it measures when nobody says which suites."""

    def fit(self, spec: MachineSpec, needs: Needs) -> MachineSpec:
        """The machine of this kind on which a suite with these needs runs.

        Raises:
            UsageError: such a suite cannot run on it.
        """
        ...

    def open(self, spec: MachineSpec) -> Machine:
        """Get the machine ready.

        Raises:
            InfrastructureError: it cannot be had here.
            UsageError: the spec asks for what it does not have.
        """
        ...


_KINDS: dict[str, Kind] = {}
_K = TypeVar("_K", bound=type)


def register(kind_class: _K) -> _K:
    """Class decorator: enter one instance of a kind under its name."""
    instance: Kind = kind_class()
    _KINDS[instance.name] = instance
    return kind_class


def kind_of(name: str) -> Kind:
    """The kind of that name.

    Raises:
        UsageError: there is none; the error lists what there is.
    """
    known = kinds()
    for kind in known:
        if kind.name == name:
            return kind
    raise UsageError(
        f"There is no kind of machine {name!r}",
        where="--machine",
        cause="known: " + ", ".join(f"{kind.name} ({kind.summary})" for kind in known),
    )


def kinds() -> tuple[Kind, ...]:
    """Every registered kind, by name."""
    # Importing the package imports each of its modules, which register themselves.
    import kernleap.machine.kinds  # noqa: F401, PLC0415

    return tuple(_KINDS[name] for name in sorted(_KINDS))


def machine_for(spec: MachineSpec) -> Machine:
    """The machine that a spec describes, ready for trials.

    Raises:
        UsageError: no such kind, or it does not have what the spec asks for.
        InfrastructureError: it cannot be had here.
    """
    return kind_of(spec.kind).open(spec)
