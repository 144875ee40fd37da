"""Runs a command in a network of its own, whose sysctls are nobody else's. Run as a program.

own_network.py COMMAND...             in a new network with a loopback device
own_network.py --join PID COMMAND...  in that of a process
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def new() -> None:
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWNET | (CLONE_NEWUSER if uid else 0)))
    if uid:  # root of a user namespace may do in its network what root may
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def join(pid: str) -> None:
    for kind in ("user", "net"):
        theirs = Path(f"/proc/{pid}/ns/{kind}")
        if theirs.readlink() != Path(f"/proc/self/ns/{kind}").readlink():
            with theirs.open() as namespace:
                check(libc.setns(namespace.fileno(), 0))


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "--join":
        join(words[1])
        words = words[2:]
    else:
        new()
    os.execvp(words[0], words)
