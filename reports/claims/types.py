"""What a paper's claims.toml says, as typed objects; reader.py documents the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ir_replications.reports.claims.toml_reader import Parts, Selector

Numbers = float | Mapping[str, float] | None


@dataclass(frozen=True)
class Source:
    """Where a printed number or sentence comes from, and how far to trust it.

    `of` is what it tells of: the "paper" (itself, or somebody's report of it), a "release" (its
    authors' code, models and their documentation, a library's formulas) or "other" things.
    """

    tag: str
    title: str
    url: str
    trust: str
    of: str


@dataclass(frozen=True)
class Note:
    """A deviation (text, reason) or an open point (text, our choice)."""

    id: str
    text: str
    reason: str


@dataclass(frozen=True)
class Column:
    """One column of a table; None means "as the table says"."""

    label: str
    ours: Selector
    measure: str | None
    scale: float | None
    decimals: int | None
    source: str | None
    tiers: tuple[str, ...] | None
    over: Parts


@dataclass(frozen=True)
class Row:
    """One row: the printed value per column, None where no source gives one."""

    label: str
    values: tuple[float | None, ...]
    ours: Selector
    source: str | None
    tolerance: float | None
    reason: str
    note: str
    compared: bool  # False: a system that is not run here, shown for its printed value alone


@dataclass(frozen=True)
class Table:
    """A table of the paper, or (no row has values) one of ours."""

    id: str
    title: str
    caption: str
    measure: str
    scale: float
    decimals: int
    source: str | None
    tiers: tuple[str, ...]
    comparable: tuple[str, ...]
    tolerance: float | None
    reason: str
    ours: Selector
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def one_measure(self) -> str:
        """The measure that every column shows; "" where they differ and their labels tell."""
        measures = {column.measure or self.measure for column in self.columns}
        return measures.pop() if len(measures) == 1 else ""

    @property
    def has_paper_values(self) -> bool:
        """False for a table that shows only our own numbers."""
        return any(value is not None for row in self.rows for value in row.values)


@dataclass(frozen=True)
class Check:
    """How a claim is tested; the module docstring says which fields a kind uses."""

    kind: str
    measure: str
    select: Selector
    a: Selector
    b: Selector
    op: str
    value: float
    expect: str
    each: str | None
    pool: str | None
    over: Mapping[str, Parts]
    subtract_from: float | None
    bound: float
    sesoi: float | None
    seeds: int
    these_weights: bool
    paper_a: Numbers
    paper_b: Numbers
    paper_effect: Numbers
    scale: float
    decimals: int
    tolerance: float | None
    reason: str


@dataclass(frozen=True)
class Claim:
    """One statement and its test.

    `kind` is "headline" or "claim" where its source tells of the paper, and "check" where it tells
    of released code, of a library, or of what was derived or asked here.
    """

    id: str
    text: str
    kind: str
    source: str | None
    tiers: tuple[str, ...]
    comparable: tuple[str, ...]
    requires: tuple[str, ...]
    family: str
    note: str
    expect_false: bool
    check: Check


@dataclass(frozen=True)
class Paper:
    """Everything claims.toml says; `id` is the folder's name, `name` what tables call the paper.

    `words` says what pages call a value of a config, or a fact: {"A8": "hinge + Margin-MSE"};
    `index` holds the claims for the index of all papers, by id, with what they were measured on.
    """

    id: str
    title: str
    name: str
    authors: tuple[str, ...]
    year: int
    arxiv: str
    url: str
    code: str
    licence: str
    summary: str
    result: str
    note: str
    words: Mapping[str, str]
    index: Mapping[str, str]
    sources: Mapping[str, Source]
    deviations: tuple[Note, ...]
    open_points: tuple[Note, ...]
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...]
