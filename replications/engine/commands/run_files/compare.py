"""`replicate compare`: two runs under one set of judgements."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from ir_replications.engine.commands.options import Table, console, json_option, show_json
from ir_replications.engine.door import USER_PATH, tell
from ir_replications.shared.data import read_qrels
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import DEFAULT_MEASURES, evaluate
from ir_replications.shared.evaluation.run_similarity import kendall_tau_union, rank_biased_overlap
from ir_replications.shared.evaluation.significance import (
    paired_bootstrap,
    paired_t,
    randomization_test,
)
from ir_replications.shared.reading import user_path
from ir_replications.shared.retrieval.runs import read_run


@click.command()
@click.argument("run_a", type=USER_PATH)
@click.argument("run_b", type=USER_PATH)
@click.option("--qrels", "qrels_file", type=USER_PATH, required=True, help="BEIR or TREC qrels.")
@click.option("--measure", "measures", multiple=True, help="ir-measures notation, e.g. nDCG@10.")
@json_option
def compare(
    run_a: Path, run_b: Path, qrels_file: Path, measures: tuple[str, ...], as_json: bool
) -> None:
    """Compare RUN_A with RUN_B: means, paired difference, interval, p-values, rank similarity."""
    for path in (run_a, run_b, qrels_file):
        if not os.path.exists(user_path(path)):
            raise InputError(f"{path}: no such file; expected a TREC run or a qrels file")
    first, second, qrels = read_run(run_a), read_run(run_b), read_qrels(qrels_file)
    names = measures or DEFAULT_MEASURES
    scores_a, scores_b = evaluate(first, qrels, names), evaluate(second, qrels, names)
    covered = [sum(qid in run for qid in qrels) for run in (first, second)]
    if not max(covered):
        raise InputError(
            f"{qrels_file}: no query of these runs is judged here; expected qrels of their queries"
        )
    rows: list[dict[str, Any]] = []
    for name in names:
        a, b = scores_a.per_query[name], scores_b.per_query[name]
        effect = paired_bootstrap(b, a)
        rows.append(
            {"measure": name, "a": scores_a.means[name], "b": scores_b.means[name],
             "difference": effect.estimate, "low": effect.low, "high": effect.high,
             "p t-test": paired_t(b, a).p, "p sign-flip": randomization_test(b, a).p}
        )  # fmt: skip
    # A query without results counts as an empty list: both runs need the same queries.
    first, second = ({qid: run.get(qid, []) for qid in qrels} for run in (first, second))
    tau = fmean(kendall_tau_union(first, second).values())
    overlap = fmean(rank_biased_overlap(first, second).values())
    notes = [
        f"{side}: {note}"
        for side, scores in (("A", scores_a), ("B", scores_b))
        for note in scores.notes
    ]
    if as_json:
        show_json(
            {"a": str(run_a), "b": str(run_b), "queries": len(qrels), "measures": rows,
             "kendall tau (union)": tau, "rbo (p=.95)": overlap, "notes": notes}
        )  # fmt: skip
        return
    table = Table(title=f"A = {run_a.name}, B = {run_b.name}, {len(qrels)} queries")
    for column in ("measure", "A", "B", "B - A", "95% interval", "p (t)", "p (sign-flip)"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    for row in rows:
        table.add_row(
            row["measure"],
            f"{row['a']:.4f}",
            f"{row['b']:.4f}",
            f"{row['difference']:+.4f}",
            f"[{row['low']:+.4f}, {row['high']:+.4f}]",
            f"{row['p t-test']:.4g}",
            f"{row['p sign-flip']:.4g}",
        )
    console().print(table)
    for note in notes:
        tell(f"note: {note}")
    tell(
        f"rank similarity, mean over queries: Kendall tau (union) {tau:.4f}, "
        f"RBO (p=.95) {overlap:.4f}"
    )
