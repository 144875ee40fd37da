"""The policy: what a team wants to know, decided before the first boot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

from kernleap.judge.policy_constraints import TABLES, Constraints, read
from kernleap.model.errors import UsageError
from kernleap.model.metric import Grade, Metric, Role
from kernleap.model.result import VerdictDecision
from kernleap.strict_toml import Table, parse


class Goal(StrEnum):
    """What the verdict answers: worth a rollout, or nothing got worse."""

    ROLLOUT = "rollout"
    GATE = "gate"


@dataclass(frozen=True, slots=True)
class FormKnowledge:
    """What is known of a form beforehand (docs/statistics.md, *Prior scatter*).

    `scatter` is relative (log scale), `events` absolute in events per operation; both are
    standard deviations of the difference of two boots under changes that change nothing.
    `settled` forms have a fixed schedule. `behaviour_margin` replaces the behaviour margin.
    """

    scatter: float
    events: float
    settled: bool
    behaviour_margin: float | None = None


TIMED = FormKnowledge(scatter=0.0, events=0.0, settled=True)
"""Times: no scatter is known beforehand, and there are no schedules to tell apart."""


@dataclass(frozen=True, slots=True)
class BehaviourRules:
    """When behaviour may be called changed; see default.toml for each key."""

    min_boots: int
    events: float
    overlap: float


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, checked. Relative numbers are fractions (0.01 = 1 %)."""

    name: str
    goal: Goal
    alpha: float
    min_boots: int
    grades: tuple[Grade, ...]
    on_behaviour_change: VerdictDecision | None
    """None: ignored."""
    primary: tuple[str, ...]
    min_gain: float
    guard: tuple[str, ...]
    guard_margin: float
    margins: Mapping[Role, float]
    metric_margins: tuple[tuple[str, float], ...]
    forms: Mapping[str, FormKnowledge]
    behaviour: BehaviourRules
    constraints: Constraints = field(default_factory=Constraints)
    on_unknown: VerdictDecision | None = VerdictDecision.UNDECIDED
    """What a constraint decides whose fact nobody knows. None: ignored."""
    source: str = field(default="built in")

    def is_primary(self, metric: Metric) -> bool:
        """Whether a gain is looked for in this metric (of an admitted grade)."""
        return metric.grade in self.grades and _matches(metric, self.primary)

    def is_guarded(self, metric: Metric) -> bool:
        """Whether this metric must not get worse. A gate protects the primary ones too."""
        patterns = self.guard + (self.primary if self.goal is Goal.GATE else ())
        return metric.grade in self.grades and _matches(metric, patterns)

    def knowledge(self, metric: Metric) -> FormKnowledge:
        """What is known of the metric's form; of time on another's machine that is nothing.

        Of several patterns that match, the longest tells.
        """
        if metric.grade is Grade.TIMED:
            return TIMED
        matching = [pattern for pattern in self.forms if fnmatchcase(metric.form, pattern)]
        return self.forms[max(matching, key=len)]

    def margin(self, metric: Metric) -> float:
        """The practical margin of a finding, relative."""
        for pattern, margin in self.metric_margins:
            if _matches(metric, (pattern,)):
                return margin
        return self.margins[metric.role]

    def behaviour_margin(self, metric: Metric) -> float:
        """The relative change from which on behaviour may be called changed."""
        own = self.knowledge(metric).behaviour_margin
        return self.margins[Role.BEHAVIOUR] if own is None else own


def _matches(metric: Metric, patterns: Iterable[str]) -> bool:
    """A pattern means a quantity on every architecture, unless it names one (`arm64:tcp-*/...`)."""
    return any(
        fnmatchcase(name, pattern) for pattern in patterns for name in (metric.name, metric.plain)
    )


def default_text() -> str:
    """The built-in policy as written: complete, and explained key by key."""
    return resources.files("kernleap.judge").joinpath("default.toml").read_text("utf-8")


def load(path: Path | str | None = None) -> Policy:
    """The policy in that TOML file; without one the built-in default.

    A file says only what it changes: every key it leaves out has the default's value. Tables
    of patterns (`margins.metrics`, `forms`) are merged entry by entry, the file's first.

    Raises:
        UsageError: unreadable, not TOML, an unknown key, or a value of the wrong type or
            range, with the key and the line.
    """
    default = parse(default_text(), "default.toml", "policy")
    if path is None:
        return _build(default, default, "built in")
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "cannot read the policy",
            where=str(path),
            cause=str(error),
            next_step="give the path of a readable TOML file, or leave --policy out",
        ) from error
    return _build(parse(text, str(path), "policy"), default, str(path))


def _build(own: Table, default: Table, source: str) -> Policy:
    top = own.over(default)
    top.only(
        "name", "goal", "alpha", "min_boots", "grades", "on_behaviour_change", "on_unknown",
        "primary", "guard", "margins", "forms", "behaviour", *TABLES,
    )  # fmt: skip
    primary, guard = top.table("primary"), top.table("guard")
    primary.only("metrics", "min_gain")
    guard.only("metrics", "margin")
    margins, behaviour = top.table("margins"), top.table("behaviour")
    margins.only(*(role.value for role in Role), "metrics")
    behaviour.only("min_boots", "events", "overlap")
    forms = top.table("forms")
    words = ("hold", "reject", "undecided", "ignore")
    changed, unknown = (top.choice(k, words) for k in ("on_behaviour_change", "on_unknown"))
    return Policy(
        name=top.text("name"),
        goal=Goal(top.choice("goal", tuple(goal.value for goal in Goal))),
        alpha=top.number("alpha", 1e-6, 0.5),
        min_boots=top.integer("min_boots", 1, 1000),
        grades=tuple(Grade(g) for g in top.choices("grades", tuple(g.value for g in Grade))),
        on_behaviour_change=None if changed == "ignore" else VerdictDecision(changed),
        primary=primary.texts("metrics"),
        min_gain=primary.number("min_gain", 0.0, 1.0),
        guard=guard.texts("metrics"),
        guard_margin=guard.number("margin", 0.0, 1.0),
        margins={role: margins.number(role.value, 0.0, 10.0) for role in Role},
        metric_margins=tuple(
            (pattern, margins.table("metrics").number(pattern, 0.0, 10.0))
            for pattern in margins.table("metrics").names()
        ),
        forms={name: _form(forms.table(name)) for name in forms.names()},
        behaviour=BehaviourRules(
            min_boots=behaviour.integer("min_boots", 1, 1000),
            events=behaviour.number("events", 0.0, 1e6),
            overlap=behaviour.number("overlap", 0.0, 1.0),
        ),
        constraints=read(top),
        on_unknown=None if unknown == "ignore" else VerdictDecision(unknown),
        source=source,
    )


def _form(table: Table) -> FormKnowledge:
    table.only("scatter", "events", "settled", "behaviour_margin")
    return FormKnowledge(
        scatter=table.number("scatter", 1e-9, 10.0),
        events=table.number("events", 1e-9, 1e6),
        settled=table.flag("settled"),
        behaviour_margin=table.number("behaviour_margin", 0.0, 10.0)
        if table.has("behaviour_margin")
        else None,
    )
