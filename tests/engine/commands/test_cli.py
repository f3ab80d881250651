"""The command line: what it runs and what it prints."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import threading
from math import log2
from pathlib import Path

import pytest

from ir_replications.engine.registry import experiments, papers
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from tests.cli import DOCS, E2, QRELS, QUERIES, SYSTEMS, Replicate, beir, files


def test_a_folder_nobody_has_seen_runs_and_prints_a_table(
    replicate: Replicate, tiny: Path, tmp_path: Path
) -> None:
    result = replicate("run", "bmx", "--collection", tiny, *E2, "--store", tmp_path / "store")
    assert (result.status, result.err) == (0, "")
    assert "9 cells: 9 run, 0 kept from before" in result.out
    header = next(line for line in result.out.splitlines() if "nDCG@10" in line)
    assert "bmx E2: analyzer baguetter, title newline" in result.out
    for word in ("collection", "system", "k1", "AP@100", "RR@10", "R@100"):
        assert word in header
    rows = [line for line in result.out.splitlines() if line.startswith("│ tiny")]
    assert len(rows) == SYSTEMS
    # d1 is first for q1, d2 for q2. d5, of grade 1 for q2, is not found: its nDCG is 2 / 2.6309.
    bm25 = next(row for row in rows if "lucene" in row and "1.2" in row)
    cells = [cell.strip() for cell in bm25.split("│")]
    assert cells[-6:-1] == ["0.8801", "0.7500", "1.0000", "0.7500", "0.8801"]
    assert max(len(line) for line in result.out.splitlines()[:-1]) <= 160
    assert result.out.splitlines()[-1].startswith(f"records: {tmp_path / 'store'}; ")


def test_kept_records_print_the_same_table(
    replicate: Replicate, tiny: Path, tmp_path: Path
) -> None:
    command = ("run", "bmx", "--collection", tiny, *E2, "--store", tmp_path / "store")
    first, second = replicate(*command), replicate(*command)
    assert "9 cells: 0 run, 9 kept from before" in second.out
    assert first.out.splitlines()[1:] == second.out.splitlines()[1:]


def test_all_experiments_of_a_folder_leave_out_those_with_a_model(
    replicate: Replicate, tiny: Path
) -> None:
    result = replicate("run", "all", "--collection", tiny, "--dry-run")
    assert result.status == 0
    left_out = {
        paper: [e.id for e in experiments(paper).values() if e.needs_model] for paper in papers()
    }
    assert result.err.splitlines() == [
        f"note: {paper} {', '.join(ids)} left out: needs a language model; ask with "
        + " ".join(f"--experiment {name}" for name in ids)
        for paper, ids in left_out.items()
        if ids
    ]
    assert "E6" in result.out and "E5" not in result.out
    asked = replicate("run", "bmx", "--collection", tiny, "--experiment", "E5", "--dry-run")
    assert asked.err == "" and "model embedded:smollm2-135m-instruct" in asked.out


def test_all_papers_that_have_an_experiment(replicate: Replicate) -> None:
    result = replicate("run", "all", "--experiment", "E7", "--experiment", "E6", "--dry-run")
    have = {name: [p for p in papers() if name in experiments(p)] for name in ("E7", "E6")}
    run = {"bmx", "tongsearch_qr"}  # E6 of others has no cell at this tier
    assert result.status == 0 and have["E7"] == ["bmx", "tongsearch_qr"]
    assert result.err.splitlines() == [
        f"note: {', '.join(p for p in papers() if p not in have[name])}: no experiment {name}"
        for name in have
    ]
    for paper in papers():
        assert (paper in result.out) == (paper in run), paper


def test_dry_run_says_what_it_would_take_and_writes_nothing(
    replicate: Replicate, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    result = replicate("run", "all", "--tier", "paper", "--dry-run", "--store", store)
    assert result.status == 0
    assert "GPU hours" in result.out and "beir/msmarco: 8,841,823 documents" in result.out
    assert "model Qwen2.5-32B-Instruct: size not known" in result.out, "not: in the cache"
    megabytes = int(result.out.rpartition("downloads: at least ")[2].split()[0].replace(",", ""))
    assert megabytes > 5_000
    assert files(tmp_path) == {} and not store.exists()


def test_train_judgements_alone_are_used(replicate: Replicate, tmp_path: Path) -> None:
    folder = beir(tmp_path / "tiny", split="train")
    assert replicate("run", "bmx", "--collection", folder, *E2, "--store", "s").status == 0
    assert {record.facts["split"] for record in Store("s").records()} == {"train"}


def test_unknown_ids_in_qrels_and_empty_queries_are_counted(
    replicate: Replicate, tmp_path: Path
) -> None:
    folder = beir(
        tmp_path / "tiny",
        queries=[*QUERIES, {"_id": "q3", "text": " "}],
        qrels=[*QRELS, ("q1", "d99", 1), ("q9", "d1", 1), ("q3", "d1", 1)],
    )
    result = replicate("run", "bmx", "--collection", folder, *E2, "--store", "s")
    assert result.status == 0
    assert result.err.splitlines() == [
        "note: tiny: 1 queries have an empty text (first: q3), ignored",
        "note: tiny: test: 1 qrels rows name unknown queries (first: q9), ignored",
        "note: tiny: test: 1 qrels rows name unknown documents (first: d99), kept: "
        "the ideal ranking counts them",
    ]
    record = Store("s").records()[0]
    assert record.facts["queries"] == 2 and len(record.facts["notes"]) == 3


def test_queries_with_the_id_of_a_document_are_pointed_out(
    replicate: Replicate, tmp_path: Path
) -> None:
    folder = beir(
        tmp_path / "tiny",
        queries=[{"_id": "d1", "text": "wing lift"}, QUERIES[1]],
        qrels=[("d1", "d1", 1), ("q2", "d2", 1)],
    )
    result = replicate("run", "bmx", "--collection", folder, *E2, "--store", "s")
    assert "note: tiny: 1 of 2 queries have the id of a document" in result.err
    assert {record.per_query["nDCG@10"]["d1"] for record in Store("s").records()} == {0.0}


def test_queries_of_stop_words_score_0(replicate: Replicate, tmp_path: Path) -> None:
    folder = beir(tmp_path / "tiny", queries=[{"_id": "q1", "text": "the of and"}], qrels=QRELS[:1])
    result = replicate("run", "bmx", "--collection", folder, *E2, "--store", "s")
    assert result.status == 0
    assert "run file none: no query has a result" in result.err
    assert {value for record in Store("s").records() for value in record.means.values()} == {0.0}


def test_ids_with_white_space_run_without_a_run_file(replicate: Replicate, tmp_path: Path) -> None:
    folder = beir(
        tmp_path / "tiny",
        docs=[{**DOCS[0], "_id": "d 1"}, {**DOCS[1], "_id": "d\u00a02"}, *DOCS[2:]],
        qrels=[("q1", "d 1", 1), ("q2", "d5", 1)],
    )
    result = replicate("run", "bmx", "--collection", folder, *E2, "--store", "s")
    assert result.status == 0
    assert "run file none: document id 'd 1': a run file cannot hold" in result.err
    records = Store("s").records()
    assert len(records) == SYSTEMS and all(record.run is None for record in records)
    assert records[0].per_query["nDCG@10"]["q1"] == 1.0


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("two words", "two-words"),
        (".hidden", "hidden"),
        ("-dash", "dash"),
        ("naïve", "na-ve"),
        ("数据", "folder"),
        ("[red]<b>'q'", "red-b-q-"),
    ],
)
def test_odd_folder_names_and_the_command_that_runs_a_cell_again(
    replicate: Replicate, tmp_path: Path, name: str, id: str
) -> None:
    folder = beir(tmp_path / name)
    result = replicate("run", "bmx", "--collection", folder, *E2, "--store", "s")
    assert result.status == 0 and f"│ {id} " in result.out
    commands = {record.provenance["command"] for record in Store("s").records()}
    assert len(commands) == 9
    words = shlex.split(commands.pop())
    assert words[0] == "replicate" and str(tmp_path) not in " ".join(words)
    again = replicate(*words[1:], "--store", "s")
    assert "1 cells: 0 run, 1 kept from before" in again.out


def test_a_folder_that_is_not_the_published_collection_has_an_id_of_its_own(
    replicate: Replicate, tmp_path: Path
) -> None:
    folder = beir(tmp_path / "beir" / "scifact")
    result = replicate("run", "bmx", "--collection", folder, *E2, "--store", "s")
    assert "is not the published beir/scifact; recorded as local/scifact" in result.err
    assert {r.config["collection"] for r in Store("s").records()} == {"local/scifact"}


def test_judgements_of_documents_that_a_collection_lacks(
    replicate: Replicate, tmp_path: Path
) -> None:
    """By hand: d1 is first for q1 and d99 is not there; q2 has no judged document at all."""
    folder = beir(tmp_path / "tiny", qrels=[("q1", "d1", 1), ("q1", "d99", 1), ("q2", "d98", 1)])
    command = ("run", "bmx", "--collection", folder, *E2, "--store", "s")
    lines = [
        "note: tiny: test: 2 qrels rows name unknown documents (first: d99), kept: the ideal "
        "ranking counts them",
        "note: tiny: test: 1 queries have no judged document in the collection (first: q2), kept: "
        "they score 0",
    ]
    result = replicate(*command)
    assert (result.status, result.err.splitlines()) == (0, lines)
    records = Store("s").records()
    ndcg = 1 / (1 + 1 / log2(3))
    for record in records:
        assert record.per_query["nDCG@10"] == {"q1": pytest.approx(ndcg), "q2": 0.0}
        assert record.means["R@100"] == 0.25
        assert record.facts["input_notes"] == [line.removeprefix("note: ") for line in lines]
    result = replicate(*command, "--judged-in-collection")
    assert "9 cells: 9 run, 0 kept from before" in result.out, "other judgements, other numbers"
    assert "judgements of documents that it lacks are left out" in result.err
    for record in Store("s").records():
        assert record.per_query["nDCG@10"] == {"q1": 1.0}
        assert record.means["R@100"] == 1.0
        assert record.provenance["command"].endswith(" --judged-in-collection")
    assert "9 kept from before" in replicate(*command, "--judged-in-collection").out
    assert "9 run, 0 kept" in replicate(*command).out


def test_text_that_the_analyzer_cannot_cut_is_noted(replicate: Replicate, tmp_path: Path) -> None:
    text = "\u8001\u5b50\u306f\u4e2d\u56fd\u6625\u79cb\u6642\u4ee3\u306e\u54f2\u5b66\u8005"
    docs = [{"_id": f"d{n}", "title": "", "text": text[n:]} for n in range(3)]
    folder = beir(
        tmp_path / "tiny",
        docs=docs,
        queries=[{"_id": "q1", "text": text[3:7]}],
        qrels=[("q1", "d1", 1)],
    )
    result = replicate("run", "bmx", "--collection", folder, *E2, "--store", "s")
    assert result.status == 0
    lines = result.err.splitlines()
    assert lines[0].startswith("note: tiny: analyzer 'baguetter' does not cut Chinese, Japanese")
    assert not [line for line in lines if not line.startswith("note: ")], "no raw warnings"


def test_compare_says_which_queries_a_run_lacks(replicate: Replicate, tmp_path: Path) -> None:
    whole, part = tmp_path / "a.run", tmp_path / "b.run"
    whole.write_text("q1 Q0 d1 1 2.0 a\nq2 Q0 d2 1 2.0 a\n")
    part.write_text("q1 Q0 d1 1 2.0 a\nq9 Q0 d2 1 2.0 a\n")
    qrels = tmp_path / "qrels"
    qrels.write_text("q1 0 d1 1\nq2 0 d2 1\n")
    result = replicate("compare", whole, part, "--qrels", qrels, "--measure", "P@1")
    assert result.status == 0
    assert [line for line in result.out.splitlines() if line.startswith("note")] == [
        "note: B: 1 of 2 judged queries have no results and score 0 (first: 'q2')",
        "note: B: 1 queries of the run are not judged and do not count (first: 'q9')",
    ]
    assert "note" not in replicate("compare", whole, whole, "--qrels", qrels).out


def test_compare_prints_means_difference_and_similarity(
    replicate: Replicate, tmp_path: Path
) -> None:
    qrels = beir(tmp_path / "tiny") / "qrels" / "test.tsv"
    good, bad = tmp_path / "[bold]a.run", tmp_path / "b.run"
    good.write_text("q1 Q0 d1 1 2 a\nq2 Q0 d2 1 2 a\nq2 Q0 d5 2 1 a\n")
    bad.write_text("q1 Q0 d2 1 2 b\nq1 Q0 d1 2 1 b\n")
    result = replicate("compare", good, bad, "--qrels", qrels, "--measure", "RR@10")
    assert (result.status, result.err) == (0, "")
    assert "A = [bold]a.run" in result.out
    # RR@10: (1 + 1) / 2 against (1/2 + 0) / 2.
    assert "1.0000" in result.out and "0.2500" in result.out and "-0.7500" in result.out


def test_compare_reads_pipes_and_paths_below_home(
    replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    qrels = beir(tmp_path / "tiny") / "qrels" / "test.tsv"
    run = tmp_path / "a.run"
    run.write_text("q1 Q0 d1 1 2 a\n\nq2 Q0 d2 1 2 a\n")
    expected = replicate("compare", run, run, "--qrels", qrels)
    assert (expected.status, expected.err) == (0, "")
    places = [tmp_path / name for name in ("1", "2", "3")]
    contents = [gzip.compress(run.read_bytes()), run.read_bytes(), qrels.read_bytes()]
    writers = []
    for place, content in zip(places, contents, strict=True):
        os.mkfifo(place)
        writers.append(threading.Thread(target=place.write_bytes, args=(content,)))
        writers[-1].start()
    piped = replicate("compare", places[0], places[1], "--qrels", places[2])
    for writer in writers:
        writer.join()
    assert (piped.status, piped.err) == (0, "")
    assert piped.out.splitlines()[1:] == expected.out.splitlines()[1:]
    home = replicate("compare", "~/a.run", "~/a.run", "--qrels", "~/tiny/qrels/test.tsv")
    assert (home.status, home.out) == (0, expected.out)
    checked = [replicate("data", "check", place).out for place in ("~/tiny", tmp_path / "tiny")]
    assert checked[0] == checked[1] and "tiny: 5 documents" in checked[0]
    refused = replicate("compare", places[0], run, "--qrels", qrels)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == f"error: {places[0]}: a named pipe that nobody writes to; name a file\n"


def test_list_data_and_models(replicate: Replicate, tiny: Path) -> None:
    assert "bmx" in replicate("list").out
    assert "beir/scifact" in replicate("data", "list").out
    assert "embedded:minilm-l6" in replicate("models", "list").out
    checked = replicate("data", "check", tiny)
    assert checked.status == 0 and "tiny: 5 documents, 2 queries, sha256" in checked.out
    assert replicate("--help").status == 0


def test_report_escapes_text_of_the_data(replicate: Replicate, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    record = Record.create(
        paper="bmx",
        experiment="E9",
        tier="small",
        label=f"mine {evil}",
        config={"collection": evil, "system": "<img src=x onerror=alert(2)>"},
        means={"nDCG@10": 1.0},
        per_query={"nDCG@10": {f"q{evil}": 1.0}},
        facts={"examples": [[f"text {evil}", [evil]]], evil: evil},
        provenance={"command": f"replicate run {evil}", "data": {evil: "0" * 64}},
    )
    Store("s").put(record)
    assert replicate("report", "--store", "s", "--out", "pages").status == 0
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "pages").rglob("*.html")]
    assert pages and not any("<script>alert" in page or "<img src=x" in page for page in pages)
    assert all(page.count("<script") == 1 for page in pages)  # the pages' own
    assert any("&lt;script&gt;alert(1)" in page for page in pages)


def test_report_of_an_empty_store_says_that_nothing_was_run(
    replicate: Replicate, tmp_path: Path
) -> None:
    (tmp_path / "s").mkdir()
    result = replicate("report", "--store", "s", "--out", "pages")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("0 records -> ")
    assert "not run" in (tmp_path / "pages" / "bmx.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "pages" / "pages.json").read_text())
