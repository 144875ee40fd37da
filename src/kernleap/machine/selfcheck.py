"""Proof of the counter, in every boot: counts against a counter of the emulated machine.

Under icount with shift 0 one instruction takes one nanosecond of guest time, REP iterations and
hardware interrupts included. A region whose operations read a counter of the guest's own right
behind each marker must therefore agree with the plugin, but for one thing: an instruction that
faults is begun twice, and the plugin sees both beginnings where the counter sees the one that
ends.

x86's cycle counter advances by one per instruction, so each operation is compared exactly. arm64
offers user space a counter that advances once in several instructions (16 in QEMU): between two
readings lie `floor((phase + n) / step)` ticks, and one phase has to explain all of them. An error
of one instruction in every operation, or of one step in any, leaves no such phase.
"""

from __future__ import annotations

import numpy as np

from kernleap.guest.channel import ChannelError, Records
from kernleap.model.run import Region
from kernleap.probe.counts import RegionCounts
from kernleap.probe.counts_file import CountsError
from kernleap.probe.events import EVENTS

_LONGEST_STEP = 64
"""Beyond this a counter is too coarse to prove anything over 64 operations."""

SELFCHECK = Region(name="selfcheck/1p", program="selfcheck", form="1p", iterations=64, warmup=16)


def check_ticks(records: Records, counts: RegionCounts) -> None:
    """Compare the two counters.

    Raises:
        ChannelError: the guest reported no readings, or malformed ones.
        CountsError: the two disagree; nothing else counted in this boot can be trusted.
    """
    record = records.one("ticks")
    raw, step = record.get("differences"), record.get("step", 1)
    if not isinstance(raw, list) or not all(isinstance(t, int) for t in raw):
        raise ChannelError("the readings of the guest's counter are garbled")
    if not isinstance(step, int) or not 0 < step <= _LONGEST_STEP:
        raise ChannelError(f"a tick of the guest's counter cannot take {step} instructions")
    ticks = np.array(raw, dtype=np.int64)
    faults = counts.events[:, EVENTS.index("faults")].astype(np.int64)
    begun = counts.kernel + counts.user + counts.rep + counts.interrupt
    total = (begun.astype(np.int64) - faults)[1:]
    if len(ticks) != len(total):
        raise ChannelError(f"{len(ticks)} readings of the guest's counter, not {len(total)}")
    apart = np.concatenate(([0], np.cumsum(total - ticks * step)))
    spread = np.maximum.accumulate(apart) - np.minimum.accumulate(apart)
    if (wrong := np.flatnonzero(spread >= step)).size:
        at = int(wrong[0])
        raise CountsError(
            f"self-check: from operation {at} of {len(total)} on, counts disagree with the guest's "
            f"counter ({total[at - 1]} instructions counted, {ticks[at - 1]} ticks of {step})"
        )
