"""`llama.cpp`: llama-server of Debian's packages, unpacked and started by kernleap."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kernleap.workload.serving.engines.base import (
    EngineFacts,
    Form,
    ServeOptions,
    Serving,
    register,
)
from kernleap.workload.serving.engines.readiness import Launch, started
from kernleap.workload.serving.models import obtain_model, read_gguf
from kernleap.workload.serving.packages import llama_tree

_FOREIGN = ("LLAMA_", "GGML_", "OMP_", "GOMP_", "LD_")


def server_arguments(model: str, port: int, options: ServeOptions) -> list[str]:
    """What llama-server is started with, on hosts and in guests alike.

    No prompt cache: each request pays for its own prompt, whatever was asked before. No web
    interface, and a log of warnings only: a line per request would be work for the kernel that
    no token needs.
    """
    return [
        "--model",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--threads",
        str(options.threads),
        "--parallel",
        str(options.streams),
        # A stream holds one of these threads for as long as it lasts.
        "--threads-http",
        str(options.streams + 4),
        "--ctx-size",
        str(options.streams * options.context),
        "--no-cache-prompt",
        "--cache-ram",
        "0",
        "--no-ui",
        "--log-verbosity",
        "2",
        *options.extra_arguments,
    ]


@register
class LlamaCpp:
    """The default engine: small, starts in a second, runs on any CPU and in the lab."""

    name = "llama.cpp"
    argument_hint = "nothing, `tiny`, `smollm2`, or the path of a .gguf file"

    def check_argument(self, argument: str) -> str | None:  # noqa: ARG002
        """Any text may be a model; whether it is one shows when it is opened."""
        return None

    @contextmanager
    def serve(self, argument: str, options: ServeOptions) -> Iterator[Serving]:
        """Start a fresh llama-server, and end it with the context."""
        model = obtain_model(argument or options.model, offline=options.offline)
        facts = read_gguf(model)
        tree = llama_tree(offline=options.offline)

        def argv(port: int, _directory: Path) -> Sequence[str]:
            return [*tree.program(), *server_arguments(str(model), port, options)]

        launch = Launch(self.name, argv, ("/health",), env=lambda _port, _directory: _without())
        with started(launch, options) as (process, address):
            form = options.form or Form.OPENAI_COMPLETIONS
            yield Serving(
                address=address,
                form=form,
                model_name=facts.name,
                process=process,
                tree_root=process.tree_root,
                ignores_eos=True,
                one_event_per_token=True,
                facts=EngineFacts(
                    engine=self.name,
                    version=tree.version,
                    managed=True,
                    address=str(address),
                    form=form,
                    model_name=facts.name,
                    model=facts,
                    command_line=process.argv,
                    threads=options.threads,
                    pids=tuple(process.pids()),
                    more={"tree": tree.digest, "backend": _backend(process.pids())},
                ),
            )


def _without() -> dict[str, str | None]:
    """Variables that would change the server behind the back of what is recorded of it."""
    return dict.fromkeys(name for name in os.environ if name.startswith(_FOREIGN))


def _backend(pids: Sequence[int]) -> str:
    """Which CPU backend the server has loaded: the code paths its arithmetic takes."""
    for pid in pids:
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            continue
        for word in maps.split():
            if "/libggml-cpu-" in word:
                return word.rpartition("/libggml-cpu-")[2].removesuffix(".so")
    return "unknown"
