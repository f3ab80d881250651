"""What entries of a claims.toml must say of each other."""

from __future__ import annotations

from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from reports.claim_types import Paper
from shared.errors import InputError

CHAIN = 50  # claims, each of which requires the next


def check_references(paper: Paper, path: Path) -> None:
    """Raise InputError unless ids are unique and every source and required claim exists.

    No claim requires itself, and every table says which records it shows.
    """
    names = Counter(f"[[table]] {table.id}" for table in paper.tables)
    names.update(f"[[claim]] {claim.id}" for claim in paper.claims)
    for name, times in names.items():
        if times > 1:
            raise InputError(f"{path}: {name}: this id occurs twice; make ids unique")
    sources = [(f"[[claim]] {claim.id}", claim.source) for claim in paper.claims]
    for table in paper.tables:
        sources.append((f"[[table]] {table.id}", table.source))
        sources += [(f"[[table]] {table.id} {row.label!r}", row.source) for row in table.rows]
        sources += [(f"[[table]] {table.id} {c.label!r}", c.source) for c in table.columns]
    for place, source in sources:
        if source is not None and source not in paper.sources:
            raise InputError(
                f"{path}: {place}: source {source!r} is not defined; add [sources.{source}]"
            )
    _check_requirements(paper, path)
    for table in paper.tables:
        for row in table.rows:
            for column in table.columns:
                if row.compared and not (table.ours or row.ours or column.ours or column.over):
                    raise InputError(
                        f"{path}: [[table]] {table.id} {row.label!r}: nothing says which records "
                        f"column {column.label!r} stands for; add ours to the table or the row"
                    )


def _check_requirements(paper: Paper, path: Path) -> None:
    """Every required claim exists, and none waits for itself."""
    requires = {claim.id: claim.requires for claim in paper.claims}
    for claim in paper.claims:
        for name in claim.requires:
            if name not in requires or name == claim.id:
                raise InputError(
                    f"{path}: [[claim]] {claim.id}: requires unknown claim {name!r}; "
                    "name another claim of this file"
                )
    depth: dict[str, int] = {}
    try:
        for name in TopologicalSorter(requires).static_order():
            depth[name] = 1 + max((depth[other] for other in requires[name]), default=0)
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise InputError(
            f"{path}: [[claim]] {error.args[1][-1]}: requires itself ({circle}); "
            "remove one of these from requires"
        ) from error
    for name, links in depth.items():
        if links > CHAIN:
            raise InputError(
                f"{path}: [[claim]] {name}: requires a chain of {links - 1} claims; "
                f"at most {CHAIN - 1} are followed"
            )
