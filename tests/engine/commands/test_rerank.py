"""The reranking command on a made collection: its table, its run file, what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from click.testing import Result

from ir_replications.engine.commands.parts.rerank import MEASURES
from ir_replications.engine.context import Context
from ir_replications.engine.first_stages import candidate_run, judgements
from ir_replications.prorank.checks.tiny_reranker import (
    TOPICS,
    save_tiny,
    tiny_collection,
    tiny_root,
)
from ir_replications.prorank.method.score import PairScorer
from ir_replications.prorank.reranking.reranker import (
    any_reranker,
    causal_reranker,
    score_candidates,
)
from ir_replications.shared.data import load_collection
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.own_code import code_of
from ir_replications.shared.retrieval.reranking import oracle, read_first_stage, rerank
from ir_replications.shared.retrieval.runs import Run, read_run, write_run
from tests.cli import invoked
from tests.code_run import left_out, modules_of, modules_run

TESTED = [f"q-{topic}" for topic in TOPICS[12:]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "lm")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The collection's BEIR folder; a cache of its own."""
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    return tiny_root(tmp_path / "root") / "local" / "mine"


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries whose pairs were scored."""
    seen: list[str] = []
    plain = PairScorer._score

    def noted(self: PairScorer, pairs: Sequence[tuple[str, str]], *rest: Any) -> np.ndarray:
        seen.append(pairs[0][0])
        return plain(self, pairs, *rest)

    monkeypatch.setattr(PairScorer, "_score", noted)
    return seen


def command(model: object, *options: object, first: object = "bm25") -> Result:
    return invoked("rerank", first, "--model", model, *options)


def table(result: Result) -> dict[str, list[float]]:
    """Label -> the row's numbers."""
    assert result.exit_code == 0, result.output
    rows = [line.rsplit(maxsplit=len(MEASURES)) for line in result.stdout.splitlines()[2:]]
    return {label: [float(value) for value in values] for label, *values in rows}


def means(run: Run, qrels: Any) -> list[float]:
    found = evaluate(run, qrels, MEASURES).means
    return [round(found[measure], 4) for measure in MEASURES]


def refused(result: Result, message: str) -> None:
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ") and message in result.stderr


def score_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "scores").glob("*.jsonl")
    return path


