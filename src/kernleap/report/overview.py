"""The overview figure: every primary metric of a candidate as one mark, by family."""

from __future__ import annotations

from markupsafe import Markup

from kernleap.model.result import Decision
from kernleap.report.marks import use
from kernleap.report.parts import CandidateView, FamilyView
from kernleap.report.scale import Scale

_LABEL = 200
_HALF = 240
_LANE = 10.0
_PITCH = 10.0
_MOST_LANES = 6


def overview(families: tuple[FamilyView, ...], candidate: CandidateView, scale: Scale) -> Markup:
    """A dot plot: families from top to bottom, change from left to right.

    Marks that would cover each other are stacked; what lies outside the scale sits at its edge.
    """
    centre = _LABEL + _HALF + 10
    body: list[Markup] = []
    top = 0.0
    for family in families:
        found = [
            (centre + scale.position(f.ratio) * _HALF, f.decision)
            for m in family.metrics
            for f in m.findings
            if f.arm == candidate.arm.name and f.ratio is not None
        ]
        if not found:
            continue
        lanes, placed = _stack(found)
        height = 14 + _LANE * lanes
        middle = top + height / 2
        body.append(
            Markup('<text x="{}" y="{:.0f}" text-anchor="end">{}</text>').format(
                _LABEL - 12, middle + 4, family.title
            )
        )
        body += [use(d, x, middle + (lane - (lanes - 1) / 2) * _LANE) for x, lane, d in placed]
        top += height
    if not body:
        return Markup("")
    description = (
        f"{candidate.arm.label}: {candidate.sentence} The axis runs from minus to plus {scale}; "
        "marks right of the middle line are larger than the baseline."
    )
    return Markup(
        '<svg class="ov" viewBox="0 -4 {} {:.0f}" role="img"><title>Change of every primary '
        "metric, by family</title><desc>{}</desc>{}{}</svg>"
    ).format(
        centre + _HALF + 24,
        top + 26,
        description,
        _grid(centre, top, scale),
        Markup("").join(body),
    )


def _grid(centre: int, height: float, scale: Scale) -> Markup:
    return Markup("").join(
        Markup(
            '<path class="{}" d="M{:.0f} 0V{:.0f}"/>'
            '<text class="tk" x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text>'
        ).format(
            "gr" if at else "ax",
            centre + at * _HALF,
            height,
            centre + at * _HALF,
            height + 16,
            scale.tick(at),
        )
        for at in (-1.0, -0.5, 0.0, 0.5, 1.0)
    )


def _stack(found: list[tuple[float, Decision]]) -> tuple[int, list[tuple[float, int, Decision]]]:
    """Marks from left to right, each in the first lane where it touches none before it."""
    last: list[float] = []
    placed = []
    for x, decision in sorted(found):
        lane = next((k for k, end in enumerate(last) if x - end >= _PITCH), len(last))
        if lane == len(last) and lane < _MOST_LANES:
            last.append(x)
        lane = min(lane, _MOST_LANES - 1)
        last[lane] = x
        placed.append((x, lane, decision))
    return len(last), placed
