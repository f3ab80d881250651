"""Figures that are tables with marks in their rows: they wrap on a phone and print as they are.

The same data give the same bytes, in the colours of the page. Curves and clouds: plots.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ir_replications.reports.pages.formatting import signed

WIDTH, HEIGHT = 200, 14  # of a mark, in CSS pixels
ABOVE, BELOW, AROUND = "up", "down", "level"  # classes: an interval's place beside 0
TINTS = {ABOVE: "74 134 197", BELOW: "208 128 47"}  # blue and orange, as red, green, blue
STRONGEST = 0.42  # share of colour behind a number: the text on it stays readable


@dataclass(frozen=True)
class Scale:
    """A linear scale over the width of a mark; it holds 0."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float], *, balanced: bool = False) -> Scale:
        """The scale of the finite values; `balanced` puts 0 in the middle."""
        found = [0.0, *(value for value in values if math.isfinite(value))]
        low, high = min(found), max(found)
        if balanced:
            high = max(high, -low)
            low = -high
        return cls(low, high) if high > low else cls(-1.0, 1.0)

    def x(self, value: float) -> float:
        """The place of a value, in pixels; beyond the ends, the end."""
        share = (value - self.low) / (self.high - self.low)
        return round(5 + min(max(share, 0.0), 1.0) * (WIDTH - 10), 1)


def mark(
    scale: Scale, low: float, middle: float, high: float, css: str, printed: float | None = None
) -> Markup:
    """An interval with its point, 0 dashed, and the printed value as a stroke where it fits."""
    ends = [end if math.isfinite(end) else (scale.low, scale.high)[end > 0] for end in (low, high)]
    half, zero = HEIGHT / 2, scale.x(0)
    stroke = ""
    if printed is not None and scale.low <= printed <= scale.high:
        stroke = f'<path class="mark" d="M{scale.x(printed)} 1V{HEIGHT - 1}"/>'
    return Markup(
        f'<svg class="strip {css}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        f'<path class="zero" d="M{zero} 0V{HEIGHT}"/>'
        f'<path class="bar" d="M{scale.x(ends[0])} {half:g}H{scale.x(ends[1])}"/>{stroke}'
        f'<circle class="dot" cx="{scale.x(middle)}" cy="{half:g}" r="3.6"/></svg>'
    )


def forest(
    rows: Sequence[tuple[str, float, float, float]], xlabel: str = "difference", decimals: int = 2
) -> str:
    """Point and interval per row, `(label, middle, low, high)`, coloured by sign.

    Grey where the interval holds 0.
    """
    scale = Scale.of(value for row in rows for value in row[1:])
    body = []
    for label, middle, low, high in rows:
        css = ABOVE if low > 0 else BELOW if high < 0 else AROUND
        body.append(
            Markup('<tr><th scope="row">{}</th><td>{}</td><td class="num"><b>{}</b> {}</td></tr>')
            .format(label, mark(scale, low, middle, high, css), signed(middle, decimals),
                    f"[{signed(low, decimals)}, {signed(high, decimals)}]")
        )  # fmt: skip
    ends = Markup('<span class="ends"><span>{}</span><span>{}</span></span>').format(
        signed(scale.low, 1), signed(scale.high, 1)
    )
    return _table("forest", ["", ends, xlabel], body)


def bars(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    ylabel: str = "",
    decimals: int = 3,
) -> str:
    """One group of rows per label, one bar per series, its value behind it."""
    scale = Scale.of(value for values in series.values() for value in values)
    zero = scale.x(0)
    body = []
    for i, label in enumerate(labels):
        for place, (name, values) in enumerate(series.items()):
            x = scale.x(values[i])
            bar = Markup(
                f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
                f'<rect class="s{place % 7}" x="{min(x, zero):g}" y="2" '
                f'width="{abs(x - zero):g}" height="{HEIGHT - 4}"/></svg>'
            )
            who = Markup("<td></td>" if place else '<th scope="row">{}</th>').format(label)
            body.append(
                Markup('<tr>{}<td>{}</td><td>{}</td><td class="num">{}</td></tr>').format(
                    who, name, bar, f"{values[i]:,.{decimals}f}"
                )
            )
    return _table("bars", ["", "", "", ylabel], body)


def heatmap(
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    decimals: int = 1,
    label: str = "",
    marks: Sequence[Sequence[bool]] | None = None,
) -> str:
    """A table of signed numbers, blue above 0 and orange below; None stays empty.

    `marks`, of the same shape, puts a star behind the numbers that the caption singles out.
    """
    known = [abs(value) for row in values for value in row if value is not None]
    top = max(known, default=0.0) or 1.0
    body = []
    for i, row in enumerate(values):
        line = Markup('<tr><th scope="row">{}</th>').format(row_labels[i])
        for j, value in enumerate(row):
            if value is None:
                line += Markup("<td></td>")
                continue
            strength = STRONGEST * abs(value) / top
            star = "*" if marks is not None and marks[i][j] else ""
            side = ABOVE if value > 0 else BELOW
            line += Markup('<td class="num {}" style="background:rgb({} / {})">{}{}</td>').format(
                side, TINTS[side], f"{strength:.2f}", signed(value, decimals), star
            )
        body.append(line + Markup("</tr>"))
    return _table("heat", [label, *column_labels], body)


def _table(css: str, head: Sequence[str], body: Sequence[Markup]) -> str:
    """The table as HTML text; an empty heading is an empty cell, which names nothing."""
    cells = Markup("").join(
        Markup('<th scope="col">{}</th>').format(each) if each else Markup("<td></td>")
        for each in head
    )
    rows = Markup("\n").join(body)
    return str(
        Markup('<table class="{}"><thead><tr>{}</tr></thead><tbody>\n{}\n</tbody></table>\n')
        .format(css, cells, rows)
    )  # fmt: skip
