"""What load a serving workload is put under: arrivals, lengths, warm-up, limits.

The schedule is a pure function of a `LoadSpec`, computed by `kernleap-load` (native/driver/
schedule.c) from its own random numbers (xoshiro256** seeded through splitmix64), so that one seed
is one schedule on every machine. `driver.schedule()` shows it without sending anything.

- Arrivals come from stream 0 of the seed. `Poisson`: gaps are exponential with mean 1/rate.
  `Constant`: request i is due at i/rate. `Bursty`: groups of `burst` due at one instant, the
  groups as Poisson's with mean gap burst/rate. `Replay`: the trace's own times.
- In a `Closed` loop each of `concurrency` streams has one request in flight; the next is due when
  the last has ended (think time 0).
- The lengths and the prompt of request i come from stream i + 1, whatever happened before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from kernleap.model.errors import UsageError

MAX_TOKENS = 1 << 20
MAX_STREAMS = 65536


def _within(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(
            f"{name} is {value!r}", cause=f"a whole number from {low} to {high} is due"
        )


def _ns(name: str, seconds: float, least: float = 0, most: float = 9e6) -> str:
    if not math.isfinite(seconds) or not least <= seconds <= most:
        raise UsageError(f"{name} is {seconds!r}", cause=f"{least} to {most} seconds can be had")
    return str(round(seconds * 1e9))


class Form(StrEnum):
    """How requests are put to the server; the default path of each is in native/driver."""

    COMPLETIONS = "completions"
    CHAT = "chat"
    TGI = "tgi"
    LLAMA = "llama"


class PromptForm(StrEnum):
    """What prompts are made of."""

    WORDS = "words"
    """Common words: about one token each in the usual vocabularies."""
    LETTERS = "letters"
    """Letters: one token each where the vocabulary is bytes."""
    IDS = "ids"
    """Token ids: exact, for the forms that take them."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always so many tokens."""

    tokens: int

    def __post_init__(self) -> None:
        _within("tokens", self.tokens, 1, MAX_TOKENS)

    def __str__(self) -> str:
        return f"fixed:{self.tokens}"


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every number from `low` to `high`, both included, is as likely."""

    low: int
    high: int

    def __post_init__(self) -> None:
        _within("low", self.low, 1, MAX_TOKENS)
        _within("high", self.high, self.low, MAX_TOKENS)

    def __str__(self) -> str:
        return f"uniform:{self.low}:{self.high}"


@dataclass(frozen=True, slots=True)
class Normal:
    """About normal (a sum of twelve uniforms), then cut to [`low`, `high`]."""

    mean: int
    deviation: int
    low: int
    high: int

    def __post_init__(self) -> None:
        _within("mean", self.mean, 1, MAX_TOKENS)
        _within("deviation", self.deviation, 0, MAX_TOKENS)
        _within("low", self.low, 1, MAX_TOKENS)
        _within("high", self.high, self.low, MAX_TOKENS)

    def __str__(self) -> str:
        return f"normal:{self.mean}:{self.deviation}:{self.low}:{self.high}"


@dataclass(frozen=True, slots=True)
class FromTrace:
    """As the trace says; request i has the lengths of entry i, modulo the trace's size."""

    def __str__(self) -> str:
        return "trace"


Lengths = Fixed | Uniform | Normal | FromTrace


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One request of a trace: when it is due (ns after the start), and its tokens."""

    at_ns: int
    prompt: int
    output: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed loop: so many requests in flight, always."""

    concurrency: int

    def __post_init__(self) -> None:
        _within("concurrency", self.concurrency, 1, MAX_STREAMS)

    def settings(self) -> dict[str, str]:
        """As keys of the driver."""
        return {"arrival": "closed", "concurrency": str(self.concurrency)}


@dataclass(frozen=True, slots=True)
class _Open:
    """What all open loops have: most requests in flight. What is due beyond waits, its clock on."""

    rate: float
    """Requests a second, in the mean."""
    max_streams: int = field(default=1024, kw_only=True)

    def __post_init__(self) -> None:
        _within("max_streams", self.max_streams, 1, MAX_STREAMS)
        if not math.isfinite(self.rate) or not 1e-6 <= self.rate <= 1e7:
            raise UsageError(
                f"a rate of {self.rate} requests a second", cause="0.000001 to 10000000 can be had"
            )

    def _settings(self, arrival: str) -> dict[str, str]:
        return {
            "arrival": arrival,
            "rate": f"{self.rate:.17g}",
            "max_streams": str(self.max_streams),
        }


@dataclass(frozen=True, slots=True)
class Poisson(_Open):
    """Arrivals that know nothing of each other."""

    def settings(self) -> dict[str, str]:
        """As keys of the driver."""
        return self._settings("poisson")


@dataclass(frozen=True, slots=True)
class Constant(_Open):
    """Arrivals at equal distances."""

    def settings(self) -> dict[str, str]:
        """As keys of the driver."""
        return self._settings("constant")


