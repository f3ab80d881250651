"""What is wrong with a paper's folder, a line each: `replicate check` and the tests ask here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ir_replications.engine.door import tell
from ir_replications.engine.experiment import TIERS
from ir_replications.engine.jobs import plan_jobs
from ir_replications.engine.registry import PAPERS_FOLDER, experiments, papers
from ir_replications.reports.claims.kinds import load_numbers
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.toml_reader import Selector
from ir_replications.reports.claims.types import Paper
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable


def unreadable(paper: str) -> list[str]:
    """One line for each file of a paper without which no command can use it; none in a sound one.

    These are numbers.toml, claims.toml and the registry of its experiments with their cells.
    """
    folder = PAPERS_FOLDER / paper
    found: list[str] = []
    for read in (load_numbers, load_paper, _plan):
        try:
            read(folder)
        except InputError as error:
            found.append(" ".join(str(error).split()))
    return found


def sound_papers() -> list[str]:
    """The papers that commands can use; an unfinished one is passed over with a line on stderr."""
    sound = []
    for paper in papers():
        if found := unreadable(paper):
            tell(f"note: {paper} is passed over: {broken_line(paper, found)}", err=True)
        else:
            sound.append(paper)
    return sound


def broken_line(paper: str, found: Sequence[str]) -> str:
    """The first fault of a paper, and how to see the others."""
    more = f" ({len(found) - 1} more: replicate check {paper})" if len(found) > 1 else ""
    return f"{found[0]}{more}"


def faults(paper: str) -> list[str]:
    """One line for each fault of a paper's folder, none for a sound one."""
    folder = PAPERS_FOLDER / paper
    found: list[str] = []
    if not (folder / "README.md").is_file():
        found.append(f"{folder}: has no README.md; add one that says what is replicated and how")
    found += unreadable(paper)
    try:
        claims, known = load_paper(folder), experiments(paper)
    except (InputError, ModuleNotFoundError):
        return found
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


def _plan(folder: Path) -> None:
    """Plan every tier. Raises InputError where the paper's code cannot."""
    try:
        for tier in TIERS:
            plan_jobs(folder.name, tier)
    except InputError:
        raise
    except ModuleNotFoundError as error:
        raise InputError(
            f"{folder / 'experiments' / 'registry.py'}: {error}; install it, or import it where it "
            "is used"
        ) from error
    except Exception as error:  # whatever somebody's unfinished cells raise
        what = printable(f"{type(error).__name__}: {error}")
        raise InputError(f"{folder / 'experiments'}: no cells ({what}); correct it") from error


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
