"""What the kernel was doing something for, by a stack of its functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

OTHER = "other"
ENTRY = "entry and exit"
"""A system call's own way in and out, without a call in it."""
_SOFTIRQ = re.compile(r"handle_softirqs|__do_softirq|__softirqentry_text_start")
_VECTORS = {
    "net_rx_action": "net_rx",
    "net_tx_action": "net_tx",
    "run_timer_softirq": "timer",
    "__run_timers": "timer",
    "hrtimer_run_softirq": "hrtimer",
    "sched_balance_softirq": "sched",
    "run_rebalance_domains": "sched",
    "rcu_core": "rcu",
    "rcu_core_si": "rcu",
    "tasklet_action": "tasklet",
    "tasklet_hi_action": "hi",
    "tasklet_action_common": "tasklet",
    "workqueue_softirq_action": "tasklet",
    "blk_done_softirq": "block",
    "irq_poll_softirq": "irq_poll",
}
_INTERRUPT = re.compile(
    r"(asm_)?(sysvec_\w+|_*common_interrupt|do_IRQ)|el[01]t?h?_(64_)?(interrupt|irq)|gic_handle_irq"
)
_FAULT = re.compile(r"(asm_)?exc_page_fault|do_page_fault|do_mem_abort|el[01]_(da|ia|abort)")
_EXCEPTION = re.compile(r"(asm_)?exc_\w+|el0_(?!svc)\w+")
_TRAPS = ((_FAULT, "page fault"), (_INTERRUPT, "interrupt"), (_EXCEPTION, "exception"))
_ENTRY = re.compile(r"do_syscall_\w+|x64_sys_call|ia32_sys_call|el0_svc\w*|do_el0_svc\w*|"
                    r"invoke_syscall\w*|do_fast_syscall_\w+|do_int80_\w+")  # fmt: skip
_CALL = re.compile(r"__(?:x64|ia32|arm64|riscv|s390x?|se|do)_(?:compat_)?sys_(\w+)")
_ALIAS = re.compile(r"(?:ksys_|_*sys_|do_sys_|vfs_|do_)(\w+)")
_WAY_OUT = re.compile(r"\w*(exit_to_user|syscall_exit|syscall_enter|syscall_trace|enter_from)\w*")
_CLONE = re.compile(r"\.[\w.]+$")


def context_of(frames: Sequence[str]) -> str:
    """The innermost context of a stack of kernel functions, the innermost first."""
    for index, raw in enumerate(frames):
        frame = _CLONE.sub("", raw)
        if _SOFTIRQ.fullmatch(frame):
            inner = (_CLONE.sub("", f) for f in reversed(frames[:index]))
            return f"softirq {next((_VECTORS[f] for f in inner if f in _VECTORS), OTHER)}"
        for pattern, name in _TRAPS:
            if pattern.fullmatch(frame):
                return name
        if _ENTRY.fullmatch(frame):
            return f"call {_call(frames[:index])}"
        if match := _CALL.fullmatch(frame):
            return f"call {match[1]}"
    return "kernel thread" if any(f in ("kthread", "ret_from_fork") for f in frames) else OTHER


def _call(inner: Sequence[str]) -> str:
    """The system call, by the outermost function inside the entry code."""
    if not inner:
        return ENTRY
    frame = _CLONE.sub("", inner[-1])
    if _WAY_OUT.fullmatch(frame):
        return ENTRY
    match = _CALL.fullmatch(frame) or _ALIAS.fullmatch(frame)
    return match[1] if match else frame
