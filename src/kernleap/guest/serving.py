"""The guest that serves: llama.cpp, the tiny model and the load driver beside PID 1."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass

from kernleap.guest.build import build_driver
from kernleap.guest.initramfs import Entry, GuestImage, guest_image
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch
from kernleap.model.run import Region
from kernleap.workload.serving.engines.base import ServeOptions
from kernleap.workload.serving.engines.llama_cpp import server_arguments
from kernleap.workload.serving.packages import llama_tree
from kernleap.workload.serving.region import PROGRAM
from kernleap.workload.serving.tiny import tiny_model
from kernleap.workload.serving.tree import SERVER, guest_files

_DRIVER = "usr/bin/kernleap-load"
_MODEL = "model.gguf"
_PORT = 8080
_READY_S = 120
_SUMMARY = "/tmp/summary.json"  # noqa: S108 - the guest's own, which nobody else lives in


@dataclass(frozen=True, slots=True)
class Shape:
    """A closed loop over a tiny model. The parameters of a serving region, in this order."""

    streams: int
    requests: int
    tokens: int
    """Output tokens of each request; each makes one event."""
    prompt: int
    """Prompt tokens of each request."""

    @classmethod
    def of(cls, region: Region) -> Shape:
        """The shape of a region; UsageError when its parameters are not one."""
        if region.program != PROGRAM or len(region.params) != 4 or min(region.params) < 1:
            raise UsageError(f"{region.name} is no serving region", where=str(region.params))
        return cls(*region.params)


def serving_image(
    arch: Arch = Arch.AMD64, *, progress: Callable[[str, int, int], None] | None = None
) -> GuestImage:
    """Build the serving guest, or take it from the cache.

    Raises:
        InfrastructureError: a part of it cannot be fetched or built.
    """
    mode = stat.S_IFREG
    tree = llama_tree(arch, progress=progress)
    files = [
        Entry(path, mode | permissions, here.read_bytes())
        for path, here, permissions in guest_files(tree)
    ]
    files.append(Entry(_DRIVER, mode | 0o755, build_driver(arch).read_bytes()))
    files.append(Entry(_MODEL, mode | 0o644, tiny_model()))
    return guest_image(arch, files)


def serving_lines(region: Region, seed: int) -> list[str]:
    """The lines of the guest's plan that start the engine, wait for it, and drive it.

    One vCPU serves and drives: engine and driver share it as they share a socket.
    """
    shape = Shape.of(region)
    engine = (
        *("llama", f"/{SERVER}"),
        *server_arguments(
            f"/{_MODEL}",
            _PORT,
            ServeOptions(streams=shape.streams, context=_context(shape), threads=1),
        ),
    )
    load = (
        *(PROGRAM, region.form, str(region.iterations), _SUMMARY, f"/{_DRIVER}"),
        *(f"port={_PORT}", "form=llama", "arrival=closed", f"concurrency={shape.streams}"),
        *(f"requests={shape.requests}", f"warmup_requests={region.warmup}", f"seed={seed}"),
        *(f"prompt=fixed:{shape.prompt}", "prompt_form=letters", f"output=fixed:{shape.tokens}"),
        *('extra="ignore_eos":true', "keep_alive=0", "markers=1", f"summary={_SUMMARY}"),
    )
    return [
        "start " + "\t".join(engine),
        f"ready llama\t{_PORT}\t/health\t{_READY_S}",
        "drive " + "\t".join(load),
    ]


def _context(shape: Shape) -> int:
    """Tokens of context for one stream: prompt and answer, rounded up as llama.cpp wants."""
    return -(-(shape.prompt + shape.tokens + 16) // 256) * 256
