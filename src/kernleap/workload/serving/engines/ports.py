"""Loopback ports: reserving a free one, and finding who listens on one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LISTEN = "0A"


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free loopback port that no other bind(0) is given meanwhile.

    The socket is bound and never listens. With both reuse options set, a server that sets
    either (all usual ones do) may bind and listen on the same port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]


def listeners(port: int) -> set[int]:
    """Process ids that listen on a TCP port of this machine, as far as /proc lets us see."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    found: set[int] = set()
    if not inodes:
        return found
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        found.add(int(process.name))
                        break
    return found


def _listening_inodes(port: int) -> Iterator[str]:
    """Inodes of listening sockets: proc_net_tcp(5), fields local_address, st and inode."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
