"""The figure of a bench: quality against time a query, as an SVG that a phone can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from ir_replications.reports.bench.findings import Row

WIDTH, HEIGHT = 440, 330
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 44
LINE, LETTER = 13, 6.8  # height of a label and width of one of its letters
TICKS = ((0.001, "1 µs"), (0.01, "10 µs"), (0.1, "0.1 ms"), (1, "1 ms"), (10, "10 ms"),
         (100, "0.1 s"), (1000, "1 s"), (10_000, "10 s"), (100_000, "100 s"),
         (1_000_000, "17 min"))  # fmt: skip


@dataclass(frozen=True)
class _Label:
    x: float
    y: float
    width: float
    text: str
    left: bool  # of its point

    @property
    def start(self) -> float:
        return self.x - self.width if self.left else self.x


def tradeoff(rows: Sequence[Row]) -> Markup:
    """An <svg>: a point per system, filled on the Pareto front, whose points a line joins.

    Time is on a logarithmic axis. Empty for fewer than two systems with both numbers.
    """
    known = [row for row in rows if row.ndcg is not None and row.query_ms]
    if len(known) < 2:
        return Markup("")
    times = [math.log10(row.query_ms or 1.0) for row in known]
    values = [row.ndcg or 0.0 for row in known]
    low, high = math.floor(min(times) - 0.1), math.ceil(max(times) + 0.1)
    step = _step(max(values) - min(values))
    bottom = math.floor(min(values) / step - 0.2) * step
    top = math.ceil(max(values) / step + 0.2) * step

    def x(time: float) -> float:
        return LEFT + (time - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="tradeoff-title" '
        'xmlns="http://www.w3.org/2000/svg">',
        f'<title id="tradeoff-title">{escape(_words(known))}</title>',
    ]
    value = bottom
    while value <= top + step / 2:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" '
                     f'y2="{y(value):.1f}"/>')  # fmt: skip
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y(value) + 4:.1f}" '
                     f'text-anchor="end">{value:g}</text>')  # fmt: skip
        value += step
    for at, text in TICKS:
        if low <= math.log10(at) <= high:
            place = x(math.log10(at))
            parts.append(f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" '
                         f'y2="{HEIGHT - BOTTOM}"/>')  # fmt: skip
            anchor = "end" if place > WIDTH - RIGHT - 12 else "middle"
            parts.append(f'<text class="tick" x="{place:.1f}" y="{HEIGHT - BOTTOM + 16}" '
                         f'text-anchor="{anchor}">{text}</text>')  # fmt: skip
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">'
                 "time a query, logarithmic</text>")  # fmt: skip
    parts.append(f'<text class="tick" x="{LEFT + 6}" y="{TOP + 10}">nDCG@10, points</text>')
    points = [(x(t), y(v), row) for t, v, row in zip(times, values, known, strict=True)]
    front = sorted((a, b) for a, b, row in points if row.front)
    joined = " ".join(f"{a:.1f},{b:.1f}" for a, b in front)
    parts.append(f'<polyline class="front" points="{joined}"/>')
    for a, b, row in points:
        kind = "on" if row.front else "off"
        parts.append(f'<circle class="{kind}" cx="{a:.1f}" cy="{b:.1f}" r="4"/>')
    for label in _labels(points):
        anchor = ' text-anchor="end"' if label.left else ""
        parts.append(f'<text class="name" x="{label.x:.1f}" y="{label.y + 4:.1f}"{anchor}>'
                     f"{escape(label.text)}</text>")  # fmt: skip
    return Markup("".join([*parts, "</svg>"]))


def _step(span: float) -> float:
    """A round distance of grid lines that gives three to seven of them."""
    rough = max(span, 1.0) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(unit * n for n in (1, 2, 5, 10) if unit * n >= rough)


def _labels(points: Sequence[tuple[float, float, Row]]) -> list[_Label]:
    """Names beside their points, moved up or down until none lies on another or on a point."""
    placed: list[_Label] = []
    for a, b, row in sorted(points, key=lambda point: (point[1], point[0])):
        width = LETTER * len(row.name)
        sides = [left for left in (False, True) if _has_room(a, width, left)] or [True]
        label = _Label(a, b, width, row.name, sides[0])
        for shift in sorted(range(-8 * LINE, 8 * LINE + 1, 3), key=abs):
            tried = [
                _Label(a - 8 if left else a + 8, b + shift, width, row.name, left) for left in sides
            ]
            if free := [each for each in tried if _is_free(each, placed, points)]:
                label = free[0]
                break
        placed.append(label)
    return placed


def _has_room(x: float, width: float, left: bool) -> bool:
    return x - 8 - width > LEFT if left else x + 8 + width < WIDTH - RIGHT


def _is_free(
    label: _Label, placed: Sequence[_Label], points: Sequence[tuple[float, float, Row]]
) -> bool:
    if not TOP + 16 < label.y < HEIGHT - BOTTOM - 4 or any(_meet(label, o) for o in placed):
        return False
    start, end = label.start - 4, label.start + label.width + 4
    return not any(start < x < end and abs(y - label.y) < 9 for x, y, _ in points)


def _meet(one: _Label, other: _Label) -> bool:
    apart = one.start + one.width < other.start or other.start + other.width < one.start
    return not apart and abs(one.y - other.y) < LINE


def _words(rows: Sequence[Row]) -> str:
    """The figure for those who cannot see it."""
    front = ", ".join(row.name for row in sorted(rows, key=lambda r: r.query_ms or 0) if row.front)
    return f"nDCG@10 against time a query of {len(rows)} systems; on the Pareto front: {front}"