def test_the_table_and_the_run_file_agree(model: Path, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "reranked.trec"
    result = command(model, "--collection", folder, "--depth", 25, "--output", output)
    rows = table(result)
    assert result.stdout.splitlines()[0] == "mine test, 4 queries"
    assert list(rows) == ["first stage", "best of the first 25", str(model)]
    context = Context(folders={"mine": folder})
    first, qrels = candidate_run("mine", "test", context), judgements("mine", "test", context)
    assert rows["first stage"] == means(first, qrels)
    assert rows["best of the first 25"] == means(oracle(first, qrels, 25), qrels)
    written = read_run(output)
    assert rows[str(model)] == means(written, qrels)
    # In the order of the scores that were kept, and below the depth in first-stage order.
    lines = [json.loads(line) for line in score_file(tmp_path).read_text().splitlines()[1:]]
    expected = rerank(first, {line["qid"]: line["scores"] for line in lines}, 25)
    assert {len(line["scores"]) for line in lines} == {25}
    for qid in TESTED:
        assert [d for d, _ in written[qid]] == [d for d, _ in expected[qid]]
        assert [d for d, _ in written[qid][25:]] == [d for d, _ in first[qid][25:]]
        assert written[qid] != first[qid]


def test_a_name_in_the_data_root_a_split_and_another_first_stage(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    named = ("--collection", "local/mine", "--data-root", tmp_path / "root", "--depth", 2)
    result = command(model, *named, "--split", "dev")
    assert result.stdout.startswith("local/mine dev, 4 queries\n")
    first: Run = {qid: [(f"b-{qid[2:]}", 2.0), ("a-sea", 1.0)] for qid in TESTED[:3]}
    write_run(tmp_path / "first.trec", first | {"q-fox": [("a-sea", 1.0)]}, tag="mine")
    result = command(model, *named, first=tmp_path / "first.trec")
    qrels = tiny_collection().qrels["test"]
    read = read_first_stage(tmp_path / "first.trec", tiny_collection(), "test")
    rows = table(result)
    assert rows["first stage"] == means(read, qrels)
    # Of three queries the better of two documents is at most first; the fourth has none.
    assert rows["best of the first 2"] == rows["first stage"]
    assert rows["best of the first 2"][-1] == pytest.approx(3 / 4 * 1 / 2)
    assert rows[str(model)][-1] == rows["first stage"][-1], "recall cannot change"
    assert "note: 1 of 4 judged queries have no results and score 0 (first: " in result.stderr


def test_the_stored_pool_of_a_folder_is_its_first_stage(model: Path, folder: Path) -> None:
    """And the judgements beside it count documents that the corpus lacks."""
    pool = [
        {"qid": qid, "candidates": [{"docid": f"b-{qid[2:]}", "rank": 1, "score": 3.0}]}
        for qid in TESTED
    ]
    (folder / "run.BM25.jsonl").write_text("".join(json.dumps(line) + "\n" for line in pool))
    rows = table(command(model, "--collection", folder))
    assert rows["first stage"][-1] == 1 / 2
    complete = "query-id\tcorpus-id\tscore\n" + "".join(
        f"{qid}\t{docid}\t1\n" for qid in TESTED for docid in (f"b-{qid[2:]}", "x", "y", "z")
    )
    (folder / "qrels" / "test.full.tsv").write_text(complete)
    rows = table(command(model, "--collection", folder))
    assert {values[-1] for values in rows.values()} == {1 / 4}
    pool[0]["candidates"] = [{"docid": "elsewhere", "rank": 1, "score": 3.0}]
    (folder / "run.BM25.jsonl").write_text("".join(json.dumps(line) + "\n" for line in pool))
    refused(command(model, "--collection", folder), "1 document ids are not in mine: 'elsewhere'")


def test_scores_are_kept_and_gone_on_with(
    model: Path, folder: Path, tmp_path: Path, scored: list[str]
) -> None:
    arguments = (model, "--collection", folder, "--depth", 8)
    first = table(command(*arguments))
    texts = [tiny_collection().queries[qid] for qid in TESTED]
    assert scored == texts
    path = score_file(tmp_path)
    complete = path.read_bytes()
    assert table(command(*arguments)) == first
    assert len(scored) == 4, "nothing is made again"
    path.write_bytes(complete[:-30])  # a kill while the last query was written
    assert table(command(*arguments)) == first
    assert scored[4:] == texts[-1:]
    assert json.loads(path.read_bytes().splitlines()[-1])["scores"] == pytest.approx(
        json.loads(complete.splitlines()[-1])["scores"], abs=1e-5
    )
    command(*arguments[:-1], 12)
    assert scored[5:] == texts, "the deeper candidates of every query, in the same file"
    assert path.read_bytes().count(b"\n") == 1 + 4 + 4


def test_an_interrupted_run_says_how_to_go_on(
    model: Path, folder: Path, scored: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = PairScorer._score

    def interrupted(self: PairScorer, *arguments: Any) -> np.ndarray:
        if len(scored) == 2:
            raise KeyboardInterrupt
        return noted(self, *arguments)

    arguments = (model, "--collection", folder, "--depth", 3)
    with monkeypatch.context() as patch:
        patch.setattr(PairScorer, "_score", interrupted)
        result = command(*arguments)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "stopped; what is finished is kept, run the same command to go on\n"
    assert len(table(command(*arguments))) == 3
    assert len(scored) == 4, "the first two queries were kept"


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (PermissionError(13, "Permission denied", "/x"), "error: /x: Permission denied"),
        (OSError(28, "No space left on device"), "error: No space left on device"),
        (MemoryError(), "error: out of memory; ask for less"),
        (RuntimeError("CUDA out of memory. Tried"), "error: out of memory (CUDA out of"),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    failure: Exception, message: str, model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(PairScorer, "_score", fail)
    refused(command(model, "--collection", folder), message)


def test_places_that_cannot_be_written_are_said_before_the_work(
    model: Path, folder: Path, tmp_path: Path, scored: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "run.trec", Path("/proc/run.trec"), "x" * 300):
        result = command(model, "--collection", folder, "--output", output)
        refused(result, f"{output}: cannot be written (")
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "file"))
    refused(command(model, "--collection", folder), "cannot be written (")
    assert scored == []


def test_other_code_has_scores_of_its_own(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (model, "--collection", folder, "--depth", 2)
    first = table(command(*arguments))
    asked = json.loads(score_file(tmp_path).read_text().splitlines()[0])["request"]
    assert asked["code_sha256"] == code_of("ir_replications.prorank.reranking.reranker")
    monkeypatch.setattr("ir_replications.prorank.reranking.reranker.code_of", lambda *_: "0" * 64)
    assert table(command(*arguments)) == first
    assert len(list((tmp_path / "cache" / "scores").glob("*.jsonl"))) == 2


def test_what_runs_in_scoring_is_in_its_digest(model: Path, folder: Path) -> None:
    collection = load_collection(folder)
    wanted = {qid: list(collection.doc_ids[:3]) for qid in collection.queries}
    reranker = causal_reranker(str(model))
    run = modules_run(lambda: score_candidates(reranker, collection, wanted))
    assert {
        "ir_replications.prorank.method.score",
        "ir_replications.prorank.reranking.space",
    } <= run
    assert run <= modules_of("ir_replications.prorank.reranking.reranker") | left_out()


def test_other_settings_have_scores_of_their_own(model: Path, folder: Path, tmp_path: Path) -> None:
    for options in ([], ["--max-length", 20], ["--bf16"]):
        table(command(model, "--collection", folder, "--depth", 2, *options))
    assert len(list((tmp_path / "cache" / "scores").glob("*.jsonl"))) == 3


def test_an_existing_output_is_left_alone(
    model: Path, folder: Path, tmp_path: Path, scored: list[str]
) -> None:
    output = tmp_path / "reranked.trec"
    output.write_text("mine\n")
    result = command(model, "--collection", folder, "--output", output)
    refused(result, "reranked.trec: is there already; name another file")
    assert (output.read_text(), scored) == ("mine\n", [])
    twice = tmp_path / "twice.trec"
    again = tmp_path / "." / "twice.trec"
    result = command(model, "--collection", folder, "--output", twice, "--first-output", again)
    refused(result, "twice.trec: is named for both runs; name another file for one of them")
    assert (twice.exists(), scored) == (False, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q-fig Q0 nowhere 1 2.0 me", "1 document ids are not in mine: 'nowhere'"),
        ("q-fig Q0 a-fig 1 2.0 me\nq-far Q0 a-fig 1 2.0 me", "1 query ids are not in mine"),
        ("q-sea Q0 a-fig 1 2.0 me", "no result for any query of split 'test'"),
        ("q-fig Q0 a-fig", "first.trec:1: "),
    ],
)
def test_a_first_stage_of_something_else_is_refused(
    line: str, message: str, model: Path, folder: Path, tmp_path: Path, scored: list[str]
) -> None:
    (tmp_path / "first.trec").write_text(line + "\n")
    output = tmp_path / "reranked.trec"
    result = command(
        model, "--collection", folder, "--output", output, first=tmp_path / "first.trec"
    )
    refused(result, message)
    assert not output.exists() and scored == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "validation"], "no split 'validation'; its splits: "),
        (["--depth", "0"], "Invalid value for '--depth': 0 is not in the range x>=1"),
        (["--max-length", "1"], "leaves 1 tokens"),
        (["--weights", "none"], "none: no weights"),
    ],
)
def test_bad_options_are_one_line(
    options: list[str], message: str, model: Path, folder: Path, scored: list[str]
) -> None:
    refused(command(model, "--collection", folder, *options), message)
    assert scored == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "model 'nothing': no such folder"),
        ("mxbai-rerank-large-v1", "pins a revision"),
        (
            "hub:somebody/model",
            "expected hub:<organisation>/<name>@<revision> with the full",
        ),
    ],
)
def test_an_unknown_model_is_one_line(name: str, message: str, folder: Path) -> None:
    refused(command(name, "--collection", folder), message)


