"""E5: weighted query augmentation with paraphrases written by a small language model.

The same paraphrases serve BMX in the paper's formula and in the three forms found in code, and a
BM25 control, so that what the paraphrases bring is kept apart from what BMX brings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ir_replications.bmx.experiments.e2_retrieval import DEPTH
from ir_replications.bmx.experiments.testbeds import is_english, reference_analyzer
from ir_replications.bmx.method.augmentation import REFERENCE_COUNT, REFERENCE_WEIGHT
from ir_replications.bmx.retrieval.augmented_search import top_k, weighted_sum
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import tokenize_queries
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.locks import turn_at
from ir_replications.shared.models.generation import CachedGenerator, Sampling
from ir_replications.shared.models.references import fetch_model, load_causal_lm
from ir_replications.shared.retrieval.bm25 import BM25
from ir_replications.shared.retrieval.runs import Run, canonical

MODEL = "embedded:smollm2-135m-instruct"
# ours: the paper's model and prompt are not known. A model this small needs to be shown the task;
# the examples are not queries of any collection.
SYSTEM = "You rewrite search queries in other words and keep their meaning."
SHOTS = (
    (
        "How do vaccines protect against disease?",
        "What is the mechanism by which immunisation prevents infection?",
    ),
    (
        "Sort the rows of a matrix by one column.",
        "Order a two-dimensional array according to the values in a given column.",
    ),
    (
        "Effect of wing shape on drag at high speed",
        "How does the geometry of an airfoil change air resistance in fast flight?",
    ),
)
SAMPLING = Sampling(max_new_tokens=32, temperature=0.7, top_p=0.9, seed=0)  # ours
FEW_QUERIES = 8  # embedded tier: enough to show that every part works, in seconds

SYSTEMS = (
    *(
        {"system": "bmx", "augmentation": name}
        for name in ("none", "paper", "fusion", "pooled", "fractional")
    ),
    *({"system": "bm25", "augmentation": name} for name in ("none", "paper")),
)


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Collection x system x form of augmentation."""
    queries = FEW_QUERIES if plan.tier == "embedded" else None
    return [
        {
            "collection": name,
            "analyzer": reference_analyzer(name),
            "title": "newline",
            **system,
            "model": MODEL,
            "paraphrases": REFERENCE_COUNT,
            "weight": REFERENCE_WEIGHT,
            "queries": queries,
            "seed": SAMPLING.seed,
        }
        for name in plan.collections
        if is_english(name)  # as the prompt is
        for system in SYSTEMS
    ]


def run(config: Config, context: Context) -> Outcome:
    """Paraphrase the queries (cached), search with and without them, evaluate."""
    name, analyzer = config["collection"], config["analyzer"]
    collection = context.collection(name)
    split = collection.default_split
    topics = _some(collection.topics(split), config["queries"])
    paraphrases, model_sha256 = paraphrase(list(topics.values()), config, context.download)
    tokens = context.tokens(name, analyzer, config["title"])
    queries = tokenize_queries(list(topics.values()), analyzer)
    augmented = [tokenize_queries(texts, analyzer) for texts in paraphrases]
    # Every BMX form retrieves one more, to be able to drop the query's own id.
    docs, scores = _search(config, tokens, queries, augmented, DEPTH + 1)
    found: Run = {
        qid: [
            (collection.doc_ids[doc], float(value))
            for doc, value in zip(row, values, strict=True)
            if doc >= 0 and collection.doc_ids[doc] not in {qid, *collection.excluded.get(qid, ())}
        ][:DEPTH]
        for qid, row, values in zip(topics, docs.tolist(), scores, strict=True)
    }
    qrels = {qid: collection.qrels[split][qid] for qid in topics}
    return Outcome(
        scores=evaluate(canonical(found), qrels),
        facts={
            "split": split,
            "paraphrases_sha256": hashlib.sha256(json.dumps(paraphrases).encode()).hexdigest(),
            # Other collections' queries may not be passed on; those of the embedded one may.
            "examples": list(zip(topics.values(), paraphrases, strict=True))[
                : config["queries"] or 0
            ],
            **_describe(queries, augmented),
        },
        models={config["model"]: model_sha256},
    )


