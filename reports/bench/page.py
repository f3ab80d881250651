"""The page of a bench: one file that needs no script and loads nothing."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from ir_replications.reports.bench.findings import LEVEL, Bench, milliseconds
from ir_replications.reports.bench.tradeoff import tradeoff
from ir_replications.reports.pages.formatting import interval, number, p_value, signed
from ir_replications.shared.printable import printable


def bench_page(bench: Bench, *, files: bool = True) -> str:
    """The page as HTML; with `files` it links the CSV, JSON and records that lie beside it."""
    return (
        _environment()
        .get_template("bench.html")
        .render(bench=bench, figure=tradeoff(bench.rows), level=LEVEL, files=files)
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ir_replications.reports.bench", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: printable(value, lines=True) if type(value) is str else value,
    )
    environment.filters.update(
        points=lambda value: number(value, 1),
        signed=lambda value: signed(value, 1),
        two=lambda value: number(value, 2),
        p=p_value,
        ms=milliseconds,
    )
    environment.globals.update(interval=interval)
    return environment
