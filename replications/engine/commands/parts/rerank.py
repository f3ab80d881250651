"""`replicate rerank`: the first results of any first stage in the order of any reranker."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ir_replications.engine.commands.options import (
    collection_names,
    data_root_option,
    json_option,
    show_json,
)
from ir_replications.engine.context import Context
from ir_replications.engine.door import USER_PATH, tell, user_folder
from ir_replications.engine.first_stages import K1, B, candidate_run, judgements
from ir_replications.shared.data.collection import UNJUDGED
from ir_replications.shared.errors import InputError, InputWarning
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.progress import progress
from ir_replications.shared.reading import user_path
from ir_replications.shared.retrieval.reranking import (
    candidates,
    first_stage,
    oracle,
    read_first_stage,
    rerank,
)
from ir_replications.shared.retrieval.runs import NO_RESULT, Run, why_not_writable, write_run
from ir_replications.shared.retrieval.search import retriever_names

MEASURES = ["nDCG@10", "AP@100", "R@100"]
DEPTH = 100


@click.command("rerank")
@click.argument("first")
@click.option("--model", required=True, help="A folder, hub:<name>@<commit> or embedded:<name>.")
@click.option("--weights", type=USER_PATH, help="Folder of weights trained from MODEL.")
@click.option(
    "--collection", required=True, shell_complete=collection_names,
    help="A BEIR folder or a collection id.",
)  # fmt: skip
@click.option("--split", help="Judgements whose queries to rerank; default: the collection's own.")
@click.option(
    "--depth", type=click.IntRange(1), default=DEPTH, show_default=True,
    help="Documents of each query that are reranked; the others stay below them.",
)  # fmt: skip
@click.option(
    "--max-length", type=click.IntRange(1),
    help="Tokens of query and document; default: 8192, of cross-encoders 512, of rankers trained "
    "here those of their training. The model's context lowers it.",
)  # fmt: skip
@click.option("--bf16", is_flag=True, help="Compute hidden states in bfloat16.")
@click.option(
    "--engine", type=click.Choice(["transformers", "vllm"]), default="transformers",
    show_default=True,
)  # fmt: skip
@click.option("--output", type=USER_PATH, help="TREC run to write; never one that is there.")
@click.option("--first-output", type=USER_PATH, help="Write the first stage's run as well.")
@data_root_option
@json_option
def rerank_command(as_json: bool, **options: Any) -> None:
    """Put the first results of each query in a model's order: FIRST is a TREC run or a retriever.

    Retrievers are bm25, bm25q, bmx, lucene and those that other packages register. The model is a
    language model (scored as ProRank scores), a cross-encoder of one label, or final/ of a
    `replicate train bert_distill_losses`. Scores are kept in the cache as they are made: run the
    same command again to go on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # they are counted
        answer, notes = _rerank(**options)
    if as_json:
        show_json({**answer, "notes": notes})
    else:
        tell(_table(answer))
    for note in notes:
        tell(f"note: {note}", err=True)


def _rerank(
    first: str,
    model: str,
    weights: Path | None,
    collection: str,
    split: str | None,
    depth: int,
    max_length: int | None,
    bf16: bool,
    engine: str,
    output: Path | None,
    first_output: Path | None,
    data_root: Path | None,
) -> tuple[dict[str, Any], list[str]]:
    """Rerank and write; returns what is to be told, and notes."""
    from ir_replications.prorank.reranking.reranker import score_candidates

    _check_places(output, first_output)
    folder = user_folder(collection)
    context = Context(data_root, folders={collection: folder} if folder else {})
    found = context.collection(collection)
    split = split or (found.default_split if found.judged else UNJUDGED)
    qrels = judgements(collection, split, context)
    reranker = _scorer(model, weights, max_length=max_length, bf16=bf16, engine=engine)
    run = _first(first, collection, split, max(depth, DEPTH), context)
    run = {qid: run.get(qid, []) for qid in qrels}
    place, reason = output or first_output, why_not_writable(run)
    if place and reason not in (None, NO_RESULT):  # now, not after hours
        raise InputError(f"{place}: {reason}; change the id in {collection}, or write no run")
    if first_output is not None:
        write_run(first_output, run, tag="first")
    wanted = candidates(run, depth)
    with progress(len(wanted), "queries", model) as follower:
        file = score_candidates(
            reranker, found, wanted, done=lambda _, kept: follower.advance(kept=kept)
        )
    reranked = rerank(run, file.scores, depth)
    if output is not None:
        write_run(output, reranked, tag="reranked")
    rows = {
        "first stage": run,
        f"best of the first {depth}": oracle(run, qrels, depth),
        model: reranked,
    }
    texts = dict(zip(found.doc_ids, found.contents("space"), strict=True))
    pairs = [(found.queries[q], texts[d]) for q, docids in wanted.items() for d in docids]
    cut = int(reranker.scorer.cut(pairs).sum())
    measured = {
        label: evaluate(ranked, qrels, MEASURES) for label, ranked in rows.items() if found.judged
    }
    answer = {
        "collection": found.id, "split": split, "queries": len(qrels), "depth": depth,
        "pairs": len(pairs), "cut": cut,
        "means": {label: scores.means for label, scores in measured.items()},
        "output": None if output is None else str(output),
    }  # fmt: skip
    notes = [*context.notes, *(measured[model].notes if measured else [])]
    if cut:
        notes.append(
            f"{cut:,} of {len(pairs):,} pairs are longer than the limit of tokens (--max-length, "
            "or the model's context) and were cut"
        )
    return answer, list(dict.fromkeys(notes))


