"""Curves and clouds as inline SVG: same data give the same bytes, readable on light and dark pages.

Text and axes take the page's text colour (currentColor); data use mid tones that stand on both.
matplotlib is needed only where a paper has some. Intervals, bars and heat maps: drawings.py.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir_replications.shared.errors import MissingDependencyError

INK = "#010203"  # replaced by currentColor
MARKED = 30  # points of a curve that are marked one by one
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
    """A figure for a page: its drawing, words for those who cannot see it, and its numbers.

    `drawing` is an <svg> of this module or a table of drawings.py; `table` holds the numbers,
    header row first, for the page of numbers and the files beside it.
    """

    id: str
    title: str
    caption: str
    drawing: str
    alt: str
    table: Sequence[Sequence[Any]] = ()


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
            marker = "o" if len(points) <= MARKED else None  # a long curve is a line, and light
            axes.plot(xs, ys, color=_colour(place), marker=marker, markersize=3.5, label=name)
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

    return _svg(draw, height=3.2)


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

    return _svg(draw, height=3.6)


def _colour(place: int) -> str:
    return CYCLE[place % len(CYCLE)]


def _legend(axes: Any, count: int) -> None:
    if count > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(count, 2), fontsize=8.5)


def _svg(draw: Callable[[Any], None], *, height: float, width: float = 5.2) -> str:
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
