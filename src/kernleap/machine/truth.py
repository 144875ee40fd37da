"""Whether an emulated shape is what its profile promises, by the guest kernel's own word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kernleap.guest.channel import ChannelError, Records
from kernleap.machine.collect import InvalidTrial
from kernleap.model.topology import Topology, cpu_list, cpus_in

_SWITCHED_ON = "enabling cache aware sched"


def check_truth(topology: Topology, records: Records, facts: dict[str, Any]) -> None:
    """Compare; what the guest said goes into `facts`.

    Raises:
        InvalidTrial: the guest's kernel sees another shape; the reason names the first difference.
        ChannelError: it did not say what every placed guest says.
    """
    said = records.of("cpu")
    if [r.get("cpu") for r in said] != list(range(topology.cpus)):
        raise InvalidTrial(f"the guest has {len(said)} CPUs, the profile {topology.cpus}")
    try:
        seen = {
            "last-level caches": _lists(r["llc"] for r in said),
            "SMT siblings": tuple(t for t in _lists(r["smt"] for r in said) if len(cpus_in(t)) > 1),
            "NUMA nodes": _nodes([int(r["node"]) for r in said]),
            "scheduling domains": tuple(sorted({str(r["domains"]) for r in said})),
        }
        aware = records.one("cache_aware")
        line, enabled = str(aware["line"]), str(aware["enabled"])
    except (KeyError, TypeError, ValueError) as error:
        raise ChannelError(f"what the guest says of its CPUs is garbled: {error!r}") from error
    truth = topology.truth
    wanted = {
        "last-level caches": truth.llcs,
        "SMT siblings": truth.siblings,
        "NUMA nodes": truth.nodes,
        "scheduling domains": (" ".join(truth.domains),),
    }
    facts["topology"] = {name: list(lists) for name, lists in seen.items()}
    facts["cache_aware_line"] = line
    facts["cache_aware_enabled"] = enabled
    for name, lists in wanted.items():
        if seen[name] != tuple(lists):
            raise InvalidTrial(
                f"{name}: the guest sees {_shown(seen[name])}, "
                f"the profile {topology.name} promises {_shown(lists)}"
            )
    # A kernel without the knob does not know the feature and says nothing of it.
    wants = bool(enabled) and enabled not in ("0", "N") and truth.cache_aware
    if wants != (_SWITCHED_ON in line):
        raise InvalidTrial(
            f"cache-aware scheduling: the knob reads {enabled or 'nothing'!r} and the kernel says "
            f"{line or 'nothing'!r}, the profile {topology.name} promises "
            f"{'it on' if wants else 'it off'}"
        )


def _lists(texts: Iterable[Any]) -> tuple[str, ...]:
    """Each list once, in the order of its first CPU, as the kernel writes it."""
    return tuple(dict.fromkeys(cpu_list(cpus_in(str(text))) for text in texts))


def _nodes(node_of: list[int]) -> tuple[str, ...]:
    return tuple(
        cpu_list(cpu for cpu, node in enumerate(node_of) if node == number)
        for number in sorted(set(node_of))
    )


def _shown(lists: Iterable[str]) -> str:
    return " | ".join(lists) or "none"