def _first(first: str, name: str, split: str, depth: int, context: Context) -> Run:
    """The first stage: a run file, the collection's BM25 pool, or a retriever by name."""
    if os.path.lexists(path := user_path(first)) and not path.is_dir():
        return read_first_stage(path, context.collection(name), split)
    known = retriever_names()
    if first not in known:
        raise InputError(
            f"{first}: no such file, and no retriever; expected a TREC run or one of "
            f"{', '.join(known)}"
        )
    if first == "bm25":
        return candidate_run(name, split, context, depth)
    tokens = None if first == "lucene" else context.tokens(name, "lucene", "space")
    options: dict[str, Any] = {"k1": K1, "b": B} if first in ("bm25q", "lucene") else {}
    return first_stage(context.collection(name), split, first, depth, tokens=tokens, **options)


def _scorer(
    model: str, weights: Path | None, *, max_length: int | None, bf16: bool, engine: str
) -> Any:
    """The model with what its scores depend on (ProRank's LazyScorer)."""
    from ir_replications.prorank.reranking.released import MODELS
    from ir_replications.prorank.reranking.reranker import LazyScorer, any_reranker

    folder = user_folder(model)
    if folder is not None and (folder / "ranker.json").is_file():
        from ir_replications.bert_distill_losses.ranker.cross_encoder import CrossEncoder

        if weights is not None or engine != "transformers" or bf16:
            raise InputError(f"{folder}: a ranker takes no weights, no bf16 and no other engine")
        ranker = CrossEncoder(folder, max_length=max_length)
        return LazyScorer(ranker.identity, lambda: ranker)
    if folder is not None and (folder / "adapter_config.json").is_file():
        raise InputError(
            f"{folder}: holds an adapter; name its base model with --model and this with --weights"
        )
    known = MODELS.get(model, model)
    return any_reranker(known, weights, max_length=max_length, bf16=bf16, engine=engine)


def _check_places(*places: Path | None) -> None:
    """Raise InputError, before any work, where a run could not be written at its end."""
    for place in places:
        if place is None:
            continue
        try:
            if place.exists():
                raise InputError(f"{place}: is there already; name another file, or remove it")
            place.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place.parent).close()
        except OSError as error:
            raise InputError(f"{place}: cannot be written ({error.strerror or error})") from error
    named = [os.path.realpath(place) for place in places if place is not None]
    if len(named) > len(set(named)):
        raise InputError(f"{places[0]}: is named for both runs; name another file for one of them")


def _table(answer: Mapping[str, Any]) -> str:
    """What was measured, as lines."""
    means = answer["means"]
    if not means:
        return f"{answer['collection']}: {answer['queries']} queries reranked; no judgements"
    width = max(map(len, means))
    head = " " * width + "".join(f"{measure:>10}" for measure in MEASURES)
    lines = [f"{answer['collection']} {answer['split']}, {answer['queries']} queries", head]
    for label, of in means.items():
        lines.append(f"{label:{width}}" + "".join(f"{of[m]:10.4f}" for m in MEASURES))
    return "\n".join(lines)
