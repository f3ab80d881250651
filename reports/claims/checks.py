"""What entries of a claims.toml must say of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from ir_replications.reports.claims.types import Paper
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import shown

CHAIN = 50  # claims, each of which requires the next


def check_references(paper: Paper, path: Path, tables: Path) -> None:
    """Raise InputError unless ids are unique and every source and required claim exists.

    `path` is the file of the claims, `tables` that of the tables, named in what is wrong there.
    No claim requires itself, and every table says which records it shows.
    """
    names = Counter(f"{tables}: [[table]] {table.id}" for table in paper.tables)
    names.update(f"{path}: [[claim]] {claim.id}" for claim in paper.claims)
    for name, times in names.items():
        if times > 1:
            raise InputError(f"{name}: this id occurs twice; make ids unique")
    sources = [(f"{path}: [[claim]] {claim.id}", claim.source) for claim in paper.claims]
    for table in paper.tables:
        place = f"{tables}: [[table]] {table.id}"
        sources.append((place, table.source))
        sources += [(f"{place} {row.label!r}", row.source) for row in table.rows]
        sources += [(f"{place} {column.label!r}", column.source) for column in table.columns]
    for place, source in sources:
        if source is not None and source not in paper.sources:
            raise InputError(f"{place}: source {shown(source)} is not defined; add it to [sources]")
    known = {claim.id for claim in paper.claims}
    if unknown := [name for name in paper.index if name not in known]:
        raise InputError(f"{path}: [index] {shown(unknown[0])}: no claim has this id")
    _check_order(paper, path)
    _check_requirements(paper, path)
    _check_tolerances(paper, path, tables)
    for table in paper.tables:
        for row in table.rows:
            for column in table.columns:
                if row.compared and not (table.ours or row.ours or column.ours or column.over):
                    raise InputError(
                        f"{tables}: [[table]] {table.id} {row.label!r}: nothing says which records "
                        f"column {column.label!r} stands for; add ours to the table or the row"
                    )


def _check_order(paper: Paper, path: Path) -> None:
    """Headline claims stand before all others."""
    first = [claim.id for claim in paper.claims if claim.kind == "headline"]
    for claim, name in zip(paper.claims, first, strict=False):
        if claim.kind != "headline":
            raise InputError(
                f"{path}: [[claim]] {name}: a headline claim after {claim.id}, which is none; "
                "headline claims stand first"
            )


def _check_requirements(paper: Paper, path: Path) -> None:
    """Every required claim exists, and none waits for itself."""
    requires = {claim.id: claim.requires for claim in paper.claims}
    for claim in paper.claims:
        for name in claim.requires:
            if name not in requires or name == claim.id:
                raise InputError(
                    f"{path}: [[claim]] {claim.id}: requires unknown claim {shown(name)}; "
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


def _check_tolerances(paper: Paper, path: Path, tables: Path) -> None:
    """No band is so wide that any value of a measure lies inside."""
    for place, key, width, numbers in _bands(paper, path, tables):
        widest = max(abs(number) for number in numbers)
        if width is not None and width >= widest:
            raise InputError(
                f"{place}: {key} {width:g} takes in any value; it must be below "
                f"{widest:g}, the larger of the scale and the printed number"
            )


def _bands(
    paper: Paper, path: Path, tables: Path
) -> Iterator[tuple[str, str, float | None, list[float]]]:
    """(place, key, half width) of every band, with the scale and the numbers printed there."""
    for table in paper.tables:
        scales = [table.scale, *(column.scale or 0.0 for column in table.columns)]
        for row in table.rows:
            printed = [value for value in row.values if value is not None]
            width = table.tolerance if row.tolerance is None else row.tolerance
            yield (
                f"{tables}: [[table]] {table.id} {row.label!r}",
                "tolerance",
                width,
                [*scales, *printed],
            )
    for claim in paper.claims:
        check = claim.check
        printed = [check.scale, check.value]
        for numbers in (check.paper_a, check.paper_b, check.paper_effect):
            if isinstance(numbers, Mapping):
                printed += numbers.values()
            elif numbers is not None:
                printed.append(numbers)
        for key, width in (
            ("tolerance", check.tolerance), ("sesoi", check.sesoi), ("bound", check.bound or None),
        ):  # fmt: skip
            yield f"{path}: [[claim]] {claim.id}", key, width, printed
