"""The signs of decisions in plots and tables: a shape each, so that colour is not needed."""

from __future__ import annotations

from markupsafe import Markup

from kernleap.model.result import Decision

MARKS = {
    Decision.BETTER: "k-b",
    Decision.WORSE: "k-w",
    Decision.EQUIVALENT: "k-e",
    Decision.UNDECIDED: "k-u",
    Decision.BEHAVIOUR_CHANGED: "k-c",
}
SYMBOLS = Markup(
    '<svg width="0" height="0" class="defs" aria-hidden="true"><defs>'
    '<circle id="k-b" r="4.5" class="fb"/>'
    '<path id="k-w" d="M0-5.6 5.6 0 0 5.6-5.6 0z" class="fw"/>'
    '<circle id="k-e" r="3" class="fe"/>'
    '<circle id="k-u" r="3.8" class="su"/>'
    '<path id="k-c" d="M-4-4h8v8h-8z" class="sc"/>'
    "</defs></svg>"
)


def mark(decision: Decision) -> Markup:
    """The sign of a decision, as in the plots: its shape tells it without its colour."""
    return Markup(
        '<svg class="k" viewBox="-7 -7 14 14" aria-hidden="true"><use href="#{}"/></svg>'
    ).format(MARKS[decision])


def use(decision: Decision, x: float, y: float = 0.0) -> Markup:
    """The sign of a decision, placed in a plot."""
    if y:
        return Markup('<use href="#{}" x="{:.1f}" y="{:.1f}"/>').format(MARKS[decision], x, y)
    return Markup('<use href="#{}" x="{:.1f}"/>').format(MARKS[decision], x)
