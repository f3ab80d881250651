"""Candidate pools of rerankers: run.<name>.jsonl beside a collection's BEIR files.

One line per query, `{"qid": ..., "candidates": [{"docid": ..., "rank": 1, "score": ...}, ...]}`,
best first: the format in which RankLLM's data come.
"""

from __future__ import annotations

import math
import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ir_replications.shared.data.collection import Grades
from ir_replications.shared.data.lines import files_of, json_lines, only_file
from ir_replications.shared.data.qrels import read_qrels
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_id
from ir_replications.shared.reading import is_finite, is_whole, user_path
from ir_replications.shared.retrieval.runs import Run

COMPLETE = "test.full"
"""The split of a pool that holds the whole track's judgements."""

_CANDIDATE = '{"docid": "...", "rank": 1, "score": 0.5}'


def pools(folder: Path | str) -> dict[str, Run]:
    """Read every run.<name>.jsonl[.gz] of `folder`: name -> run, sorted by name.

    Raises InputError, beginning with the folder or `file:line`, when there is none, when one is
    there plain and gzipped, and for whatever `read_pool` refuses.
    """
    folder = user_path(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; give one that holds run.<name>.jsonl")
    files: dict[str, Path] = {}
    for path in files_of(folder, ".jsonl", ".jsonl.gz"):
        if not fnmatchcase(path.name, "run.*.jsonl*"):
            continue
        name = path.name.removeprefix("run.").removesuffix(".gz").removesuffix(".jsonl")
        if name in files:
            raise InputError(f"{path}: pool {name!r} is there twice; remove the .jsonl or the .gz")
        files[name] = path
    if not files:
        raise InputError(f"{folder}: no pools; expected files named run.<name>.jsonl")
    return {name: read_pool(path) for name, path in files.items()}


def read_pool(path: Path | str) -> Run:
    """Read one pool file as a run whose order is that of the file.

    Stored scores are rounded, so candidates tie; the ranks say which is better, and a tied score
    is lowered by one float64 step so that the canonical order of the run is the stored one.
    Raises InputError with `path:line` for a line that is not as expected, ranks other than 1, 2,
    3, ... in order, a score above the one before it or not finite, and a query or a candidate
    given twice; with `path` for an empty or unreadable file.
    """
    path = user_path(path)
    run: Run = {}
    for line, record in json_lines(path):
        where = f"{path}:{line}"
        candidates = record.get("candidates")
        if "qid" not in record or not isinstance(candidates, list):
            raise InputError(f'{where}: expected {{"qid": "...", "candidates": [{_CANDIDATE}]}}')
        qid = check_id(record["qid"], '"qid"', where)
        if qid in run:
            raise InputError(f"{where}: query {qid!r} is there twice; keep one line")
        run[qid] = _candidates(candidates, where)
    if not run:
        raise InputError(f"{path}: no candidates; expected one query per line")
    return run


def pool_qrels(folder: Path | str, split: str = COMPLETE) -> Grades:
    """Every judgement of qrels/<split>.tsv, those of documents outside the corpus too.

    A pool's corpus holds the candidates alone, so the qrels of its `Collection` lack the relevant
    documents that no pool found, and nDCG and recall against them come out too high.
    """
    place = user_path(folder) / "qrels"
    found = only_file(place, f"{split}.tsv")
    if found is None:
        raise InputError(f"{place}: no {split}.tsv; put the complete judgements there")
    return read_qrels(found)


def _candidates(candidates: list[Any], where: str) -> list[tuple[str, float]]:
    results: list[tuple[str, float]] = []
    seen: set[str] = set()
    stored = previous = math.inf
    for rank, candidate in enumerate(candidates, start=1):
        fields = candidate if isinstance(candidate, dict) else {}
        score = fields.get("score", math.nan)
        if "docid" not in fields or not is_finite(score):
            raise InputError(f"{where}: candidate {rank}: expected {_CANDIDATE}, a finite score")
        docid = check_id(fields["docid"], '"docid"', f"{where}: candidate {rank}")
        given = fields.get("rank")
        if not is_whole(given) or given != rank:
            shown = given if is_whole(given) or given is None else type(given).__name__
            raise InputError(
                f"{where}: candidate {rank} has rank {shown}; "
                "list the candidates best first, ranks counting from 1"
            )
        if docid in seen:
            raise InputError(f"{where}: document {docid!r} is a candidate twice; keep one")
        if score > stored:
            raise InputError(
                f"{where}: candidate {rank} has score {score}, above the one before it "
                f"({stored}); ranks and scores must agree"
            )
        seen.add(docid)
        stored = float(score)
        previous = min(stored, math.nextafter(previous, -math.inf))
        results.append((docid, previous))
    return results
