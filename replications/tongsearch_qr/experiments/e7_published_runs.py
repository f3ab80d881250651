"""E7: a published run of ReasonIR with GPT-4's reasoned queries, judged by BRIGHT's protocol.

The one row of the paper's main table whose ranking is at hand. Nothing is retrieved and no corpus
is read: ReasonRank's repository (8421BCD/ReasonRank at 06721fd) holds the best 100 documents of
each query, and what is measured is the evaluation alone.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.data import load_bright_queries, pinned
from ir_replications.shared.data.bright import BrightQueries
from ir_replications.shared.data.lines import only_file
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.files import sha256_file
from ir_replications.shared.reading import read_bytes, read_json
from ir_replications.shared.retrieval.runs import Run, read_run
from ir_replications.tongsearch_qr.experiments.bright import MEASURE, SUBSETS, ndcg
from ir_replications.tongsearch_qr.rewriting.released_files import FIXED

COLLECTIONS = tuple(f"bright/{subset}/runs" for subset in SUBSETS)
RUN = "reasonir_gpt4cot_top100"
FIXED_MEASURE = f"{MEASURE}, fixed qrels"
OTHER_TIES = f"{MEASURE}, ties by ascending id"  # what the order of equal scores is worth
# sha256 of the run files at that commit.
RUN_SHA256 = {
    "biology": "73b94a17655022369ca72efc663aa8e71440f6a9b5f0771d5838304cdbc17a18",
    "earth_science": "dbdcbcf68f18a9030ebf650d7a7d32d91570c6922a001b65b1240639902cb944",
    "economics": "0db447e73ddcefbf6093d5ea8fa974758382f46f231f78bc19cb9436cfbc1bd3",
    "psychology": "964a201f808956e6a4195899068c89dea2a9df0c5fb6ea6ee176691286f0e31d",
    "robotics": "a20d0be2e8251720c96b9797982eb6e5566e6d9406f444f4aee836689cba951b",
    "stackoverflow": "0c66b00beb608cf6f6d804ddd103fac3e35a67eed12ec4bc3550e4c67f667454",
    "sustainable_living": "b2837cad8197e2388aee9a4e58caabe89b2dc1328e428808cb00c4d973f8ec3e",
    "leetcode": "a76b4d4e2eeac600f33dfb5d1b890adbc53fd27733bf5c329f43e6258d70f590",
    "pony": "20236a85d79387d0dd30e8a69a74ec543ad2663de20950761bb8268a9ad7fe53",
    "aops": "643b4a6b2301f4e317ddd68fc6db786463a907b5017657680f75c3f3f7451a37",
    "theoremqa_questions": "b5e20fed8b09f868ac04a40780d0e16a882123ec4d2c6601ca2af0b2f96d9c1e",
    "theoremqa_theorems": "fb0fdc969138a3e5700e881c92693dea0e8c8600b8ba3ba35357348065dc3461",
}


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per subset."""
    if plan.tier != "small":
        return []
    wanted = [c for c in COLLECTIONS if c in plan.collections] if plan.chosen else COLLECTIONS
    return [
        {"collection": name, "system": "reasonir", "queries": "gpt-4", "run": RUN}
        for name in wanted
    ]


def run(config: Config, context: Context) -> Outcome:
    """Remove excluded documents from the run and score it on both sets of judgements."""
    subset = config["collection"].split("/")[1]
    path = context.files(f"{config['collection']}/{config['run']}.txt")
    folder = path.parent.parent
    for part in ("examples.jsonl", "queries.jsonl", "excluded.tsv"):
        if file := only_file(folder, part):
            context.files(f"bright/{subset}/{file.name}")
    if (folder / "qrels").is_dir():
        context.files(f"bright/{subset}/qrels")
    sha256 = sha256_file(path)
    parts = load_bright_queries(subset, context.data_root)
    published = read_run(path, spaced_ids=True)  # "Memory Management_2_0.txt"
    check_stated(folder, path)
    _compare_with_pins(parts, sha256, context)
    if missing := [qid for qid in parts.queries if qid not in published]:
        raise InputError(
            f"{path}: no results for {len(missing)} of {len(parts.queries)} queries: "
            f"{', '.join(missing[:3])}; copy the whole run"
        )
    if "test" not in parts.qrels:
        raise InputError(f"{folder}: no judgements; put examples.jsonl or qrels/test.tsv there")
    kept, qrels = without_excluded(published, parts), parts.qrels["test"]
    scores = ndcg(kept, qrels)
    best = {qid: results[:10] for qid, results in kept.items()}
    more = {OTHER_TIES: evaluate(best, qrels, [MEASURE])}
    if FIXED in parts.qrels:
        more[FIXED_MEASURE] = ndcg(kept, parts.qrels[FIXED])
    for measure, other in more.items():
        scores.per_query[measure] = other.per_query[MEASURE]
        scores.means[measure] = other.means[MEASURE]
    depths = [len(kept[qid]) for qid in parts.queries]
    return Outcome(
        scores=scores,
        facts={
            "split": "test",
            "queries": len(parts.queries),
            "queries_with_exclusions": len(parts.excluded),
            "excluded": sum(map(len, parts.excluded.values())),
            "removed": sum(len(published[qid]) - len(kept[qid]) for qid in parts.queries),
            "documents_per_query": {"least": min(depths), "most": max(depths)},
            "run_sha256": sha256,
            "notes": list(parts.notes),
        },
    )


def without_excluded(published: Run, parts: BrightQueries) -> Run:
    """The results of the subset's queries less the documents that a query excludes."""
    return {
        qid: [result for result in published[qid] if result[0] not in parts.excluded.get(qid, ())]
        for qid in parts.queries
    }


def check_stated(folder: Path, run_file: Path) -> None:
    """Compare files with the checksums that SOURCE.json states, where it states any.

    `examples_md5` is that of the unpacked examples; `run` may hold the md5 or sha256 of the run
    file. Raises InputError for a file of another content.
    """
    source = folder / "SOURCE.json"
    about = read_json(source) if source.exists() else {}
    of_run = about.get("run") if isinstance(about, dict) else None
    stated = (
        [(run_file, kind, of_run.get(kind)) for kind in ("md5", "sha256")]
        if isinstance(of_run, dict)
        else []
    )
    if isinstance(about, dict) and (examples := only_file(folder, "examples.jsonl")):
        stated.append((examples, "md5", about.get("examples_md5")))
    for file, kind, expected in stated:
        content = read_bytes(file)
        content = gzip.decompress(content) if file.suffix == ".gz" else content
        found = hashlib.new(kind, content, usedforsecurity=False).hexdigest()
        if expected is not None and found != expected:
            raise InputError(
                f"{file}: its {kind} is {found}, {source.name} states {expected}; copy it again"
            )


def _compare_with_pins(parts: BrightQueries, run_sha256: str, context: Context) -> None:
    """Note what differs from the pinned data: such numbers are not compared with the paper's."""
    pin = pinned(f"bright/{parts.subset}")
    for what, found, expected in (
        ("queries and judgements", parts.sha256, pin.queries_sha256 if pin else ""),
        (f"the run {RUN}", run_sha256, RUN_SHA256[parts.subset]),
    ):
        if found != expected:
            context.mismatches.append(
                f"bright/{parts.subset}: {what} have the sha256 {found[:12]}, "
                f"pinned {expected[:12]}"
            )


EXPERIMENT = Experiment(
    id="E7",
    title="a published ReasonIR run with GPT-4's queries, judged by BRIGHT's protocol",
    cells=cells,
    run=run,
    cost={"small": "5 s"},
)
