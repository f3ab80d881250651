"""What the templates show: tiers, tables and records turned into text and links."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ir_replications.reports.claims.judge import Cell, Judgement, cell_counts
from ir_replications.reports.claims.toml_reader import Selector
from ir_replications.reports.claims.types import Paper, Table
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.pages.claim_views import ClaimView, FrontLine, is_published
from ir_replications.reports.pages.formatting import number, signed
from ir_replications.reports.pages.plots import Figure
from ir_replications.reports.pages.query_views import QueryPage
from ir_replications.reports.pages.record_views import Link, Places, RecordPage
from ir_replications.reports.records.commands import run_command
from ir_replications.reports.records.record import TIERS, Record


@dataclass(frozen=True)
class CellView:
    """One table cell as text."""

    paper: str
    ours: str
    gap: str
    spread: str
    verdict: Verdict | None
    why: str
    tier: str
    source: str
    second_hand: bool
    published: bool
    record: str


@dataclass(frozen=True)
class TableView:
    """One table: rows of (label, note, cells), the tiers shown, commands for what is missing.

    `absent` are the labels of rows that hold nothing: no value of the paper and no run of ours.
    """

    table: Table
    rows: list[tuple[str, str, list[CellView | None]]]
    absent: list[str]
    tiers: list[str]
    commands: list[str]
    missing: int
    rules: Sequence[tuple[str, str, Verdict, str]]


@dataclass(frozen=True)
class TierView:
    """One tier of a paper: number of records, verdict counts of claims and of table cells.

    `claims` are statements of the paper, `released` those of its released code and of libraries,
    `checks` what is derived, measured or compared here; `cells` are printed in the paper,
    `other_cells` come from anybody else.
    """

    name: str
    records: int
    claims: dict[Verdict, int]
    released: dict[Verdict, int]
    checks: dict[Verdict, int]
    cells: dict[Verdict, int]
    other_cells: dict[Verdict, int]

    @property
    def printed(self) -> str:
        """ "12 of 60": how many cells printed in the paper have a number of ours; "" without."""
        if not self.cells:
            return ""
        empty = (Verdict.NOT_RUN, Verdict.ERROR)
        filled = sum(n for word, n in self.cells.items() if word not in empty)
        return f"{filled} of {sum(self.cells.values())}"


@dataclass(frozen=True)
class PaperView:
    """Everything that a paper's page shows."""

    paper: Paper
    tiers: list[TierView]
    front: list[FrontLine]
    checks: tuple[int, int]
    claims: list[ClaimView]
    tables: list[TableView]
    figures: Sequence[Figure]
    pages: Sequence[RecordPage]
    queries: Sequence[QueryPage]
    records: int
    code: list[str]
    digest: str
    paper_bibtex: str
    replication_bibtex: str

    @property
    def headlines(self) -> list[ClaimView]:
        """What stands on the index, then what else the paper says first of all, measured first."""
        place = {name: i for i, name in enumerate(self.paper.index)}
        found = [item for item in self.claims if self._leads(item)]
        return sorted(
            found,
            key=lambda item: (place.get(item.claim.id, len(place)), not item.findings),
        )

    @property
    def others(self) -> list[ClaimView]:
        """The other claims of the paper that were measured."""
        return [item for item in self._rest if item.findings]

    @property
    def unrun(self) -> list[ClaimView]:
        """The other claims of the paper of which nothing was measured."""
        return [item for item in self._rest if not item.findings]

    @property
    def _rest(self) -> list[ClaimView]:
        own = (item for item in self.claims if item.claim.kind == "claim")
        return [item for item in own if not self._leads(item)]

    def _leads(self, item: ClaimView) -> bool:
        return item.claim.kind == "headline" or item.claim.id in self.paper.index

    @property
    def own_checks(self) -> list[ClaimView]:
        """What released code, libraries, derivations and we ourselves expect."""
        found = (item for item in self.claims if item.claim.kind == "check")
        return [item for item in found if not self._leads(item)]

    def for_index(self) -> PaperView:
        """What the index shows, small enough to be sent between processes."""
        return replace(self, claims=[], tables=[], figures=[], pages=[], queries=[])