@dataclass(frozen=True, slots=True)
class Bursty(_Open):
    """Groups of `burst` requests due at one instant."""

    burst: int = field(default=8, kw_only=True)

    def __post_init__(self) -> None:
        _Open.__post_init__(self)
        _within("burst", self.burst, 1, MAX_STREAMS)

    def settings(self) -> dict[str, str]:
        """As keys of the driver."""
        return {**self._settings("bursty"), "burst": str(self.burst)}


@dataclass(frozen=True, slots=True)
class Replay:
    """Arrivals at the times of the trace."""

    max_streams: int = 1024

    def __post_init__(self) -> None:
        _within("max_streams", self.max_streams, 1, MAX_STREAMS)

    def settings(self) -> dict[str, str]:
        """As keys of the driver."""
        return {"arrival": "trace", "max_streams": str(self.max_streams)}


Arrivals = Closed | Poisson | Constant | Bursty | Replay


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one request, in seconds; each is an error of its own kind."""

    connect_s: float = 10
    first_byte_s: float = 300
    stall_s: float = 60
    total_s: float = 1800

    def settings(self) -> dict[str, str]:
        """As keys of the driver."""
        return {
            "connect_timeout_ns": _ns("connect_s", self.connect_s, 0.001),
            "first_byte_timeout_ns": _ns("first_byte_s", self.first_byte_s, 0.001),
            "stall_timeout_ns": _ns("stall_s", self.stall_s, 0.001),
            "total_timeout_ns": _ns("total_s", self.total_s, 0.001),
        }


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """One load. Whatever makes the server do other work is in here, and recorded.

    `requests` and `duration_s` bound the measured load (at least one must be given); warm-up
    comes before and is not measured. `extra_json` are members for the request's body, in JSON,
    for instance `"ignore_eos":true`.

    Raises:
        UsageError: a value out of range, or settings that contradict each other.
    """

    arrivals: Arrivals
    prompt: Lengths = Fixed(128)
    output: Lengths = Fixed(128)
    requests: int = 0
    duration_s: float = 0
    warmup_requests: int = 0
    warmup_s: float = 0
    seed: int = 0
    form: Form = Form.COMPLETIONS
    keep_alive: bool = True
    prompt_form: PromptForm = PromptForm.WORDS
    vocabulary: tuple[int, int] = (10, 200)
    shared_prefix: int = 0
    extra_json: str = ""
    trace: tuple[TraceEntry, ...] = ()
    timeouts: Timeouts = Timeouts()
    drain_s: float = 1800
    lead_s: float = 0.01
    failures_max: int = 1000

    def __post_init__(self) -> None:
        if not self.requests and not self.duration_s:
            raise UsageError("the load never ends: give requests, duration_s, or both")
        _within("requests", self.requests, 0, 1 << 30)
        _within("warmup_requests", self.warmup_requests, 0, 1 << 30)
        _within("seed", self.seed, 0, (1 << 64) - 1)
        _within("shared_prefix", self.shared_prefix, 0, MAX_TOKENS)
        _within("failures_max", self.failures_max, 1, 1 << 30)
        _within("vocabulary's low end", self.vocabulary[0], 0, 1 << 24)
        _within("vocabulary's high end", self.vocabulary[1], self.vocabulary[0] + 1, 1 << 24)
        if any(ord(c) < 0x20 for c in self.extra_json) or len(self.extra_json.encode()) > 8000:
            raise UsageError("extra_json must be one line of at most 8000 bytes")
        traced = isinstance(self.arrivals, Replay) or FromTrace() in (self.prompt, self.output)
        if traced != bool(self.trace):
            raise UsageError(
                "a trace is needed and not given" if traced else "nothing uses the trace",
                cause="Replay and FromTrace use one",
            )
        if any(a.at_ns > b.at_ns for a, b in zip(self.trace, self.trace[1:], strict=False)):
            raise UsageError("the trace is not in order of arrival")
        if self.prompt_form is PromptForm.IDS and self.form in (Form.CHAT, Form.TGI):
            raise UsageError(f"the form {self.form} takes no token ids")
        self.settings()

    def settings(self) -> dict[str, str]:
        """The keys of `kernleap-load` (native/driver/README.md), but for target and files."""
        return {
            "form": str(self.form),
            "keep_alive": str(int(self.keep_alive)),
            **self.arrivals.settings(),
            "requests": str(self.requests),
            "duration_ns": _ns("duration_s", self.duration_s),
            "warmup_requests": str(self.warmup_requests),
            "warmup_ns": _ns("warmup_s", self.warmup_s),
            "lead_ns": _ns("lead_s", self.lead_s, most=60),
            "seed": str(self.seed),
            "prompt": str(self.prompt),
            "output": str(self.output),
            "prompt_form": str(self.prompt_form),
            "vocabulary": f"{self.vocabulary[0]}:{self.vocabulary[1]}",
            "shared_prefix": str(self.shared_prefix),
            **({"extra": self.extra_json} if self.extra_json else {}),
            **self.timeouts.settings(),
            "drain_ns": _ns("drain_s", self.drain_s),
            "failures_max": str(self.failures_max),
        }

    def trace_lines(self) -> Iterator[str]:
        """The trace as the driver reads it."""
        for entry in self.trace:
            yield f"{entry.at_ns} {entry.prompt} {entry.output}\n"
