"""E9: dense retrieval beside BMX. Two sentence embedders, exact search by cosine, same documents.

The abstract compares BMX with dense retrieval; which models the paper ran is not known. These are
two that fit a CPU, with 23M and 109M parameters, each read at the length it was published with.
"""

from __future__ import annotations

from typing import Any

from ir_replications.bmx.experiments.e2_retrieval import DEPTH
from ir_replications.bmx.experiments.testbeds import is_english
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.models.embedder import MINILM, MPNET
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.retrieval.dense import count_cut, dense_search, load_dense

COLLECTIONS = ("beir/nfcorpus", "beir/scifact")  # of the small tier: the two that are in BEIR
TITLE = "newline"  # reference code: title, line end and text, as BMX's own row has it


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Collection x embedder; none at the embedded tier, whose documents take minutes to embed."""
    if plan.tier == "embedded":
        return []
    names = plan.collections if plan.chosen or plan.tier == "paper" else COLLECTIONS
    return [
        {"collection": name, "title": TITLE, "system": "dense", "model": model}
        for model in (MINILM, MPNET)
        for name in names
        if is_english(name)  # as the models are
    ]


def run(config: Config, context: Context) -> Outcome:
    """Embed documents (cached) and topics, rank all documents by cosine, evaluate."""
    name = config["collection"]
    collection = context.collection(name)
    split = collection.default_split
    with costs_this_cell():
        fetch_model(config["model"], download=context.download)
    embedder = load_dense(config["model"])
    documents = list(collection.contents(config["title"]))
    found = dense_search(
        embedder,
        documents,
        collection.doc_ids,
        collection.topics(split),
        DEPTH,
        excluded=collection.excluded,
    )
    return Outcome(
        scores=evaluate(found, collection.qrels[split]),
        facts={
            "split": split,
            "documents": len(documents),
            "documents_cut": count_cut(embedder, documents),
            "max_tokens": embedder.max_length,
            "queries": len(collection.qrels[split]),
            "notes": list(collection.notes),
        },
        run=found,
        models={embedder.ref: embedder.sha256},
    )


EXPERIMENT = Experiment(
    id="E9",
    title="dense retrieval with two sentence embedders",
    cells=cells,
    run=run,
    cost={"small": "2.5 h of CPU, nearly all of it the 109M model; 480 MB of models"},
    needs_model=True,
)
