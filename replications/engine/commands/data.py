"""`replicate data`: which collections there are, fetch one, check one against its pins."""

from __future__ import annotations

from pathlib import Path

import click

from ir_replications.engine.commands.options import Table, console, data_root_option
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
def list_(data_root: Path | None) -> None:
    """List the collections known by id, and where each would come from."""
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
def check(refs: tuple[str, ...], data_root: Path | None) -> None:
    """Compare collections (ids or folders) with the counts and checksums of the manifest."""
    wrong = 0
    for ref in refs:
        collection = load_collection(ref, data_root=data_root, download=False)
        tell(
            f"{collection.id}: {len(collection.doc_ids):,} documents, "
            f"{len(collection.queries):,} queries, sha256 {collection.sha256}"
        )
        for note in collection.notes:
            tell(f"  note: {note}")
        for line in check_collection(collection):
            unpinned = line.startswith(UNPINNED)
            wrong += not unpinned
            tell(f"  {'note' if unpinned else 'mismatch'}: {line}")
    if wrong:
        raise InputError(
            f"{wrong} values differ from the manifest; claims on these data are not comparable"
        )