def uses(paper: Paper, judgements: Mapping[str, Judgement]) -> dict[str, list[Link]]:
    """Digest of a record -> the claims and tables of the paper's page that rest on it."""
    found: dict[str, dict[str, Link]] = {}
    titles = {table.id: table.title for table in paper.tables}
    for judgement in judgements.values():
        for finding in judgement.findings:
            for record in finding.records:
                link = Link(f"#{finding.claim}", f"claim {finding.claim}")
                found.setdefault(record.digest, {})[link.href] = link
        for cell in judgement.cells:
            for record in cell.records:
                link = Link(f"#table-{cell.table}", f"table: {titles[cell.table]}")
                found.setdefault(record.digest, {})[link.href] = link
    return {digest: list(links.values()) for digest, links in found.items()}


def tier_view(paper: Paper, judgement: Judgement, records: Sequence[Record]) -> TierView:
    """Counts of one tier, and its claims grouped by verdict."""
    tells = {tag: source.of for tag, source in paper.sources.items()}
    told: dict[str, set[str]] = {"paper": set(), "release": set(), "other": set()}
    for claim in paper.claims:
        told[tells.get(claim.source or "", "other")].add(claim.id)
    printed: list[Cell] = []
    others: list[Cell] = []
    tables = {table.id: table for table in paper.tables}
    for cell in judgement.cells:
        table = tables[cell.table]
        tag = table.rows[cell.row].source or table.columns[cell.column].source or table.source
        (printed if tells.get(tag or "") == "paper" else others).append(cell)
    number_of = sum(record.tier == judgement.tier for record in records)
    return TierView(
        judgement.tier,
        number_of,
        judgement.counts(told["paper"]),
        judgement.counts(told["release"]),
        judgement.counts(told["other"]),
        cell_counts(printed),
        cell_counts(others),
    )


def table_view(
    paper: Paper, table: Table, judgements: Mapping[str, Judgement], places: Places
) -> TableView:
    """Each cell from the highest tier that measured it."""
    cells: dict[tuple[int, int], list[Cell]] = {}
    for tier in TIERS:
        for found in judgements[tier].cells:
            if found.table == table.id:
                cells.setdefault((found.row, found.column), []).append(found)
    rows = []
    commands: list[str] = []
    tiers, absent, missing = set(), [], 0
    for i, row in enumerate(table.rows):
        shown: list[CellView | None] = []
        wanted: dict[str, list[Selector]] = {}
        for j, column in enumerate(table.columns):
            if (cell := _best(cells.get((i, j), []))) is None:
                shown.append(None)
                continue
            tag = row.source or column.source or table.source
            source = paper.sources[tag] if tag else None
            if cell.verdict is Verdict.NOT_RUN:
                wanted.setdefault(cell.tier, []).extend(cell.selectors)
                missing += 1
            elif cell.values:
                tiers.add(cell.tier)
            decimals = column.decimals if column.decimals is not None else table.decimals
            more = decimals + (decimals < 4)
            gap = None if cell.ours is None or cell.paper is None else cell.ours - cell.paper
            shown.append(
                CellView(
                    paper=number(cell.paper, decimals),
                    ours=number(cell.ours, more),
                    gap=signed(gap, more),
                    spread=_spread(cell.values, more),
                    verdict=cell.verdict,
                    why=cell.why,
                    tier=cell.tier,
                    source=source.title if source else "",
                    second_hand=bool(source and source.trust not in ("primary", "ours")),
                    published=is_published(paper, tag),
                    record=places.of(cell.records[0]) if cell.records else "",
                )
            )
        commands += [run_command(paper.id, tier, found) for tier, found in wanted.items()]
        run = any(cell and cell.verdict is not Verdict.NOT_RUN for cell in shown)
        if run or table.has_paper_values:
            rows.append((row.label, row.note, shown))
        else:
            absent.append(row.label)
    present = [tier for tier in TIERS if tier in tiers]
    rules = [
        (label, column.label, cell.verdict, cell.why)
        for label, _, shown in rows
        for column, cell in zip(table.columns, shown, strict=True)
        if cell is not None and cell.verdict not in (None, Verdict.NOT_RUN)
    ]
    return TableView(table, rows, absent, present, list(dict.fromkeys(commands)), missing, rules)


def _best(cells: Sequence[Cell]) -> Cell | None:
    """The cell of the highest tier with a number, else a failed one, else the lowest tier's."""
    measured = [cell for cell in cells if cell.values]
    failed = [cell for cell in cells if cell.verdict is Verdict.ERROR]
    return (measured or failed)[-1] if measured or failed else next(iter(cells), None)


def _spread(values: Sequence[float], decimals: int) -> str:
    if len(values) < 2:
        return ""
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return f"sd {number(deviation, decimals)}, {len(values)} seeds"
