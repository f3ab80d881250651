"""First stages and judgements by collection: a stored BM25 pool where there is one, else BM25."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ir_replications.engine.context import Context
from ir_replications.shared.data.collection import Grades
from ir_replications.shared.data.pools import COMPLETE, pool_qrels, read_pool
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.retrieval.reranking import check_ids, first_stage, without_own
from ir_replications.shared.retrieval.runs import Run

DEPTH = 100
K1, B = 0.9, 0.4  # Anserini's, whose numbers anchor the first stage
POOL = "run.BM25.jsonl"


def candidate_run(name: str, split: str, context: Context, depth: int = DEPTH) -> Run:
    """The first `depth` documents of each query of a split.

    From the collection's stored BM25 pool, or by BM25 with Lucene's English analysis on title and
    text, without the query's own document. Raises InputError for a pool of another collection.
    """
    collection = context.collection(name)
    stored = _beside(name, POOL, context)
    if stored is None:
        tokens = context.tokens(name, "lucene", "space")
        return first_stage(collection, split, "bm25", depth, tokens=tokens, k1=K1, b=B)
    run = read_pool(stored)
    check_ids(run, collection, where=str(stored))
    found = without_own({qid: run.get(qid, []) for qid in collection.topics(split)})
    return {qid: results[:depth] for qid, results in found.items()}


def judgements(name: str, split: str, context: Context) -> Grades:
    """The split's judgements; of a pool all of the track's, those outside its corpus too.

    Only those of the collection's own documents where the context asks for these. Raises
    InputError for an unknown split.
    """
    collection = context.collection(name)
    topics = collection.topics(split)
    complete = None
    if not context.judged_in_collection:
        complete = _beside(name, f"qrels/{COMPLETE}.tsv", context)
    if split != "test" or complete is None:
        return collection.qrels[split]
    judged = pool_qrels(complete.parent.parent)
    return {qid: judged.get(qid, collection.qrels[split][qid]) for qid in topics}


def chosen_queries(qids: Iterable[str], number: int | None, seed: int = 42) -> list[str]:
    """A fixed choice of `number` queries by a hash of seed and id, in their order; None: all."""
    qids = list(qids)
    if number is None:
        return qids
    drawn = sorted(qids, key=lambda qid: hashlib.sha256(f"{seed}:{qid}".encode()).digest())
    chosen = set(drawn[:number])
    return [qid for qid in qids if qid in chosen]


def _beside(name: str, file: str, context: Context) -> Path | None:
    """A file in the collection's own folder, where the folder has it."""
    folder = context.folders.get(name)
    if folder is not None:
        return folder / file if (folder / file).is_file() else None
    root = find_data_root(context.data_root)
    if root is None or not (root / name / file).is_file():
        return None
    return context.files(f"{name}/{file}")