def test_an_unknown_collection_is_one_line(model: Path, folder: Path, tmp_path: Path) -> None:
    result = command(model, "--collection", "local/other", "--data-root", tmp_path / "root")
    refused(result, "local/other: no such folder, not in the data root")


def test_an_id_that_no_run_file_holds_is_refused_before_any_score(
    model: Path, folder: Path, tmp_path: Path, scored: list[str]
) -> None:
    for path in (folder / "queries.jsonl", *(folder / "qrels").glob("*.tsv")):
        path.write_text(path.read_text().replace(TESTED[0], "q 0"))
    options = ("--collection", folder, "--depth", 2)
    result = command(model, *options, "--output", tmp_path / "reranked.trec")
    refused(
        result, "reranked.trec: query id 'q 0': a run file cannot hold empty ids or white space"
    )
    assert scored == []
    assert command(model, *options).exit_code == 0, "the table needs no run file"


def test_other_retrievers_json_and_the_first_stage_s_run(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first.run"
    options = ("--collection", folder, "--depth", 5, "--json", "--first-output", first)
    result = command(model, *options, first="bmx")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["queries"], told["depth"], told["pairs"], told["cut"]) == (4, 5, 20, 0)
    assert list(told["means"]) == ["first stage", "best of the first 5", str(model)]
    again = json.loads(command(model, *options[:-2], first=first).stdout)
    assert again["means"] == told["means"], "the run that was written is the first stage"
    refused(command(model, *options, first="bmx"), "first.run: is there already")