def _some(topics: dict[str, str], number: int | None) -> dict[str, str]:
    """A fixed pseudo-random choice of topics, by hash of the id; all when `number` is None."""
    chosen = sorted(topics, key=lambda qid: hashlib.sha256(qid.encode()).digest())[:number]
    return {qid: text for qid, text in topics.items() if qid in set(chosen)}


def prompt(query: str) -> list[dict[str, str]]:
    """Chat messages that ask for a paraphrase of `query`, after three worked examples."""
    messages = [{"role": "system", "content": SYSTEM}]
    for example, answer in SHOTS:
        messages.append({"role": "user", "content": example})
        messages.append({"role": "assistant", "content": answer})
    return [*messages, {"role": "user", "content": query}]


def paraphrase(
    queries: Sequence[str], config: Config, download: bool = True
) -> tuple[list[list[str]], str]:
    """`paraphrases` texts per query, kept on disk text by text, and the sha256 of the model."""
    with costs_this_cell():
        files = fetch_model(config["model"], download=download)
    name = config["collection"].replace("/", "-")
    path = find_cache_dir() / "texts" / f"bmx-{name}-{files.sha256[:12]}.jsonl"
    with turn_at(
        path.with_name(f"{path.name}.lock")
    ):  # cells that run side by side need the same paraphrases
        generator = CachedGenerator(
            path,
            lambda: load_causal_lm(config["model"], dtype="float32"),
            files.sha256,
            SAMPLING,
            batch_size=40,
        )
        texts = generator.generate([prompt(query) for query in queries], config["paraphrases"])
    return [[clean(text) for text in each] for each in texts], files.sha256


def clean(text: str) -> str:
    """First line of an answer without quotes: small models go on talking."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].strip(" \"'`*") if lines else ""


def _search(
    config: Config,
    tokens: Any,
    queries: list[list[str]],
    augmented: list[list[list[str]]],
    depth: int,
) -> tuple[np.ndarray, np.ndarray]:
    form, weight = config["augmentation"], config["weight"]
    if config["system"] == "bmx":
        bmx = BMX().index(tokens)
        if form == "none":
            return bmx.retrieve(queries, k=depth)
        return bmx.retrieve_augmented(queries, augmented, weight, k=depth, form=form)
    bm25 = BM25(method="lucene", k1=1.2, b=0.75).index(tokens)
    if form == "none":
        return bm25.retrieve(queries, k=depth)
    docs = np.full((len(queries), depth), -1)
    scores = np.zeros((len(queries), depth))
    for row, (query, others) in enumerate(zip(queries, augmented, strict=True)):
        total = weighted_sum([query, *others], [1.0] + [weight] * len(others), bm25.get_scores)
        best = top_k(total, depth)
        docs[row, : len(best)], scores[row, : len(best)] = best, total[best]
    return docs, scores


def _describe(queries: list[list[str]], augmented: list[list[list[str]]]) -> dict[str, float]:
    """What the paraphrases are: how many are empty, repeat the query, or bring new tokens."""
    pairs = [(q, a) for q, others in zip(queries, augmented, strict=True) for a in others]
    return {
        "share_empty": float(np.mean([not a for _, a in pairs])),
        "share_same_tokens": float(np.mean([set(a) == set(q) for q, a in pairs])),
        "mean_new_tokens": float(np.mean([len(set(a) - set(q)) for q, a in pairs])),
        "mean_kept_share": float(
            np.mean([len(set(a) & set(q)) / max(1, len(set(q))) for q, a in pairs])
        ),
    }


EXPERIMENT = Experiment(
    id="E5",
    title="weighted query augmentation with SmolLM2 paraphrases",
    cells=cells,
    run=run,
    cost={"embedded": "40 s; 98 MB model", "small": "35 min; 98 MB model", "paper": "GPU hours"},
    needs_model=True,
)
