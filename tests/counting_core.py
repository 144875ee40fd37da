"""The plugin's real counting core, driven from Python in place of an emulator.

Instructions are planned once and executed by making the calls and adding to the counters that
the plan names, which is what QEMU's translated code does.
"""

from __future__ import annotations

import ctypes
import shutil
import struct
from pathlib import Path

from kernleap.guest import build

BLOCK = 4096
NOP = b"\x90"
REP_MOVSB = b"\xf3\xa4"
IRETQ = b"\x48\xcf"
ARM, BEGIN, MARK, END, SEND, RESUME, SERVICE = 1, 2, 3, 4, 5, 6, 7
USER = 0x400000
KERNEL = 0xFFFFFFFF81000000


class _Setup(ctypes.Structure):
    _fields_ = (
        ("abi", ctypes.c_uint),
        ("api_min", ctypes.c_int),
        ("api_cur", ctypes.c_int),
        ("target_name", ctypes.c_char_p),
        ("system_emulation", ctypes.c_bool),
        ("smp_vcpus", ctypes.c_int),
        ("max_vcpus", ctypes.c_int),
        ("argc", ctypes.c_int),
        ("argv", ctypes.POINTER(ctypes.c_char_p)),
        ("new_block", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)),
    )


class _Add(ctypes.Structure):
    _fields_ = (("block", ctypes.c_uint32), ("index", ctypes.c_uint32))


class _Plan(ctypes.Structure):
    _fields_ = (
        ("marker", ctypes.c_int),
        ("watch_load", ctypes.c_bool),
        ("boundary", ctypes.c_size_t),
        ("n_adds", ctypes.c_uint),
        ("adds", _Add * 3),
    )


def compile_core(output: Path) -> Path:
    """The plugin without its QEMU side, as a shared library with its functions visible."""
    plugin = build.plugin_artefact("v1")
    sources = tuple(s for s in plugin.sources if not s.startswith("abi_"))
    build.compile_artefact(
        build.Artefact(output.name, plugin.directory, sources, plugin.flags), output
    )
    return output


def marker(op: int, target: bytes = b"x86_64") -> bytes:
    """The marker instruction's bytes."""
    if target == b"aarch64":
        return struct.pack("<I", 0xD2C0001F | (0x4B00 | op) << 5)
    return b"\x0f\x1f\x80" + struct.pack("<I", 0x4B4C0000 | op)


class Core:
    """One loaded core, its state its own: each instance loads a fresh copy of the library."""

    def __init__(
        self,
        library: Path,
        scratch: Path,
        *,
        args: tuple[str, ...] | None = None,
        target: bytes = b"x86_64",
        vcpus: int = 1,
        system: bool = True,
    ) -> None:
        self.out = scratch / "counts"
        self.target = target
        copy = scratch / f"core-{id(self)}.so"
        shutil.copy(library, copy)
        self.lib = ctypes.CDLL(str(copy))
        copy.unlink()
        self.lib.kl_plan.argtypes = (
            ctypes.c_uint64,
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.POINTER(_Plan),
        )
        self.lib.kl_boundary.argtypes = (ctypes.c_size_t,)
        self.lib.kl_load.argtypes = (ctypes.c_uint64,)
        self.lib.kl_wants.argtypes = (ctypes.c_uint64,)
        self.lib.kl_wants.restype = self.lib.kl_marker.restype = ctypes.c_bool
        self.blocks: dict[int, ctypes.Array[ctypes.c_uint64]] = {}
        self.plans: dict[tuple[int, bytes], _Plan] = {}
        words = [a.encode() for a in (args if args is not None else (f"out={self.out}",))]
        self._argv = (ctypes.c_char_p * len(words))(*words)
        self._new_block = _Setup._fields_[-1][1](self._block)
        setup = _Setup(
            abi=1,
            api_min=0,
            api_cur=1,
            target_name=target,
            system_emulation=system,
            smp_vcpus=vcpus,
            max_vcpus=vcpus,
            argc=len(words),
            argv=self._argv,
            new_block=self._new_block,
        )
        self.accepted = self.lib.kl_init(ctypes.byref(setup)) == 0

    def _block(self, number: int) -> int:
        self.blocks[number] = (ctypes.c_uint64 * BLOCK)()
        return ctypes.addressof(self.blocks[number])

    def run(self, vaddr: int, code: bytes = NOP, *, reads: int | None = None) -> None:
        """Translate (once) and execute one instruction; `reads` is the address it loads."""
        plan = self.plans.get((vaddr, code))
        if plan is None:
            plan = _Plan()
            if self.lib.kl_wants(vaddr):
                self.lib.kl_plan(vaddr, code, len(code), ctypes.byref(plan))
            self.plans[vaddr, code] = plan
        if plan.marker and self.lib.kl_marker(plan.marker):
            self.plans.clear()
            self.lib.kl_rearmed()
        if plan.boundary:
            self.lib.kl_boundary(plan.boundary)
        for i in range(plan.n_adds):
            self.blocks[plan.adds[i].block][plan.adds[i].index] += 1
        if plan.watch_load and reads is not None:
            self.lib.kl_load(reads)

    def mark(self, op: int) -> None:
        """Execute a marker in user space (each op at an address of its own)."""
        self.run(USER + 16 * op, marker(op, self.target))

    def send(self, event: int, address: int) -> None:
        """Send one (event, address) message as a guest does."""
        after = USER + 16 * SEND + len(marker(SEND, self.target))
        for word in (event, address):
            for piece in range(4):
                self.mark(SEND)
                self.run(after, b"\x8a\x00", reads=word >> 16 * piece & 0xFFFF)

    def finish(self) -> Path:
        """End the machine; returns the counts file."""
        self.lib.kl_finish()
        return self.out
