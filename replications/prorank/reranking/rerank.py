"""Rerank any first stage.

    python -m ir_replications.prorank.reranking.rerank MODEL --collection NAME

MODEL is a model reference, or the short name of a released one (released.py).
"""

from __future__ import annotations

if __name__ == "__main__":  # before what takes seconds to import: a signal must find its handler
    from ir_replications.engine.start import start

    start("ir_replications.prorank.reranking.rerank:main")

import tempfile
from pathlib import Path
from typing import Any

import click

from ir_replications.engine.context import Context
from ir_replications.engine.door import HELP, USER_PATH, Door, tell, user_folder
from ir_replications.engine.first_stages import DEPTH, candidate_run, judgements
from ir_replications.prorank.reranking.released import MODELS
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.retrieval.reranking import candidates, oracle, read_first_stage, rerank
from ir_replications.shared.retrieval.runs import write_run

MEASURES = ["nDCG@10", "AP@100", "R@100"]


@click.command(cls=Door, context_settings=HELP)
@click.argument("model")
@click.option("--collection", required=True, help="Collection by name, or a BEIR folder.")
@click.option("--weights", type=USER_PATH, help="Folder of trained weights.")
@click.option("--run", type=USER_PATH, help="First stage as a TREC run file.")
@click.option("--split", help="Split of the queries; by default the collection's own.")
@click.option(
    "--depth",
    type=click.IntRange(1),
    default=DEPTH,
    show_default=True,
    help="Candidates of each query.",
)
@click.option(
    "--max-length",
    type=click.IntRange(1),
    default=8192,
    show_default=True,
    help="Tokens of query and text.",
)
@click.option("--bf16", is_flag=True, help="Compute hidden states in bfloat16.")
@click.option("--engine", type=click.Choice(["transformers", "vllm"]), default="transformers")
@click.option("--output", type=USER_PATH, help="Write the reranked TREC run.")
@click.option("--data-root", type=USER_PATH, help="Folder of collections.")
def main(**options: Any) -> None:
    """Score the first DEPTH candidates of each query with MODEL and put them in its order.

    Scores are kept in the cache as they are made: run the same command again to go on.
    """
    tell(_rerank(**options))


def _check_place(output: Path) -> None:
    """Raise InputError, before any work, where the run could not be written at its end."""
    try:
        if output.exists():
            raise InputError(f"{output}: is there already; name another file, or remove it")
        output.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output.parent).close()
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error})") from error


def _rerank(
    model: str,
    collection: str,
    weights: Path | None,
    run: Path | None,
    split: str | None,
    depth: int,
    max_length: int,
    bf16: bool,
    engine: str,
    output: Path | None,
    data_root: Path | None,
) -> str:
    """Rerank; returns the table of measures."""
    from ir_replications.prorank.reranking.reranker import any_reranker, score_candidates

    if output is not None:
        _check_place(output)
    folder = user_folder(collection)
    context = Context(data_root, folders={collection: folder} if folder else {})
    found = context.collection(collection)
    split = split or found.default_split
    qrels = judgements(collection, split, context)
    first = (
        read_first_stage(run, found, split) if run else candidate_run(collection, split, context)
    )
    first = {qid: first.get(qid, []) for qid in qrels}
    reranker = any_reranker(
        MODELS.get(model, model),
        weights,
        max_length=max_length,
        bf16=bf16,
        engine=engine,
    )
    scores = score_candidates(reranker, found, candidates(first, depth)).scores
    rows = {
        "first stage": first,
        f"best of the first {depth}": oracle(first, qrels, depth),
        model: rerank(first, scores, depth),
    }
    if output is not None:
        write_run(output, rows[model], tag="prorank")
    width = max(map(len, rows))
    head = " " * width + "".join(f"{measure:>10}" for measure in MEASURES)
    lines = [f"{found.id} {split}, {len(qrels)} queries", head]
    for label, ranked in rows.items():
        measured = evaluate(ranked, qrels, MEASURES)
        lines.append(f"{label:{width}}" + "".join(f"{measured.means[m]:10.4f}" for m in MEASURES))
    for note in [*context.notes, *measured.notes]:
        tell(f"note: {note}", err=True)
    return "\n".join(lines)
