"""Tails: how a whole distribution shifted, quantile by quantile, and its plot.

A mean may stand still while the slowest one in a hundred gets slower. A shift plot shows the
change of each quantile with its interval side by side, from the middle to the tail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup

from kernleap.model.metric import Better
from kernleap.report.marks import use
from kernleap.report.parts import FindingView, MetricView, TailView
from kernleap.report.scale import Scale, scale_for

_QUANTILE = re.compile(r"(?P<stem>.+)_p(?P<percent>\d{1,2}(?:\.\d+)?)")
_LEFT, _STEP, _HALF, _RIGHT, _TOP = 62, 74, 62, 30, 12


def tails(metrics: Iterable[MetricView], arm: str) -> tuple[TailView, ...]:
    """Distributions of which two quantiles or more were judged.

    Metrics without a better direction are left out: latencies in guest time say nothing
    about speed, and a plot would look as if they did.
    """
    found: dict[tuple[str, str], list[tuple[float, FindingView]]] = {}
    for metric in metrics:
        parts = _QUANTILE.fullmatch(metric.name)
        if parts is None or metric.metric.better is Better.NEITHER:
            continue
        for finding in metric.findings:
            if finding.arm == arm and finding.ratio is not None:
                key = (parts["stem"], metric.grade)
                found.setdefault(key, []).append((float(parts["percent"]), finding))
    return tuple(
        TailView(label, grade, tuple(sorted(points, key=lambda point: point[0])))
        for (label, grade), points in found.items()
        if len(points) > 1
    )


def shift_plot(view: TailView) -> Markup:
    """Change of each quantile with its interval, up is more, around a line of no change."""
    edges = [v for _, f in view.points for v in (f.low, f.high, f.ratio) if v is not None]
    scale = scale_for(edges)
    middle = _TOP + _HALF
    width = _LEFT + _STEP * len(view.points) + _RIGHT
    band = scale.position(1.0 + view.points[0][1].margin) * _HALF
    body = [
        Markup('<path class="bd" d="M{} {:.1f}h{}v{:.1f}h-{}z"/>').format(
            _LEFT, middle - band, width - _LEFT - _RIGHT, 2 * band, width - _LEFT - _RIGHT
        ),
        Markup('<path class="ax" d="M{} {}H{}"/>').format(_LEFT, middle, width - _RIGHT),
    ]
    for at in (-1.0, 0.0, 1.0):
        body.append(
            Markup('<text class="tk" x="{}" y="{:.0f}" text-anchor="end">{}</text>').format(
                _LEFT - 8, middle - at * _HALF + 4, scale.tick(at)
            )
        )
    for place, (percent, finding) in enumerate(view.points):
        body.append(_point(finding, percent, _LEFT + _STEP * (place + 0.5), scale))
    return Markup(
        '<svg class="sh" viewBox="0 0 {} {}" role="img"><title>Shift of {}</title>'
        "<desc>{}</desc>{}</svg>"
    ).format(width, middle + _HALF + 26, view.label, view.words, Markup("").join(body))


def _point(finding: FindingView, percent: float, x: float, scale: Scale) -> Markup:
    middle = _TOP + _HALF

    def height(ratio: float) -> float:
        return middle - scale.position(ratio) * _HALF

    drawn = Markup("")
    if finding.low is not None and finding.high is not None:
        drawn += Markup('<path class="ci" d="M{0:.1f} {1:.1f}V{2:.1f}"/>').format(
            x, height(finding.low), height(finding.high)
        )
    if finding.ratio is not None:
        drawn += use(finding.decision, x, height(finding.ratio))
    label = Markup('<text class="tk" x="{:.1f}" y="{}" text-anchor="middle">p{:g}</text>').format(
        x, middle + _HALF + 18, percent
    )
    return Markup('<g class="d-{}">{}</g>{}').format(finding.decision, drawn, label)
