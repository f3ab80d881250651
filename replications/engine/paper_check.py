"""What is wrong with a paper's folder, a line each: `replicate check` and the tests ask here."""

from __future__ import annotations

from collections.abc import Iterator

from ir_replications.engine.execute import PAPERS_FOLDER, TIERS, default_collections, experiments
from ir_replications.reports.claims.kinds import load_numbers
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.toml_reader import Selector
from ir_replications.reports.claims.types import Paper
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable


def faults(paper: str) -> list[str]:
    """One line for each fault of a paper's folder, none for a sound one."""
    folder = PAPERS_FOLDER / paper
    found: list[str] = []
    if not (folder / "README.md").is_file():
        found.append(f"{folder}: has no README.md; add one that says what is replicated and how")
    try:
        load_numbers(folder)
    except InputError as error:
        found.append(str(error))
    try:
        claims = load_paper(folder)
    except InputError as error:
        return [*found, str(error)]
    try:
        known = experiments(paper)
        for tier in TIERS:
            default_collections(paper, tier)
    except Exception as error:  # whatever somebody's unfinished module raises
        what = printable(f"{type(error).__name__}: {error}")
        return [
            *found,
            f"{folder / 'experiments' / 'registry.py'}: cannot be used ({what}); correct it",
        ]
    return found + [
        f"{folder / 'claims.toml'}: {place}: no experiment {name!r}; experiments/registry.py has: "
        f"{', '.join(known)}"
        for place, name in _experiments_named(claims)
        if name not in known
    ]


def summary(paper: str) -> str:
    """How many claims of each kind and tables a sound paper has."""
    claims = load_paper(PAPERS_FOLDER / paper)
    kinds = [claim.kind for claim in claims.claims]
    numbers = f"{kinds.count('headline')} headline, {kinds.count('claim')} more of the paper"
    return (
        f"{paper}: {len(kinds)} claims ({numbers}, {kinds.count('check')} checks), "
        f"{len(claims.tables)} tables: sound"
    )


def _experiments_named(paper: Paper) -> Iterator[tuple[str, str]]:
    """(entry, experiment) wherever a claim or a table names one."""
    places: list[tuple[str, Selector]] = []
    for claim in paper.claims:
        check = claim.check
        places += [(f"[[claim]] {claim.id}", part) for part in (check.select, check.a, check.b)]
    for table in paper.tables:
        parts = [table.ours, *(r.ours for r in table.rows), *(c.ours for c in table.columns)]
        places += [(f"[[table]] {table.id}", ours) for ours in parts]
    for place, selector in places:
        wanted = selector.get("experiment", [])
        for name in wanted if isinstance(wanted, list) else [wanted]:
            yield place, str(name)
