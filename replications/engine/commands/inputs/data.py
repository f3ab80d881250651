"""`replicate data`: which collections there are, fetch one, check one against its pins."""

from __future__ import annotations

from pathlib import Path

import click

from ir_replications.engine.commands.options import (
    Table,
    console,
    data_root_option,
    json_option,
    show_json,
)
from ir_replications.engine.door import tell
from ir_replications.shared.data import (
    UNPINNED,
    check_collection,
    fetch_collection,
    list_collections,
    load_collection,
)
from ir_replications.shared.errors import InputError


@click.group()
def data() -> None:
    """List, fetch and check collections."""


@data.command("list")
@data_root_option
@json_option
def list_(data_root: Path | None, as_json: bool) -> None:
    """List the collections known by id, and where each would come from."""
    if as_json:
        entries = list_collections(data_root=data_root)
        show_json(
            [
                {"id": e.id, "documents": e.documents or None, "queries": e.queries or None,
                 "licence": e.licence or None, "found in": e.found_in}
                for e in entries
            ]
        )  # fmt: skip
        return
    table = Table()
    table.add_column("id", no_wrap=True)
    for column in ("documents", "queries", "licence", "found in"):
        table.add_column(column, justify="right" if column in ("documents", "queries") else "left")
    for entry in list_collections(data_root=data_root):
        table.add_row(
            entry.id,
            f"{entry.documents:,}" if entry.documents else "",
            f"{entry.queries:,}" if entry.queries else "",
            entry.licence or "",
            entry.found_in,
        )
    console().print(table)


@data.command()
@click.argument("ids", nargs=-1, required=True)
def fetch(ids: tuple[str, ...]) -> None:
    """Download collections by id into the cache, at their pinned revisions."""
    for name in ids:
        tell(f"{name}: {fetch_collection(name)}")


@data.command()
@click.argument("refs", nargs=-1, required=True)
@data_root_option
@json_option
def check(refs: tuple[str, ...], data_root: Path | None, as_json: bool) -> None:
    """Compare collections (ids or folders) with the counts and checksums of the manifest."""
    wrong = 0
    found = []
    for ref in refs:
        collection = load_collection(ref, data_root=data_root, download=False)
        lines = check_collection(collection)
        mismatches = [line for line in lines if not line.startswith(UNPINNED)]
        wrong += len(mismatches)
        found.append(
            {"id": collection.id, "documents": len(collection.doc_ids),
             "queries": len(collection.queries), "sha256": collection.sha256,
             "notes": [*collection.notes, *(line for line in lines if line not in mismatches)],
             "mismatches": mismatches}
        )  # fmt: skip
        if as_json:
            continue
        tell(
            f"{collection.id}: {len(collection.doc_ids):,} documents, "
            f"{len(collection.queries):,} queries, sha256 {collection.sha256}"
        )
        for note in collection.notes:
            tell(f"  note: {note}")
        for line in lines:
            tell(f"  {'mismatch' if line in mismatches else 'note'}: {line}")
    if as_json:
        show_json(found)
    if wrong:
        raise InputError(
            f"{wrong} values differ from the manifest; claims on these data are not comparable"
        )
