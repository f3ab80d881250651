"""Collections of the ir_datasets package, read through it and cached by it."""

from __future__ import annotations

import gzip
import os
import sys
import tarfile
import zipfile
import zlib
from typing import Any

from ir_replications.shared.data.collection import Collection, make_collection
from ir_replications.shared.data.rows import (
    gather_documents,
    gather_qrels,
    gather_queries,
    numbered,
)
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.hub.client import tell_as_notes
from ir_replications.shared.hub.errors import explain

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
_EXCLUDED = "Excluded from evaluation"  # how ir_datasets names BRIGHT's excluded documents


def load_irds(dataset_id: str, id: str | None = None) -> Collection:
    """Load the ir_datasets dataset `dataset_id`, which must have queries and qrels.

    The split is the last part of its name if that is train, dev or test, else "test". Raises
    InputError when ir_datasets does not know it, or it cannot be downloaded.
    """
    try:
        import ir_datasets
    except ImportError as error:
        raise MissingDependencyError(
            f"ir-datasets:{dataset_id} needs ir_datasets; pip install 'ir-replications[irds]'"
        ) from error
    name = f"ir-datasets:{dataset_id}"
    if not sys.stderr.isatty():
        os.environ.setdefault("IR_DATASETS_DL_DISABLE_PBAR", "true")
        logger = ir_datasets.log.easy().logger()
        logger.setLevel("WARNING")
        tell_as_notes(logger)
    try:
        dataset = ir_datasets.load(dataset_id)
    except KeyError as error:
        raise InputError(f"{name}: ir_datasets does not know it; see ir-datasets.com") from error
    if not (dataset.has_docs() and dataset.has_queries() and dataset.has_qrels()):
        raise InputError(f"{name}: no documents, queries or qrels; name a split, such as /test")
    last = dataset_id.rpartition("/")[2]
    split = last if last in ("train", "dev", "test") else "test"
    notes: list[str] = []
    excluded: dict[str, set[str]] = {}
    try:
        defs = dataset.qrels_defs()
        judged: list[dict[str, Any]] = []
        for row in dataset.qrels_iter():
            if defs.get(row.relevance) == _EXCLUDED:
                excluded.setdefault(row.query_id, set()).add(row.doc_id)
            else:
                judged.append(row._asdict())
        qrels = {split: gather_qrels(judged, f"{name} qrels", notes)}
        rows = map(_query, dataset.queries_iter())
        queries = gather_queries(numbered(rows, f"{name} queries"))
        rows = map(_document, dataset.docs_iter())
        documents = gather_documents(numbered(rows, f"{name} documents"), notes)
    except InputError:
        raise
    except Exception as error:  # whatever a download, an archive or a licence check raises
        reason, remedy = explain(error)
        if isinstance(error, _DAMAGED):
            place = ir_datasets.util.home_path() / dataset_id.partition("/")[0]
            remedy = f"a file below {place} is damaged, delete it and run it again"
        raise InputError(
            f"{name}: could not be loaded ({reason}); {remedy}, "
            "or put a BEIR folder in the data root and give its id"
        ) from error
    return make_collection(
        id or f"ir-datasets/{dataset_id}",
        documents,
        queries,
        qrels,
        source=name,
        excluded=excluded,
        notes=notes,
        where=name,
    )


def _document(record: Any) -> dict[str, Any]:
    text = record.text if hasattr(record, "text") else record.default_text()
    return {"_id": record.doc_id, "title": getattr(record, "title", None), "text": text}


def _query(record: Any) -> dict[str, Any]:
    text = record.text if hasattr(record, "text") else record.default_text()
    return {"_id": record.query_id, "text": text}
