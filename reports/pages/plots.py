"""Figures as inline SVG: same data give the same bytes, readable on light and dark pages.

Text and axes take the page's text colour (currentColor); data use mid tones that stand on both.
matplotlib is needed only where a paper has figures.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir_replications.shared.errors import MissingDependencyError

INK = "#010203"  # replaced by currentColor
BLUE, ORANGE, GREY = "#4a86c5", "#d0802f", "#8b8f96"
CYCLE = (BLUE, ORANGE, "#4c9f70", "#a172b8", "#b3955a", "#5aa9b3", GREY)
_RC: dict[Any, Any] = {
    "svg.hashsalt": "reports",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a label is text, whatever it holds
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "path.simplify": False,
}


@dataclass(frozen=True)
class Figure:
    """A figure for a page: SVG text, words for those who cannot see it, and its numbers.

    `table` holds the plotted numbers, header row first; it is shown below the figure on demand.
    """

    id: str
    title: str
    caption: str
    svg: str
    alt: str
    table: Sequence[Sequence[Any]] = ()


def forest(rows: Sequence[tuple[str, float, float, float]], xlabel: str = "difference") -> str:
    """Point and interval per row, `(label, mean, low, high)`, coloured by sign.

    Grey where the interval holds 0.
    """

    def draw(axes: Any) -> None:
        for index, (_, mean, low, high) in enumerate(rows):
            colour = BLUE if low > 0 else ORANGE if high < 0 else GREY
            axes.plot([low, high], [index, index], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot([mean], [index], marker="o", markersize=5, color=colour)
        axes.axvline(0, color=INK, linewidth=0.7, alpha=0.5)
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(xlabel)

    return _svg(draw, height=0.75 + 0.27 * len(rows))


def bars(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    ylabel: str = "",
    decimals: int = 3,
) -> str:
    """Grouped horizontal bars: one group per label, one bar per series, value at its end."""

    def draw(axes: Any) -> None:
        width = 0.8 / len(series)
        for place, (name, values) in enumerate(series.items()):
            middle = [i - 0.4 + width * (place + 0.5) for i in range(len(labels))]
            drawn = axes.barh(middle, values, height=width * 0.9, color=_colour(place), label=name)
            axes.bar_label(drawn, fmt=f"{{:,.{decimals}f}}", padding=3, fontsize=8)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xlabel(ylabel)
        axes.margins(x=0.1)
        _legend(axes, len(series))

    return _svg(draw, height=0.9 + 0.24 * len(labels) * max(len(series), 1))


def lines(
    series: Mapping[str, Sequence[tuple[float, ...]]],
    xlabel: str = "",
    ylabel: str = "",
    *,
    ticks: Sequence[str] = (),
    log: bool = False,
) -> str:
    """Curves of `(x, y)` or `(x, y, low, high)`; the interval is a band.

    `ticks` name x = 0, 1, ...; `log` is for a y axis of values above 0.
    """

    def draw(axes: Any) -> None:
        for place, (name, points) in enumerate(series.items()):
            xs, ys = [point[0] for point in points], [point[1] for point in points]
            axes.plot(xs, ys, color=_colour(place), marker="o", markersize=3.5, label=name)
            if points and len(points[0]) == 4:
                low, high = [point[2] for point in points], [point[3] for point in points]
                axes.fill_between(xs, low, high, color=_colour(place), alpha=0.2, linewidth=0)
        if ticks:
            axes.set_xticks(range(len(ticks)), ticks)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")  # exponents would be mathtext, shown raw
            axes.yaxis.set_minor_formatter("")
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        _legend(axes, len(series))

    return _svg(draw, height=3.4)


def scatter(
    series: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str = "",
    ylabel: str = "",
    *,
    diagonal: bool = False,
) -> str:
    """Points per series; `diagonal` draws y = x, for per-query values of two systems."""

    def draw(axes: Any) -> None:
        for place, (name, points) in enumerate(series.items()):
            xs, ys = [point[0] for point in points], [point[1] for point in points]
            axes.scatter(xs, ys, s=14, color=_colour(place), alpha=0.55, linewidths=0, label=name)
        if diagonal:
            axes.axline((0, 0), slope=1, color=INK, linewidth=0.7, alpha=0.5)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        _legend(axes, len(series))

    return _svg(draw, height=4.0, width=6.4)


def heatmap(
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    decimals: int = 1,
    label: str = "",
    marks: Sequence[Sequence[bool]] | None = None,
) -> str:
    """Coloured table of signed numbers, blue above 0 and orange below; None stays empty.

    `marks`, of the same shape, puts a star behind the numbers that the caption singles out.
    """

    def draw(axes: Any) -> None:
        known = [abs(value) for row in values for value in row if value is not None]
        top = max(known, default=0.0) or 1.0
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                if value is None:
                    continue
                colour = BLUE if value > 0 else ORANGE
                strength = 0.08 + 0.72 * abs(value) / top
                box = {"facecolor": colour, "alpha": strength, "linewidth": 0}
                axes.fill_between([j - 0.48, j + 0.48], i - 0.46, i + 0.46, **box)
                star = "*" if marks is not None and marks[i][j] else ""
                axes.text(
                    j, i, f"{value:+.{decimals}f}{star}", ha="center", va="center", fontsize=8.5
                )
        axes.set_xticks(range(len(column_labels)), column_labels, rotation=35, ha="right")
        axes.set_yticks(range(len(row_labels)), row_labels)
        axes.set_xlim(-0.5, len(column_labels) - 0.5)
        axes.set_ylim(len(row_labels) - 0.5, -0.5)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlabel(label)

    return _svg(draw, height=1.2 + 0.32 * len(row_labels), width=2.2 + 0.62 * len(column_labels))


def _colour(place: int) -> str:
    return CYCLE[place % len(CYCLE)]


def _legend(axes: Any, count: int) -> None:
    if count > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(count, 3), fontsize=8.5)


def _svg(draw: Callable[[Any], None], *, height: float, width: float = 7.0) -> str:
    """Draw on one pair of axes (sizes in inches) and return an <svg> element to put into HTML."""
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib: pip install matplotlib") from error
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_RC, "backend": "svg"}):
        figure = Canvas(figsize=(min(width, 12.0), height), layout="constrained")
        canvas, axes = FigureCanvasSVG(figure), figure.add_subplot()
        draw(axes)
        for patch in (figure.patch, axes.patch):
            patch.set(facecolor="none", edgecolor="none")
        buffer = io.StringIO()
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        canvas.print_svg(buffer, metadata=metadata)  # savefig would draw twice
    return _for_page(buffer.getvalue())


def _for_page(text: str) -> str:
    """Cut the XML prologue and fixed size, and let the page set colour and font."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    rest = re.sub(r"<style.*?</style>\s*", "", rest, flags=re.DOTALL)  # it would reach the page
    width = re.search(r'viewBox="0 0 ([\d.]+)', head)
    head = re.sub(r'\s(?:width|height|version|xmlns(?::\w+)?)="[^"]*"', "", head)
    if width:
        head += f' style="width:{float(width[1]) * 4 / 3:.0f}px"'
    text = f'{head} xmlns="http://www.w3.org/2000/svg" role="img">{rest}'
    text = text.replace(INK, "currentColor").replace("xlink:href", "href")
    return text.strip() + "\n"


def with_prefix(svg: str, prefix: str) -> str:
    """The SVG with every id made unique to `prefix`, since several stand in one page."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'\bhref="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
