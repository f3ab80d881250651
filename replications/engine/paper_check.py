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
    tables = folder / ("tables.toml" if (folder / "tables.toml").exists() else "claims.toml")
    files = {"[[table]]": tables, "[[claim]]": folder / "claims.toml"}
    return found + [
        f"{files[kind]}: {kind} {name}: no experiment {wanted!r}; experiments/registry.py has: "
        f"{', '.join(known)}"
        for kind, name, wanted in _experiments_named(claims)
        if wanted not in known
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


def _experiments_named(paper: Paper) -> Iterator[tuple[str, str, str]]:
    """(kind of entry, its id, experiment) wherever a claim or a table names one."""
    places: list[tuple[str, str, Selector]] = []
    for claim in paper.claims:
        check = claim.check
        places += [("[[claim]]", claim.id, part) for part in (check.select, check.a, check.b)]
    for table in paper.tables:
        parts = [table.ours, *(r.ours for r in table.rows), *(c.ours for c in table.columns)]
        places += [("[[table]]", table.id, ours) for ours in parts]
    for kind, name, selector in places:
        wanted = selector.get("experiment", [])
        for experiment in wanted if isinstance(wanted, list) else [wanted]:
            yield kind, name, str(experiment)
