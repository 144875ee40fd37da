"""Options of serving on a real machine: which engine, which model, which load, how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from kernleap.workload.serving.timed import TimedRegion

_COUNT = click.IntRange(1, 1 << 16)
_OPTIONS: tuple[tuple[str, Any, str], ...] = (
    ("engine", str, "What serves: llama.cpp[:MODEL], vllm[:URL], tgi:URL, openai:URL, "
                    "command:LINE.  [default: llama.cpp]"),
    ("model", str, "Model of llama.cpp: tiny, smollm2 or a .gguf file.  [default: tiny]"),
    ("target", str, "URL of a server that runs already: it is measured and left."),
    ("streams", click.IntRange(1, 1024), "Requests in flight.  [default: 8]"),
    ("prompt", _COUNT, "Tokens of a prompt, about.  [default: 32]"),
    ("output", _COUNT, "Tokens of an answer.  [default: 128]"),
    ("threads", click.IntRange(1, 1024), "Threads that compute.  [default: 1]"),
    ("warmup-s", click.FloatRange(0, 600), "Load before the measured window.  [default: 1]"),
    ("window-s", click.FloatRange(0.2, 3600), "Measured window of a trial.  [default: 5]"),
    ("slo-ttft-ms", click.IntRange(1, 10**7), "Goodput: the latest first token."),
    ("slo-tpot-ms", click.IntRange(1, 10**7), "Goodput: the slowest token after it."),
)  # fmt: skip
NAMES = (*(name.replace("-", "_") for name, _, _ in _OPTIONS), "warm")
"""As click names their parameters."""


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options, for --machine here alone."""
    function = click.option(
        "--warm", is_flag=True, help="here: one server for all trials, not a fresh one for each."
    )(function)
    for name, kind, text in reversed(_OPTIONS):
        function = click.option(f"--{name}", type=kind, help=f"here: {text}")(function)
    return function


def region(ctx: click.Context) -> TimedRegion | None:
    """What the given options describe; None if none of them was given.

    Raises:
        UsageError: they contradict each other, or there is no such engine.
    """
    from kernleap.workload.serving.engines import parse_engine
    from kernleap.workload.serving.timed import TimedRegion

    if not any(ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE for n in NAMES):
        return None
    given = {name: ctx.params[name] for name in NAMES if ctx.params[name] is not None}
    engine = _engine(given.pop("engine", None), given.pop("model", None), given.pop("target", None))
    for name in ("warmup", "window"):
        if (seconds := given.pop(f"{name}_s", None)) is not None:
            given[f"{name}_ms"] = round(seconds * 1000)
    return TimedRegion(engine=str(parse_engine(engine)), **given)


def _engine(engine: str | None, model: str | None, target: str | None) -> str:
    if target is not None:
        if model is not None:
            raise click.UsageError("--target is a server that runs: its model is its own")
        name = engine or "openai"
        if ":" in name:
            raise click.UsageError("--engine has an address already: leave --target out")
        return f"{name}:{target}"
    name, _, argument = (engine or "llama.cpp").partition(":")
    if name != "llama.cpp":
        if model is not None:
            raise click.UsageError("--model is for llama.cpp")
        return engine or name
    if argument and model:
        raise click.UsageError("--engine names a model already: leave --model out")
    return f"{name}:{argument or model or 'tiny'}"