def test_pairs_that_are_cut_are_counted(model: Path, folder: Path) -> None:
    result = command(model, "--collection", folder, "--depth", 5, "--max-length", 6)
    assert result.exit_code == 0
    (note,) = result.stderr.splitlines()
    assert note.startswith("note: 20 of 20 pairs are longer than the limit of tokens (--max-length")


def test_a_ranker_a_cross_encoder_and_an_adapter(folder: Path, tmp_path: Path) -> None:
    from ir_replications.bert_distill_losses.checks.tiny_ranker import tiny_ranker
    from ir_replications.bert_distill_losses.ranker.files import save_ranker
    from ir_replications.prorank.tests.reranking import tiny_cross_encoder

    ranker = save_ranker(tiny_ranker(layers=1), tmp_path / "ranker")
    encoder = tiny_cross_encoder.save_tiny(tmp_path / "encoder", "Bert")
    for each in (ranker, encoder):
        assert len(table(command(each, "--collection", folder, "--depth", 3))) == 3
    files = (tmp_path / "cache" / "scores").glob("*.jsonl")
    kinds = {json.loads(path.read_text().splitlines()[0])["request"]["kind"] for path in files}
    assert kinds == {"ranker", "cross-encoder"}
    lengths = [any_reranker(str(encoder), max_length=n).identity["max_length"] for n in (None, 600)]
    assert lengths == [512, 600]
    refused(command(ranker, "--collection", folder, "--bf16"), "a ranker takes no weights")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    line = "holds an adapter; name its base model with --model"
    refused(command(tmp_path / "adapter", "--collection", folder), line)


def test_an_unknown_first_stage_is_one_line(model: Path, folder: Path) -> None:
    result = command(model, "--collection", folder, first="bm24")
    refused(result, "bm24: no such file, and no retriever; expected a TREC run or one of bm25, ")


def test_a_collection_without_judgements_is_reranked_all_the_same(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    shutil.rmtree(folder / "qrels")
    output = tmp_path / "reranked.trec"
    result = command(model, "--collection", folder, "--depth", 3, "--output", output)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "mine: 16 queries reranked; no judgements\n"
    assert len(read_run(output)) == 16
    assert "no split 'dev'" in command(model, "--collection", folder, "--split", "dev").stderr
