"""Engines: what each must offer, the registry they enter themselves in, and what serves.

An engine is one module of this package. `llama.cpp` and `command:` start a server and end it;
`openai:` and `tgi:` find one that runs; `vllm` does either.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.workload.serving.engines.http import Address
from kernleap.workload.serving.engines.process import ServerProcess
from kernleap.workload.serving.models import ModelFacts
from kernleap.workload.serving.process_tree import TreeAccount


class Form(StrEnum):
    """How a server wants to be asked, and how it streams."""

    OPENAI_COMPLETIONS = "openai"
    """POST /v1/completions, events `data: {...}`, closed by `data: [DONE]`."""
    OPENAI_CHAT = "openai-chat"
    """POST /v1/chat/completions, the same stream."""
    TGI = "tgi"
    """POST /generate_stream, events `data:{...}`; the last one holds `generated_text`."""


PATHS = {
    Form.OPENAI_COMPLETIONS: "/v1/completions",
    Form.OPENAI_CHAT: "/v1/chat/completions",
    Form.TGI: "/generate_stream",
}


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What a plan asks of an engine. What an attached server was started with is its own affair.

    Attributes:
        model: for engines that are started: `tiny`, `smollm2` or a path.
        streams: requests that the server must be able to work on at once.
        context: tokens that one stream may hold, prompt and answer.
        threads: threads that compute. One is right for shared cores, where more spin.
        extra_arguments: put behind the engine's own.
        ready_limit_s: how long it may take to get ready.
        ready_path: for `command:`: the path that answers 200 when it is ready.
        form: None takes the engine's own.
        workdir: where its log goes; None makes a temporary directory.
        while_waiting: called again and again until it is ready; what it raises ends the wait.
    """

    model: str = "tiny"
    streams: int = 8
    context: int = 1024
    threads: int = 1
    extra_arguments: tuple[str, ...] = ()
    ready_limit_s: float = 120.0
    ready_path: str | None = None
    form: Form | None = None
    workdir: Path | None = None
    offline: bool = False
    while_waiting: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is recorded of an engine: compared between arms, printed in reports.

    `pids` are its processes when it was ready, the root of its tree first; empty if it runs
    where we cannot look. `model` holds facts of a file; of an attached server only its name is
    known.
    """

    engine: str
    version: str
    managed: bool
    address: str
    form: Form
    model_name: str
    model: ModelFacts | None = None
    command_line: tuple[str, ...] = ()
    threads: int | None = None
    pids: tuple[int, ...] = ()
    more: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Serving:
    """An engine that answers.

    Attributes:
        model_name: what requests must name as their model.
        process: the server if we started it.
        ignores_eos: it takes `ignore_eos`, so that an answer has as many tokens as asked for.
        one_event_per_token: else tokens are counted by the usage that it reports.
        tree_root: process whose tree is the server's; None if it runs where we cannot look.
    """

    address: Address
    form: Form
    model_name: str
    facts: EngineFacts
    process: ServerProcess | None = None
    tree_root: int | None = None
    ignores_eos: bool = False
    one_event_per_token: bool = False

    @property
    def path(self) -> str:
        """Where requests are posted."""
        return self.address.prefix + PATHS[self.form]

    def account(self) -> TreeAccount:
        """The account of the server's processes, from now on.

        Raises:
            InfrastructureError: they run elsewhere, or have ended.
        """
        if self.tree_root is None:
            raise InfrastructureError(
                "the engine's processes cannot be seen from here",
                where=str(self.address),
                cause="it runs on another machine, in a container, or as another user",
                next_step="run kernleap beside it, as the same user or as root",
            )
        return TreeAccount(self.tree_root, include_root=self.process is None)

    def check_alive(self) -> None:
        """Raise InfrastructureError, with the end of its log, if a server of ours has ended."""
        if self.process is not None and not self.process.is_running():
            raise InfrastructureError(
                f"{self.facts.engine} ended on its own, {ending(self.process.exit_status)}",
                where=str(self.process.log),
                cause=f"its last words:\n{self.process.last_lines()}",
                next_step="run it by hand: " + " ".join(self.process.argv),
            )


class Engine(Protocol):
    """An engine. One instance each, registered at import."""

    name: str
    argument_hint: str
    """What may stand behind the colon, for errors and help."""

    def check_argument(self, argument: str) -> str | None:
        """Why `argument` cannot be right, or None. Looks at the text alone."""
        ...

    def serve(self, argument: str, options: ServeOptions) -> AbstractContextManager[Serving]:
        """Have it answer within the context, and be gone after it if we started it.

        Raises (on entering):
            UsageError: the argument or the model is wrong.
            InfrastructureError: it cannot be started, does not get ready, or is no such engine.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineRef:
    """An engine as the user wrote it: `NAME` or `NAME:ARGUMENT`."""

    name: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.argument}" if self.argument else self.name


_ENGINES: dict[str, Engine] = {}
_E = TypeVar("_E", bound=Callable[[], Engine])


def register(engine_class: _E) -> _E:
    """Class decorator: enter one instance of an engine under its name."""
    instance = engine_class()
    _ENGINES[instance.name] = instance
    return engine_class


def all_engines() -> tuple[Engine, ...]:
    """Every registered engine, by name."""
    return tuple(_ENGINES[name] for name in sorted(_ENGINES))


def parse_engine(text: str) -> EngineRef:
    """Read `NAME[:ARGUMENT]`.

    Raises:
        UsageError: there is no such engine, or the argument cannot be right; lists what is.
    """
    name, _, argument = text.strip().partition(":")
    engine = _ENGINES.get(name)
    forms = "; ".join(f"{e.name}: {e.argument_hint}" for e in all_engines())
    if engine is None:
        raise UsageError(
            f"there is no engine `{name}`",
            where=text,
            cause=f"the engines are {forms}",
            next_step="a server with an OpenAI-compatible interface: openai:http://HOST:PORT",
        )
    if problem := engine.check_argument(argument):
        raise UsageError(problem, where=text, next_step=f"{engine.name}: {engine.argument_hint}")
    return EngineRef(name, argument)


def serve(ref: EngineRef, options: ServeOptions | None = None) -> AbstractContextManager[Serving]:
    """Have the engine answer within the context. Errors as of `Engine.serve`."""
    return _ENGINES[ref.name].serve(ref.argument, options or ServeOptions())


def ending(status: int | None) -> str:
    """`with status 1`, `by signal 11`."""
    if status is None:
        return "unseen"
    return f"with status {status}" if status >= 0 else f"by signal {-status}"
