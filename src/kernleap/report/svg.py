"""Plots as inline SVG, drawn here so that the page needs no script.

Colours are classes, set by the style sheet for light, dark and print. Text that came from
outside is escaped by markupsafe wherever it enters. Dots are zero-length strokes with round
ends in a single path: a few bytes each, so that thousands of boots fit into one file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from kernleap.report import text
from kernleap.report.bars import BarRow
from kernleap.report.marks import use
from kernleap.report.parts import FindingView, MetricView, PointsView
from kernleap.report.scale import Scale

FOREST_HALF = 110
FOREST_WIDTH = 2 * (FOREST_HALF + 10)
ROW_PIXELS = 22
_BAR_HALF = 90
_STRIP_WIDTH = 420
_STRIP_LABEL = 130
_STRIP_ROW = 40


def forest(finding: FindingView, scale: Scale) -> Markup:
    """One row of the forest plot: margin band, interval, ratio; an arrow where it runs out."""
    parts = []
    band = scale.position(1.0 + finding.margin) * FOREST_HALF
    if band >= 1:
        box = Markup('<path class="bd" d="M-{0:.0f}-10h{1:.0f}v20h-{1:.0f}z"/>')
        parts.append(box.format(band, 2 * band))
    if finding.low is not None and finding.high is not None:
        low = scale.position(finding.low) * FOREST_HALF
        high = scale.position(finding.high) * FOREST_HALF
        if high - low >= 1:
            line = Markup('<path class="ci" d="M{0:.0f} 0H{1:.0f}M{0:.0f}-3v6M{1:.0f}-3v6"/>')
            parts.append(line.format(low, high))
    if finding.ratio is None:
        parts.append(Markup('<text class="na" x="6" y="4">no ratio</text>'))
    else:
        x = scale.position(finding.ratio) * FOREST_HALF
        if scale.outside(finding.ratio):
            reach = 7 if x > 0 else -7
            arrow = Markup('<path class="ar" d="M{:.0f}-5l{} 5l{} 5"/>')
            parts.append(arrow.format(x, reach, -reach))
        parts.append(use(finding.decision, x))
    return Markup('<svg class="fo d-{}" viewBox="{} -11 {} 22" aria-hidden="true">{}</svg>').format(
        finding.decision, -FOREST_HALF - 10, FOREST_WIDTH, Markup("").join(parts)
    )


def forest_axis(scale: Scale) -> Markup:
    """The ticks above the rows of a forest plot."""
    ticks = [(-1.0, "start", -10), (0.0, "middle", 0), (1.0, "end", 10)]
    labels = (
        Markup('<text x="{:.0f}" y="9" text-anchor="{}">{}</text>').format(
            FOREST_HALF * at + shift, anchor, scale.tick(at)
        )
        for at, anchor, shift in ticks
    )
    return Markup('<svg class="fo axis" viewBox="{} -3 {} 16" aria-hidden="true">{}</svg>').format(
        -FOREST_HALF - 10, FOREST_WIDTH, Markup("").join(labels)
    )


def strip(metric: MetricView) -> Markup:
    """Per-boot points: a row per arm, within it the boots from top to bottom in block order."""
    values = [v for p in metric.points for v in p.values]
    if not values:
        return Markup("")
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or max(abs(high) * 1e-6, 0.5)
    left, right = _STRIP_LABEL, _STRIP_WIDTH - 12

    def place(value: float) -> float:
        return left + (value - (low - pad)) / (high - low + 2 * pad) * (right - left)

    height = _STRIP_ROW * len(metric.points)
    body = [_strip_row(p, row * _STRIP_ROW, place) for row, p in enumerate(metric.points)]
    baseline = metric.points[0]
    if baseline.median is not None:
        x = place(baseline.median)
        body.insert(0, Markup('<path class="bl" d="M{:.0f} 0V{}"/>').format(x, height))
    ends = _strip_ends(low, high, place, height)
    label = "; ".join(
        f"{p.label}: {text.plural(len(p.values), 'boot')}, median {p.median_text}, "
        f"spread {p.spread_text}"
        for p in metric.points
    )
    return Markup(
        '<svg class="st" viewBox="0 0 {} {}" role="img"><title>Boots of {}</title>'
        "<desc>{}</desc>{}{}</svg>"
    ).format(_STRIP_WIDTH, height + 18, metric.name, label, Markup("").join(body), ends)


def _strip_ends(low: float, high: float, place: Callable[[float], float], height: int) -> Markup:
    ends = [(low, "middle")] if low == high else [(low, "start"), (high, "end")]
    return Markup("").join(
        Markup('<text class="tk" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            f"{place(value):.0f}", height + 13, anchor, text.number(value)
        )
        for value, anchor in ends
    )


def _strip_row(points: PointsView, top: int, place: Callable[[float], float]) -> Markup:
    middle = top + _STRIP_ROW / 2
    inner = _STRIP_ROW - 12
    step = inner / max(1, len(points.values) - 1)
    first = middle - inner / 2 if len(points.values) > 1 else middle
    dots = "".join(
        f"M{place(value):.0f} {first + index * step:.0f}h0"
        for index, value in enumerate(points.values)
    )
    tick = Markup("")
    if points.median is not None:
        tick = Markup('<path class="md" d="M{:.0f} {}v{}"/>').format(
            place(points.median), top + 3, _STRIP_ROW - 6
        )
    return Markup('<text x="0" y="{}">{}</text>{}<path class="pt r-{}" d="{}"/>').format(
        f"{middle + 4:.0f}",
        text.shorten(points.label, 20),
        tick,
        points.role,
        dots,
    )


def bars(rows: Sequence[BarRow]) -> Markup:
    """The bars of a function table, one table row each, around one zero line."""
    if not rows:
        return Markup("")
    low = min(0.0, *(r.delta for r in rows))
    high = max(0.0, *(r.delta for r in rows))
    span = (high - low) or 1.0
    width = 2 * _BAR_HALF
    zero = -low / span * width
    paths: dict[str, list[str]] = {}
    for index, row in enumerate(rows):
        size = abs(row.delta) / span * width
        if size < 0.5:
            continue
        start = zero if row.delta > 0 else zero - size
        kind = ("up" if row.delta > 0 else "dn") + (" g" if row.kind != "function" else "")
        middle = index * ROW_PIXELS + ROW_PIXELS // 2
        paths.setdefault(kind, []).append(f"M{start:.0f} {middle}h{size:.0f}")
    drawn = Markup("").join(
        Markup('<path class="{}" d="{}"/>').format(kind, "".join(d)) for kind, d in paths.items()
    )
    height = len(rows) * ROW_PIXELS
    return Markup(
        '<svg class="br" viewBox="-1 0 {0} {1}" aria-hidden="true">'
        '<path class="ax" d="M{2:.0f} 0v{1}"/>{3}</svg>'
    ).format(width + 2, height, zero, drawn)
