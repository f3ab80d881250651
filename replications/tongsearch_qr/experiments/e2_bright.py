"""E2: BRIGHT with original and published reasoned queries: the paper's main table, on CPUs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import tokenize_queries
from ir_replications.shared.data import Collection
from ir_replications.shared.retrieval.runs import Run
from ir_replications.shared.retrieval.search import named_retriever
from ir_replications.tongsearch_qr.experiments.bright import (
    ANALYZER,
    MEASURE,
    SUBSETS,
    SYSTEMS,
    TITLE,
    ndcg,
    search_texts,
    search_tokens,
)
from ir_replications.tongsearch_qr.rewriting.released_files import (
    HUB,
    MAPS,
    corrected_qrels,
    data_root_corrections,
    data_root_queries,
    published_queries,
    queries_sha256,
)

ORIGINAL = "original"
FIXED_MEASURE = f"{MEASURE}, fixed qrels"
WITHOUT_EXCLUSIONS = f"{MEASURE}, nothing excluded"
COLLECTIONS = tuple(f"bright/{subset}" for subset in SUBSETS)
RUN_DEPTH = 100  # results per query kept in the run files of the paper's system


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Subset x queries x system; a collection of the user's own has its original queries alone."""
    wanted = plan.collections if plan.chosen else [c for c in COLLECTIONS if c in plan.collections]
    return [
        {"collection": collection, "queries": queries, "system": system, **SYSTEMS[system]}
        for collection in wanted
        for queries in (ORIGINAL, *MAPS, *HUB)
        if queries == ORIGINAL or collection in COLLECTIONS
        for system in SYSTEMS
        # Other first stages with the paper's queries only; Lucene itself where it is installed.
        if system == "bm25q" or queries not in HUB
        if system != "lucene" or find_spec("pyserini")
    ]


def run(config: Config, context: Context) -> Outcome:
    """Search the topics with the config's queries; evaluate on original and corrected qrels."""
    name = config["collection"]
    collection = context.collection(name)
    split = collection.default_split
    texts = query_texts(config["queries"], name, collection.topics(split), context)
    system, excluded = config["system"], collection.excluded
    found, everything = _search(config, context, texts)
    scores = ndcg(found, collection.qrels[split])
    _note(data_root_corrections(collection, context.data_root), context)
    fixed = corrected_qrels(collection, data_root=context.data_root, download=context.download)
    more = {FIXED_MEASURE: ndcg(found, fixed)} if fixed else {}
    if excluded:  # what a harness that forgets the exclusions would report
        more[WITHOUT_EXCLUSIONS] = ndcg(everything, collection.qrels[split])
    for measure, other in more.items():
        scores.per_query[measure] = other.per_query[MEASURE]
        scores.means[measure] = other.means[MEASURE]
    kept = {qid: results[:RUN_DEPTH] for qid, results in found.items()}
    return Outcome(
        scores=scores,
        facts={
            "split": split,
            "documents": len(collection.doc_ids),
            "queries": len(texts),
            "words_per_query": sum(len(t.split()) for t in texts.values()) / len(texts),
            "queries_sha256": queries_sha256(texts),
            **_count_excluded(collection),
            "notes": list(collection.notes),
        },
        run=kept if system == "bm25q" else None,
    )


def query_texts(
    name: str, collection: str, queries: dict[str, str], context: Context
) -> dict[str, str]:
    """What is searched for: the original queries, or the reasoned ones that replace them.

    Files of the data root are noted, so that a change of them makes the cell run again.
    """
    if name == ORIGINAL:
        return queries
    folder = context.folders.get(collection)
    if folder is None:
        _note(data_root_queries(name, collection, context.data_root), context)
    return published_queries(
        name,
        collection,
        queries,
        folder=folder,
        data_root=context.data_root,
        download=context.download,
    )


def _note(files: list[str], context: Context) -> None:
    for file in files:
        context.files(file)


def _search(config: Config, context: Context, texts: dict[str, str]) -> tuple[Run, Run]:
    """The run with excluded documents removed, and the one that leaves them in."""
    name, system = config["collection"], config["system"]
    collection = context.collection(name)
    rules = (collection.excluded, {}) if collection.excluded else (collection.excluded,)
    retriever = named_retriever(system, **{key: config[key] for key in SYSTEMS[system]})
    if system == "lucene":
        engine = retriever.index(collection, TITLE)
        runs = [search_texts(engine, texts, excluded) for excluded in rules]
        engine.close()
    else:
        topics = dict(zip(texts, tokenize_queries(list(texts.values()), ANALYZER), strict=True))
        retriever.index(context.tokens(name, ANALYZER, TITLE))
        runs = [search_tokens(retriever, collection.doc_ids, topics, rule) for rule in rules]
    return runs[0], runs[-1]


def _count_excluded(collection: Collection) -> dict[str, int]:
    known = set(collection.doc_ids)
    return {
        "queries_with_exclusions": len(collection.excluded),
        "excluded": sum(len(ids & known) for ids in collection.excluded.values()),
    }


EXPERIMENT = Experiment(
    id="E2",
    title="BRIGHT: original and published reasoned queries",
    cells=cells,
    run=run,
    cost={"paper": "about 1 hour; 480 MB of downloads, 8 GB of memory (estimates)"},
)
