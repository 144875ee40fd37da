"""What a run says about a kernel that money can rest on, and what it says that money cannot.

Only timed evidence has a price: tokens/s (or goodput) from a real machine. Counted evidence has
none; with a `kernleap bound` of the user's own workload it has a ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from kernleap.cost.ratio import Ratio
from kernleap.judge import Judgement
from kernleap.model.errors import UsageError
from kernleap.model.metric import Better, Grade, Metric
from kernleap.model.result import Finding
from kernleap.stats.mean import mean_of

RATE_UNIT = "tokens/s"
ENERGY_UNIT = "J/token"
_GOODPUT = "goodput"
_TOKENS = "tokens_per_second"
_KERNEL_COUNT = "kernel_instructions_per_token"
_REQUESTS = "requests_per_second"
_KERNEL_TIME = "kernel_time_per_token"


@dataclass(frozen=True, slots=True)
class Measured:
    """A timed or counted effect of one arm: the metric, and the ratio candidate / baseline."""

    metric: Metric
    ratio: Ratio

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.metric.name


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run says of one candidate arm.

    Attributes:
        arm: its name.
        throughput: the timed effect on tokens/s or goodput; None where there is none.
        energy: the timed effect on J/token.
        joules: medians of measured J/token, baseline and candidate.
        counted: the counted effect on kernel instructions per token.
        kernel_time: the timed effect on kernel CPU time per token.
        rate: baseline's tokens/s: mean, and the ratio of value to mean with its interval.
        missing: why there is no throughput, for people; empty where there is one.
    """

    arm: str
    throughput: Measured | None = None
    energy: Measured | None = None
    joules: tuple[float, float] | None = None
    counted: Measured | None = None
    kernel_time: Measured | None = None
    rate: tuple[float, Ratio] | None = None
    missing: str = ""


def evidence(judgement: Judgement, pattern: str | None = None) -> tuple[Evidence, ...]:
    """What is known of each candidate, in the order of the plan.

    Args:
        judgement: a judged run.
        pattern: name (or pattern) of the throughput metric, where a run has several.

    Raises:
        UsageError: several throughputs and no pattern, or a pattern that none has.
    """
    return tuple(
        _of_arm(arm.name, judgement.findings.get(arm.name, ()), pattern)
        for arm in judgement.plan.arms
        if arm.role == "candidate"
    )


def _of_arm(arm: str, findings: tuple[Finding, ...], pattern: str | None) -> Evidence:
    throughput = _throughput(findings, pattern)
    measured = _measured(throughput)
    usable = measured is not None and measured.ratio.known
    energy = next((f for f in findings if _is_energy(f.comparison.metric)), None)
    region = _region(throughput) if throughput else ""
    rate = next((f for f in findings if _is_rate(f) and _region(f) == region), None)
    return Evidence(
        arm=arm,
        throughput=measured if usable else None,
        energy=_measured(energy),
        joules=(energy.comparison.baseline.median, energy.comparison.candidate.median)
        if energy
        else None,
        counted=_measured(next((f for f in findings if _is_counted(f.comparison.metric)), None)),
        kernel_time=_measured(
            next((f for f in findings if _is_kernel_time(f.comparison.metric)), None)
        ),
        rate=_rate(rate),
        missing="" if usable else _why_not(findings, measured),
    )


def _region(finding: Finding) -> str:
    return finding.comparison.metric.name.rpartition("/")[0]


def _timed(finding: Finding, quantity: str) -> bool:
    metric = finding.comparison.metric
    return metric.grade is Grade.TIMED and metric.quantity == quantity


def _is_rate(finding: Finding) -> bool:
    # In the lab the same quantity is in guest seconds, and no speed.
    metric = finding.comparison.metric
    return _timed(finding, _TOKENS) and metric.unit == RATE_UNIT and _higher(metric)


def _is_goodput(finding: Finding) -> bool:
    return _timed(finding, _GOODPUT) and _higher(finding.comparison.metric)


def _higher(metric: Metric) -> bool:
    return metric.better is Better.HIGHER


def _is_energy(metric: Metric) -> bool:
    return metric.grade is Grade.TIMED and metric.unit == ENERGY_UNIT


def _is_counted(metric: Metric) -> bool:
    return metric.grade is Grade.COUNTED and metric.quantity == _KERNEL_COUNT


def _is_kernel_time(metric: Metric) -> bool:
    return metric.grade is Grade.TIMED and metric.quantity == _KERNEL_TIME


def _throughput(findings: tuple[Finding, ...], pattern: str | None) -> Finding | None:
    """The finding that money rests on: goodput, or tokens/s where the SLO excludes nothing."""
    if pattern is not None:
        named = [f for f in findings if fnmatchcase(f.comparison.metric.name, pattern)]
        usable = [f for f in named if _is_rate(f) or _is_goodput(f)]
        if findings and not usable:
            raise UsageError(
                f"no timed tokens/s or goodput is called {pattern!r}",
                where="--metric",
                cause="these are another kind of metric" if named else "nothing has that name",
                next_step=_choices([f for f in findings if _is_rate(f) or _is_goodput(f)]),
            )
    else:
        usable = []
        for region in dict.fromkeys(_region(f) for f in findings):
            usable += _of_region([f for f in findings if _region(f) == region])
    if len(usable) > 1:
        raise UsageError(
            "this run has several throughputs: which is that of the fleet?",
            where="--metric",
            next_step=_choices(usable),
        )
    return usable[0] if usable else None


def _of_region(findings: list[Finding]) -> list[Finding]:
    goodput = [f for f in findings if _is_goodput(f)]
    rate = [f for f in findings if _is_rate(f)]
    requests = [f for f in findings if _timed(f, _REQUESTS)]
    if rate and requests and goodput and _same_values(goodput[0], requests[0]):
        return rate  # each request met the SLO, or there was none: tokens are the finer measure
    return goodput or rate


def _same_values(first: Finding, second: Finding) -> bool:
    one, two = first.comparison, second.comparison
    return (one.baseline.values, one.candidate.values) == (
        two.baseline.values,
        two.candidate.values,
    )


def _choices(findings: list[Finding]) -> str:
    names = [f.comparison.metric.name for f in findings]
    return f"choose one of {', '.join(names)}" if names else "leave --metric out"


def _measured(finding: Finding | None) -> Measured | None:
    if finding is None:
        return None
    one = finding.comparison
    return Measured(one.metric, Ratio(one.ratio, *one.interval, one.confidence))


def _rate(finding: Finding | None) -> tuple[float, Ratio] | None:
    if finding is None or finding.comparison.baseline.n < 2:
        return None
    mean = mean_of(finding.comparison.baseline.values)
    if mean.low <= 0:
        return None
    return mean.value, Ratio(1.0, mean.low / mean.value, mean.high / mean.value, mean.confidence)


def _why_not(findings: tuple[Finding, ...], measured: Measured | None) -> str:
    if not findings:
        return "too few boots of it ended well"
    if measured is not None:
        return f"{measured.name} has no interval: too few boots, or none of its requests was good"
    if all(f.comparison.metric.grade is not Grade.TIMED for f in findings):
        return "nothing was timed on a real machine, and counts have no price"
    return "neither tokens/s nor goodput was timed"
