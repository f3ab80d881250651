"""E8: does an untrained model follow the prompt, by its size and by the prompt's wording (B13)?

The abstract's preliminary analysis, whose table is in no source at hand. All is read off one
forward pass of each candidate: the greedy answer, the probability of both answers, and the score,
of which the forced choice P("1") = sigmoid(s) is compared with the judgements.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.prorank.experiments.systems import (
    Task,
    add,
    area,
    measured,
    task_of,
)
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.own_code import code_of
from ir_replications.shared.retrieval.reranking import candidates, rerank, tied_shares
from ir_replications.shared.training import digest_of

MODELS = ("embedded:smollm2-135m-instruct", "embedded:qwen2.5-coder-0.5b-instruct")
# What the prompt asks, "" as released: in a sentence, and with the form of the answer spelt out.
PROMPTS = {
    "released": "",
    "short": "Is the document relevant to the query? Answer 1 if it is and 0 if it is not.",
    "strict": (
        "You are a search relevance expert who evaluates how well documents match search queries. "
        "For each query-document pair, carefully analyze the semantic relationship between them, "
        "then provide your binary relevance judgment (0 for not relevant, 1 for relevant). Reply "
        "with exactly one character, 0 or 1, and nothing else."
    ),
}
COLLECTIONS = ("rerank/dl19", "beir/nfcorpus", "beir/scifact")
QUERIES = {"beir/nfcorpus": 20, "beir/scifact": 20}  # a fixed choice, for CPU time
REWORDED = ("beir/nfcorpus",)  # where the other prompts are tried, for CPU time
DEPTH = 20
LENGTH = 96  # tokens of query and document together
RELEVANT_FROM = {"rerank/dl19": 2}  # TREC's own rule for passages; 1 elsewhere
BINS = 10
PRECISION = "float32"  # what every processor computes at full speed


def cells(plan: Plan) -> list[dict[str, Any]]:
    """The first stage as it is, and each model with the released prompt or each, by collection."""
    if plan.tier != "small":
        return []
    found: list[dict[str, Any]] = []
    for name in plan.collections if plan.chosen else COLLECTIONS:
        at: dict[str, Any] = {"collection": name, "depth": DEPTH}
        if number := QUERIES.get(name):
            at["queries"] = number
        found.append(at | {"system": "bm25"})
        found += [
            at | {"system": "zero-shot", "model": model, "prompt": prompt, "length": LENGTH}
            for model in MODELS
            for prompt in PROMPTS
            if prompt == "released" or plan.chosen or name in REWORDED
        ]
    return found


def run(config: Config, context: Context) -> Outcome:
    """Measure the first stage, or ask the model about each candidate and rerank by its score."""
    task = task_of(config, context)
    about: dict[str, Any] = {"queries": len(task.run), "split": task.split}
    if config["system"] == "bm25":
        return Outcome(scores=measured(task, task.run, ("nDCG@10",)), facts=about)
    ref = config["model"]
    with costs_this_cell():
        sha256 = fetch_model(ref, download=context.download).sha256
    asker = Asker(ref, config["prompt"], config["length"])
    asked, seconds = _ask({**config, "model_sha256": sha256}, asker, task, context)
    scores = {qid: scored for qid, (scored, _) in asked.items()}
    found = measured(task, rerank(task.run, scores, config["depth"]), ("nDCG@10",))
    add(found, "tied pairs", tied_shares(task.run, scores, config["depth"]))
    for name in ("format success", "answer probability"):
        add(found, name, {q: numbers[name] for q, (_, numbers) in asked.items() if numbers})
    facts = about | calibration(task, scores, RELEVANT_FROM.get(task.collection, 1))
    facts["pairs_per_second"] = facts["pairs"] / seconds if seconds else None
    return Outcome(scores=found, facts=facts, models={ref: sha256})


class Asker:
    """A model and a prompt: of each (query, document) the score, whether it answers, how surely."""

    def __init__(self, ref: str, prompt: str, length: int) -> None:
        self.ref, self.prompt, self.length = ref, prompt, length

    @cached_property
    def scorer(self) -> Any:
        """The scorer, loaded when it is first needed."""
        from ir_replications.prorank.method.score import PairScorer
        from ir_replications.prorank.reranking.reranker import trained_model

        model, tokenizer = trained_model(self.ref, None, PRECISION)
        task = PROMPTS[self.prompt] or None
        return PairScorer(model, tokenizer, max_length=self.length, task=task)

    @cached_property
    def head(self) -> Any:
        """The head's weights in float32, (V, d): bfloat16 logits have three digits."""
        return self.scorer.model.get_output_embeddings().weight.detach().float()

    def ask(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[float], dict[str, float]]:
        """(score of each pair, means over the pairs of what the greedy answer and both are)."""
        import torch

        from ir_replications.prorank.method.rewards import format_reward

        scores, states = self.scorer.score_with_states(pairs)
        with torch.inference_mode():
            logits = torch.from_numpy(states).to(self.head.device) @ self.head.T
            best = logits.argmax(-1).tolist()
            p = logits.double().softmax(-1)[:, list(self.scorer.ids)].sum(-1)
        well_formed = [format_reward(self.scorer.tokenizer.decode([token])) for token in best]
        numbers = {
            "format success": float(np.mean(well_formed)),
            "answer probability": float(p.mean()),
        }
        return scores.tolist(), numbers


