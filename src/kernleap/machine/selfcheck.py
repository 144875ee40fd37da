"""Proof of the counter, in every boot: counts against the emulated cycle counter.

Under icount with shift 0 one instruction takes one nanosecond of guest time and the cycle
counter advances by one per instruction, REP iterations and hardware interrupts included. A
region whose operations read that counter right behind each marker must therefore agree with
the plugin, operation by operation, exactly, but for one thing: an instruction that faults is
begun twice, and the plugin sees both beginnings where the cycle counter sees the one that ends.
"""

from __future__ import annotations

import numpy as np

from kernleap.guest.channel import ChannelError, Records
from kernleap.model.run import Region
from kernleap.probe.counts_file import CountsError, RegionCounts
from kernleap.probe.events import EVENTS

SELFCHECK = Region(name="selfcheck/1p", program="selfcheck", form="1p", iterations=64, warmup=16)


def check_ticks(records: Records, counts: RegionCounts) -> None:
    """Compare the two counters.

    Raises:
        ChannelError: the guest reported no readings, or malformed ones.
        CountsError: the two disagree; nothing else counted in this boot can be trusted.
    """
    raw = records.one("ticks").get("differences")
    if not isinstance(raw, list) or not all(isinstance(t, int) for t in raw):
        raise ChannelError("the readings of the cycle counter are garbled")
    ticks = np.array(raw, dtype=np.int64)
    faults = counts.events[:, EVENTS.index("faults")].astype(np.int64)
    begun = counts.kernel + counts.user + counts.rep + counts.interrupt
    total = (begun.astype(np.int64) - faults)[1:]
    if len(ticks) != len(total):
        raise ChannelError(f"{len(ticks)} readings of the cycle counter, not {len(total)}")
    if (wrong := np.flatnonzero(ticks != total)).size:
        first = int(wrong[0])
        raise CountsError(
            f"self-check: {wrong.size} of {len(total)} operations disagree with the cycle "
            f"counter (operation {first + 1}: counted {total[first]}, ticks {ticks[first]})"
        )
