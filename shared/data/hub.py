"""Collections of the Hugging Face hub, at a pinned revision, kept in the cache as BEIR folders.

Layout expected of a dataset: the configurations "corpus", "queries" and "default" or "qrels"
(judgements, one split each), as in mteb/<name>; where corpus and queries have several splits, as
its later uploads do, the pinned one is taken. BRIGHT has "documents" and "examples", one split per
subset.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ir_replications.shared.data.agreement import count_mismatches
from ir_replications.shared.data.beir import write_beir
from ir_replications.shared.data.bright import gather_examples
from ir_replications.shared.data.collection import Collection, make_collection
from ir_replications.shared.data.manifest import Pin
from ir_replications.shared.data.rows import (
    gather_documents,
    gather_qrels,
    gather_queries,
    numbered,
)
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.hub.client import check_network, damaged_files, discard, hub_client
from ir_replications.shared.hub.errors import explain
from ir_replications.shared.rehearsal import rehearsal

Rows = Iterable[Mapping[str, Any]]


def load_rows(path: str, config: str, revision: str | None, split: str | None) -> dict[str, Rows]:
    """Load one configuration of a hub dataset (or a local folder of one): split -> rows.

    Raises whatever datasets raises, and InputError when a file arrived damaged; it is removed then.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: downloading needs datasets; pip install 'ir-replications[hub]'"
        ) from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    if os.path.isdir(path):
        loaded = datasets.load_dataset(path, config, split=split)
        return {split: loaded} if split else dict(loaded)
    hub_client()
    check_network()
    try:
        loaded = datasets.load_dataset(path, config, revision=revision, split=split)
    except Exception:
        _refuse_damaged(path, revision, [])  # which may be why
        raise
    splits = {split: loaded} if split else dict(loaded)
    _refuse_damaged(path, revision, list(splits.values()))
    return splits


def _refuse_damaged(name: str, revision: str | None, loaded: list[Any]) -> None:
    """Raise InputError where a cached file is not the hub's, and remove it and what it became."""
    hub = hub_client()
    try:
        snapshot = hub.snapshot_download(
            name, repo_type="dataset", revision=revision, allow_patterns=[], local_files_only=True
        )
    except Exception:  # nothing of this revision arrived
        return
    if not (damaged := damaged_files(Path(snapshot))):
        return
    for rows in loaded:
        for converted in rows.cache_files:
            shutil.rmtree(Path(converted["filename"]).parent, ignore_errors=True)
    discard(damaged)
    raise InputError(
        f"{name} at revision {revision}: {damaged[0].name} is not what the hub declares "
        "(its checksum differs); it was removed, fetch it again"
    )


def fetch_hub(id: str, hub: str, revision: str, folder: Path, pin: Pin | None = None) -> Path:
    """Download `hub` at `revision`, check it against `pin` and write it to `folder`; return that.

    Nothing is left behind unless all of it arrived and the counts agree. Raises InputError that
    names what was tried and what to do instead.
    """
    try:
        collection = _load(id, hub, revision, pin)
    except InputError:
        raise
    except Exception as error:  # datasets raises many kinds: connection, file, arrow, value
        reason, remedy = explain(error)
        raise InputError(
            f"{id}: tried {hub} at revision {revision} on the hub ({reason}); {remedy}, "
            f"or put a BEIR folder at <data root>/{id}"
        ) from error
    return write_beir(collection, folder)


def _load(id: str, hub: str, revision: str, pin: Pin | None) -> Collection:
    name = f"{hub}@{revision[:8]}"
    notes: list[str] = []
    excluded: dict[str, frozenset[str]] = {}
    if id.startswith("bright/"):
        subset = id.removeprefix("bright/")
        corpus = load_rows(hub, "documents", revision, subset)[subset]
        examples = numbered(
            load_rows(hub, "examples", revision, subset)[subset], f"{name} examples"
        )
        queries, gold, excluded = gather_examples(examples, notes)
        qrels = {"test": gold}
    else:
        wanted = pin.split if pin else "test"
        corpora = load_rows(hub, "corpus", revision, None)
        corpus = _one(corpora, wanted, f"{name} corpus")
        rows = _one(load_rows(hub, "queries", revision, None), wanted, f"{name} queries")
        judged = _judgements(hub, revision)
        if len(corpora) > 1:  # a corpus per split: the others' judgements are of other documents
            judged = {wanted: _one(judged, wanted, f"{name} judgements")}
        queries = gather_queries(numbered(rows, f"{name} queries"))
        qrels = {
            split: gather_qrels(rows, f"{name} {split}", notes) for split, rows in judged.items()
        }
        if pin and len(qrels) == 1:  # the only judgements, whatever the upload calls their split
            qrels = {pin.split: next(iter(qrels.values()))}
    documents = gather_documents(numbered(corpus, f"{name} corpus"), notes)
    collection = make_collection(
        id,
        documents,
        queries,
        qrels,
        source=f"https://huggingface.co/datasets/{hub}@{revision}",
        licence=pin.licence if pin else "",
        excluded=excluded,
        notes=notes,
        where=name,
    )
    if pin:
        check_counts(collection, pin)
    return collection


def check_counts(collection: Collection, pin: Pin) -> None:
    """Raise InputError when a download has not the pinned number of documents or queries.

    A rehearsal keeps it; `check_collection` then says so to everybody who loads it.
    """
    if (wrong := count_mismatches(collection, pin)) and not rehearsal():
        raise InputError(f"{'; '.join(wrong)}; nothing was kept, fetch it again")


def _judgements(hub: str, revision: str) -> dict[str, Rows]:
    try:
        return load_rows(hub, "default", revision, None)
    except ValueError as error:  # what datasets raises for a configuration that is not there
        if "'default' not found" not in str(error):
            raise
    return load_rows(hub, "qrels", revision, None)


def _one(splits: dict[str, Rows], wanted: str, name: str) -> Rows:
    if len(splits) == 1:
        return next(iter(splits.values()))
    if wanted in splits:
        return splits[wanted]
    raise InputError(
        f"{name}: expected one split or {wanted!r}, found {', '.join(splits) or 'none'}"
    )
