"""Records as pages: one per experiment and tier, or per collection where there are many.

What all records of a page share stands once at its top; a record shows the rest. Every record has
an anchor, the command of its very cell, and links back to what rests on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from ir_replications.reports.pages.formatting import number, scalar
from ir_replications.reports.records.commands import run_command
from ir_replications.reports.records.files import PACK
from ir_replications.reports.records.record import Record, order, slug

HEADLINE = "nDCG@10"
MOST = 60  # records on a page
SHOWN = 12  # members of a list
DIRECT = 4  # records that a number links one by one; of more it links their pages
Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class RecordView:
    """A record as text: what its page's other records do not share."""

    record: Record
    anchor: str
    command: str
    json_file: str
    packed: bool  # one line of that file
    run_file: str | None
    means: Pairs
    facts: Pairs
    provenance: Pairs


@dataclass(frozen=True)
class RecordPage:
    """A page of records: `name` is its path below the pages, `shared` what all of them hold."""

    name: str
    title: str
    tier: str
    experiment: str
    records: Sequence[Record] = field(repr=False)


@dataclass(frozen=True)
class Link:
    """A link from a paper's page: where it leads, and what it says."""

    href: str
    text: str


class Places:
    """Where the records of one paper stand: page and anchor of each."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.pages = list(_pages(records))
        self._page = {r.digest: page for page in self.pages for r in page.records}

    def of(self, record: Record) -> str:
        """The link to a record, seen from the folder of the pages."""
        return f"{self._page[record.digest].name}#{anchor(record)}"

    def links(self, records: Sequence[Record]) -> list[Link]:
        """Links to a few records each, or to the pages of many, with how many stand there."""
        found = list({record.digest: record for record in records}.values())
        if len(found) <= DIRECT:
            return [Link(self.of(record), record.label) for record in found]
        by_page: dict[str, list[Record]] = {}
        for record in found:
            by_page.setdefault(self._page[record.digest].name, []).append(record)
        return [
            Link(self.of(own[0]), f"{self._page[own[0].digest].title} ({len(own)})")
            for own in by_page.values()
        ]


def anchor(record: Record) -> str:
    """Anchor of a record on its page, and its name in addresses; unique within an experiment."""
    return record.stem


def _pages(records: Iterable[Record]) -> Iterable[RecordPage]:
    def experiment_of(record: Record) -> tuple[str, str]:
        return record.tier, record.experiment

    for (tier, experiment), group in groupby(sorted(records, key=order), experiment_of):
        own = list(group)
        parts: dict[str, list[Record]] = {"": own}
        if len(own) > MOST:
            parts = {}
            for record in own:
                parts.setdefault(str(record.config.get("collection") or ""), []).append(record)
        for collection, found in parts.items():
            name = f"records/{own[0].paper}/{tier}-{experiment}"
            part = f"-{slug(collection)}" if collection else ""
            yield RecordPage(
                f"{name}{part}.html",
                " ".join(filter(None, (experiment, tier, collection))),
                tier,
                experiment,
                found,
            )


def cell_command(record: Record) -> str:
    """The command that runs the cell of this record and no other."""
    selector = {
        "experiment": record.experiment,
        **{key: value for key, value in record.config.items() if value not in (None, "")},
    }
    return run_command(record.paper, record.tier, [selector])


def record_view(record: Record, stored: str | None, run_file: str | None) -> RecordView:
    """A record as text; `stored` links to its file or pack, else a pack lies in data/<paper>/."""
    facts = flat(record.facts)
    made = [pair for pair in facts if ".provenance." in f".{pair[0]}"]  # of a training in it
    own = flat({key: value for key, value in record.provenance.items() if key != "command"})
    return RecordView(
        record=record,
        anchor=anchor(record),
        command=cell_command(record),
        json_file=stored or data_pack(record),
        packed=stored is None or stored.endswith(PACK),
        run_file=run_file,
        means=[(measure, number(record.means[measure], 4)) for measure in _headline_first(record)],
        facts=[pair for pair in facts if pair not in made],
        provenance=own + made,
    )


def data_pack(record: Record) -> str:
    """The file of records that a render writes where no store lies beside the pages."""
    return f"data/{record.paper}/{record.tier}-{record.experiment}{PACK}"


def without_shared(views: Sequence[RecordView]) -> tuple[Pairs, list[RecordView]]:
    """What the records of a page share, and the records without it.

    Shared is what half of them or more state, and none of them otherwise.
    """
    stated: dict[str, set[str]] = {}
    times: Counter[str] = Counter()
    for view in views:
        for key, value in view.facts + view.provenance:
            stated.setdefault(key, set()).add(value)
            times[key] += 1
    least = max(2, len(views) / 2)
    shared = {key for key, values in stated.items() if len(values) == 1 and times[key] >= least}
    kept = [
        replace(
            view,
            facts=[pair for pair in view.facts if pair[0] not in shared],
            provenance=[pair for pair in view.provenance if pair[0] not in shared],
        )
        for view in views
    ]
    return [(key, next(iter(stated[key]))) for key in stated if key in shared], kept


def _headline_first(record: Record) -> list[str]:
    """Measures by name, the one that tables and claims default to in front."""
    return sorted(record.means, key=lambda measure: (measure != HEADLINE, measure))


def flat(value: Mapping[str, Any], prefix: str = "") -> Pairs:
    """Nested values as (dotted name, text); a list of plain values is one text, cut off.

    Of a list of objects, as a training's curve, the number of entries is told: the record has them.
    """
    rows: Pairs = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            rows += flat(item, f"{name}.")
        elif isinstance(item, list) and any(isinstance(part, (Mapping, list)) for part in item):
            rows.append((name, f"{len(item)} entries"))
        elif isinstance(item, list):
            text = ", ".join(scalar(part) for part in item[:SHOWN])
            rows.append((name, text + (f", … ({len(item)})" if len(item) > SHOWN else "")))
        elif item is not None:
            rows.append((name, scalar(item)))
    return rows