def _ask(
    config: Config, asker: Asker, task: Task, context: Context
) -> tuple[dict[str, tuple[dict[str, float], dict[str, float]]], float]:
    """({query: (scores of its candidates, numbers)}, seconds), kept as they are made."""
    from ir_replications.prorank.reranking.score_file import ScoreFile

    collection, wanted = context.collection(task.collection), candidates(task.run, config["depth"])
    request = {
        "kind": "untrained",
        "config": dict(config),
        "precision": PRECISION,
        "data_sha256": collection.sha256,
        "code_sha256": code_of(__name__),
    }
    texts = dict(zip(collection.doc_ids, collection.contents("space"), strict=True))
    name = f"prorank-{digest_of(request)[:16]}.jsonl"
    file = ScoreFile(find_cache_dir() / "scores" / name, request)
    file.fill(
        wanted, lambda qid, docs: asker.ask([(collection.queries[qid], texts[d]) for d in docs])
    )
    # A query without candidates was asked nothing.
    asked = {qid: (file.scores.get(qid, {}), file.numbers.get(qid, {})) for qid in wanted}
    return asked, file.seconds


def calibration(
    task: Task, scores: dict[str, dict[str, float]], relevant_from: int
) -> dict[str, Any]:
    """What the forced choice P("1") = sigmoid(s) says, against the judgements.

    The expected calibration error is the mean over pairs of |share of relevant ones - mean P("1")|
    of the pair's bin, BINS of equal width. Unjudged is not relevant. Without a pair of each label
    there is no AUC.
    """
    from ir_replications.prorank.method.score import p_one

    pairs = [(qid, docid, s) for qid, found in scores.items() for docid, s in found.items()]
    s = np.array([score for *_, score in pairs], dtype=np.float64)
    labels = np.array([task.qrels[q].get(d, 0) >= relevant_from for q, d, _ in pairs], dtype=bool)
    p = p_one(s)
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    gaps = [abs(float((labels[bins == b] - p[bins == b]).sum())) for b in range(BINS)]
    facts: dict[str, Any] = {
        "pairs": len(pairs),
        "relevant pairs": int(labels.sum()),
        "says one": float((s > 0).mean()),
        "calibration error": sum(gaps) / len(pairs),
    }
    if labels.any() and not labels.all():
        facts["p1 relevant"] = float(p[labels].mean())
        facts["p1 irrelevant"] = float(p[~labels].mean())
        facts["AUC"] = area(s[labels], s[~labels])
    return facts


EXPERIMENT = Experiment(
    id="E8",
    title="untrained models of two sizes, asked in three ways",
    cells=cells,
    run=run,
    cost={"small": "2 h; 577 MB of models"},
    needs_model=True,
)
