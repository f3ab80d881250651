"""Small judged collections with first stages, for tests of what training sees."""

from __future__ import annotations

from ir_replications.shared.data import Collection, make_collection
from ir_replications.shared.retrieval.runs import Run

_WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def toy_source(name: str = "toy", queries: int = 6) -> tuple[Collection, str, Run]:
    """`queries` training queries of 10 candidates: 0 and 1 relevant, 2 judged 0, 3 to 9 unjudged.

    Candidate j of query i is document "qi-dj"; document "qi-missed" is relevant and not retrieved.
    Document 9 has the text of document 0, and documents 7 and 8 have one text.
    """
    documents: dict[str, tuple[str, str]] = {}
    topics: dict[str, str] = {}
    grades: dict[str, dict[str, int]] = {}
    run: Run = {}
    for i in range(queries):
        qid = f"q{i}"
        topics[qid] = f"{name} {_WORDS[i % 10]} {i}"
        texts = [f"text {i} {same}" for same in (0, 1, 2, 3, 4, 5, 6, 7, 7, 0)]
        documents |= {f"{qid}-d{j}": (f"title {name}", text) for j, text in enumerate(texts)}
        documents[f"{qid}-missed"] = ("", f"missed {i}")
        grades[qid] = {f"{qid}-d0": 1, f"{qid}-d1": 2, f"{qid}-d2": 0, f"{qid}-missed": 1}
        run[qid] = [(f"{qid}-d{j}", 10.0 - j) for j in range(10)]
    topics["held"] = "quite another question"
    qrels = {"train": grades, "test": {"held": {"q0-d0": 1}}}
    return make_collection(name, documents, topics, qrels), "train", run
