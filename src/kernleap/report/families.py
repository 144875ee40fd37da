"""Families: workloads that belong together on a page, told apart by how their names begin.

A run carries the names of its workloads but not their catalogue, so that it can be reported
years later; an unknown name forms a family of its own.
"""

from __future__ import annotations

_FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Placement",
        ("placement", "spin", "ping-pong", "pipeline", "serving-shape", "crowd", "single"),
    ),
    ("System calls", ("syscall", "getppid", "clock")),
    ("Pipes and eventfd", ("pipe", "eventfd")),
    ("Unix sockets", ("unix",)),
    ("TCP and UDP", ("tcp", "udp", "connect", "sendmsg", "inet")),
    ("Readiness", ("epoll", "poll", "select")),
    ("io_uring", ("io_uring", "io-uring", "uring", "iouring")),
    ("Futex and shared memory", ("futex", "shm", "shared")),
    ("Memory", ("mmap", "mem", "fault", "brk")),
    ("Processes and threads", ("fork", "thread", "clone", "exec", "spawn")),
    ("Serving", ("serving",)),
    ("Imported results", ("imported",)),
)

FORMS: dict[str, str] = {
    "1p": "one process",
    "2p-fifo": "two processes, FIFO",
    "2p-batch": "two processes, BATCH",
    "2p-other": "two processes, OTHER",
    "scattered": "scattered over the caches, then released",
    "control": "control: the feature must leave it alone",
}
"""What the forms of the micro suite mean, in words."""


def family_of(workload: str) -> str:
    """Title of the family a workload belongs to."""
    for title, prefixes in _FAMILIES:
        if any(workload == p or workload.startswith((p + "-", p + "_")) for p in prefixes):
            return title
    return workload.split("-", 1)[0] or "Other"
