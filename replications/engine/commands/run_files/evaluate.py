"""`replicate evaluate`: what runs are worth under one set of judgements."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ir_replications.engine.commands.options import (
    Table,
    collection_names,
    console,
    data_root_option,
    json_option,
    show_json,
)
from ir_replications.engine.door import OUTPUT_FILE, USER_PATH, tell
from ir_replications.shared.data import load_collection, read_qrels
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import DEFAULT_MEASURES, Scores, evaluate
from ir_replications.shared.files import atomic_write
from ir_replications.shared.printable import spreadsheet_text
from ir_replications.shared.reading import user_path
from ir_replications.shared.retrieval.runs import read_run


@click.command("evaluate")
@click.argument("runs", type=USER_PATH, nargs=-1, required=True)
@click.option("--qrels", "qrels_file", type=USER_PATH, help="BEIR or TREC qrels.")
@click.option(
    "--collection", shell_complete=collection_names,
    help="Instead of --qrels: a BEIR folder or a collection id.",
)  # fmt: skip
@click.option("--split", help="Judgements of the collection; default: the collection's own.")
@click.option("--measure", "measures", multiple=True, help="ir-measures notation, e.g. nDCG@10.")
@click.option(
    "--per-query", type=OUTPUT_FILE, help="Write run, measure, query and value as CSV, never over "
    "a file that is there.",
)  # fmt: skip
@data_root_option
@json_option
def evaluate_runs(
    runs: tuple[Path, ...],
    qrels_file: Path | None,
    collection: str | None,
    split: str | None,
    measures: tuple[str, ...],
    per_query: Path | None,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Measure TREC RUNS: means over all judged queries; `replicate compare` tests a difference.

    A judged query without results scores 0, as in trec_eval -c.
    """
    if (qrels_file is None) == (collection is None):
        raise InputError("judgements: expected one of --qrels and --collection")
    if split is not None and collection is None:
        raise InputError("--split is of a collection: name one with --collection")
    for path in (*runs, *([qrels_file] if qrels_file else [])):
        if not os.path.exists(user_path(path)):
            raise InputError(f"{path}: no such file; expected a TREC run or a qrels file")
    if per_query is not None and os.path.lexists(per_query):
        raise InputError(f"{per_query}: is there already; name another file, or remove it")
    judged: Mapping[str, Mapping[str, int]]
    if collection is not None:
        found = load_collection(collection, data_root=data_root)
        split = split or found.default_split
        found.topics(split)  # refuses an unknown one
        judged, where = found.qrels[split], f"{collection} {split}"
    else:
        assert qrels_file is not None
        judged, where = read_qrels(qrels_file), str(qrels_file)
    scores: dict[str, Scores] = {}
    for path in runs:
        run = read_run(path)
        if not run.keys() & judged.keys():
            raise InputError(
                f"{path}: none of its queries is judged in {where}; expected qrels of its queries"
            )
        name = path.name if path.name not in scores else str(path)
        scores[name] = evaluate(run, judged, measures or DEFAULT_MEASURES)
    if per_query is not None:
        _write_per_query(per_query, scores)
    if as_json:
        show_json(_json(scores, len(judged)))
        return
    tell(f"{len(judged)} judged queries of {where}")
    table = Table()
    table.add_column("run", no_wrap=True)
    for measure in measures or DEFAULT_MEASURES:
        table.add_column(measure, justify="right")
    for name, of in scores.items():
        table.add_row(name, *(f"{of.means[m]:.4f}" for m in measures or DEFAULT_MEASURES))
    console().print(table)
    for name, of in scores.items():
        for note in of.notes:
            tell(f"note: {name}: {note}", err=True)


def _json(scores: Mapping[str, Scores], queries: int) -> dict[str, Any]:
    return {
        "queries": queries,
        "runs": [
            {"run": name, "means": of.means, "per_query": of.per_query, "notes": list(of.notes)}
            for name, of in scores.items()
        ],
    }


def _write_per_query(path: Path, scores: Mapping[str, Scores]) -> None:
    with atomic_write(path) as handle:
        rows = csv.writer(handle, lineterminator="\n")
        rows.writerow(["run", "measure", "query", "value"])
        for name, of in scores.items():
            for measure, values in of.per_query.items():
                rows.writerows(
                    [spreadsheet_text(name), measure, spreadsheet_text(qid), value]
                    for qid, value in values.items()
                )
