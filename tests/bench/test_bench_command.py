"""`replicate bench` as a user calls it: answer, files, resumption, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ir_replications.bench import systems as systems_module
from ir_replications.reports.records.store import Store
from ir_replications.shared.retrieval.runs import read_run
from tests.cli import DOCS, QRELS, QUERIES, Replicate, append, beir

LEXICAL = ("--systems", "bm25-0.9,bm25-1.5,bmx", "--no-download")


def systems(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "systems.csv").open(newline="") as handle:
        return {row["system"]: row for row in csv.DictReader(handle)}


def test_one_command_gives_sentence_table_page_files_and_runs(
    tiny: Path, replicate: Replicate
) -> None:
    done = replicate("bench", tiny, *LEXICAL)
    assert done.status == 0, done
    assert done.out.lstrip().startswith(
        "No system can be told to be better than bm25 on 2 queries of tiny"
    )
    lines = [line for line in done.err.splitlines() if line.startswith("[")]
    assert [line.split(":")[0] for line in lines] == [
        "[1/4] bm25", "[2/4] bm25-0.9", "[3/4] bm25-1.5", "[4/4] bmx",
    ]  # fmt: skip
    assert lines[-1].endswith("; done") and "left" in lines[0]
    folder = Path("bench/tiny")
    assert list(systems(folder)) == ["bm25", "bm25-0.9", "bm25-1.5", "bmx"]
    assert "Which method helps on tiny?" in (folder / "bench.html").read_text()
    assert json.loads((folder / "bench.json").read_text())["queries"] == 2
    store = Store(folder / "records")
    for record in store.records():
        path = store.check_run(record)
        assert path is not None and set(read_run(path)) == {"q1", "q2"}
        assert record.provenance["data"]["tiny"] and record.provenance["code_sha256"]
        system = record.config["system"]
        assert record.provenance["command"] == f"replicate bench ./tiny --systems {system}"


def test_it_goes_on_where_it_was_and_begins_anew_where_data_changed(
    tiny: Path, replicate: Replicate
) -> None:
    replicate("bench", tiny, "--systems", "bm25-0.9")
    again = replicate("bench", tiny, *LEXICAL)
    assert again.err.count("kept from before") == 2
    append("corpus.jsonl", b'{"_id": "d6", "text": "a wing"}')(tiny)
    changed = replicate("bench", tiny, *LEXICAL)
    assert "kept from before" not in changed.err


def test_a_folder_without_judgements_is_compared_by_similarity(
    tiny: Path, replicate: Replicate
) -> None:
    (tiny / "qrels" / "test.tsv").unlink()
    done = replicate("bench", tiny, *LEXICAL)
    assert done.status == 0, done
    assert "tiny has no judgements, so nothing says which system is better" in done.out
    assert systems(Path("bench/tiny"))["bmx"]["rank_similarity"]
    assert not Path("bench/tiny/per-query.csv").exists()
    assert "no judgements; expected qrels/" in replicate.refused("run", "bmx", "--collection", tiny)


@pytest.mark.parametrize("asked", [("--preset", "full"), ("--systems", "lexical"), ()])
def test_lucene_where_it_is_absent_is_said_in_one_line(
    asked: tuple[str, ...], tiny: Path, replicate: Replicate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems_module, "_installed", lambda name: name != "lucene")
    done = replicate("bench", tiny, *asked, "--dry-run", "--no-download")
    assert done.status == 0, done
    assert done.err.splitlines() == [
        "lucene is left out: it needs Java and pyserini, pip install 'ir-replications[lucene]'"
    ]
    assert "lucene:" not in done.out and done.out.startswith("bm25:")
    assert not replicate("bench", tiny, "--systems", "bmx", "--dry-run").err


def test_a_split_and_a_number_of_queries_can_be_chosen(
    tmp_path: Path, replicate: Replicate
) -> None:
    folder = beir(tmp_path / "own", split="dev")
    beir_test = beir(tmp_path / "other")
    (folder / "qrels" / "train.tsv").write_text((beir_test / "qrels" / "test.tsv").read_text())
    assert "choose one with --split" in replicate.refused("bench", folder, *LEXICAL)
    done = replicate("bench", folder, *LEXICAL, "--split", "dev", "--queries", "1")
    assert "on 1 query of own" in done.out, done


def test_ids_that_no_run_file_holds_are_said(tmp_path: Path, replicate: Replicate) -> None:
    docs = [{**doc, "_id": f"doc {doc['_id']}"} for doc in DOCS]
    folder = beir(tmp_path / "own", docs=docs, qrels=[(q, f"doc {d}", g) for q, d, g in QRELS])
    done = replicate("bench", folder, *LEXICAL)
    assert done.status == 0 and "Ids hold white space (first: 'doc d1')" in done.out, done
    assert "Ids hold white space" in Path("bench/own/bench.html").read_text()
    (folder / "qrels" / "test.tsv").unlink()
    done = replicate("bench", folder, *LEXICAL, "--out", "unjudged")
    assert "own has no judgements, and no rankings were kept to compare." in done.out, done


def test_what_can_measure_nothing_is_said(tmp_path: Path, replicate: Replicate) -> None:
    folder = beir(tmp_path / "own", qrels=[(q, d, 0) for q, d, _ in QRELS])
    done = replicate("bench", folder, *LEXICAL)
    assert "No query has a relevant document (a grade above 0)" in done.out, done
    strange = [{"_id": "q1", "text": "крыло"}, {"_id": "q2", "text": "тепло heat"}]
    folder = beir(tmp_path / "strange", queries=strange)
    done = replicate("bench", folder, *LEXICAL)
    line = "Queries without any result, of 2: bm25 1, bm25-0.9 1, bm25-1.5 1, bmx 1."
    assert line in done.out, done


def test_the_results_of_other_data_and_the_data_are_left_alone(
    tmp_path: Path, replicate: Replicate
) -> None:
    folder, other = beir(tmp_path / "own"), beir(tmp_path / "x" / "own", docs=DOCS[:3])
    assert replicate("bench", folder, *LEXICAL).status == 0
    page = Path("bench/own/bench.html").read_bytes()
    line = replicate.refused("bench", other, *LEXICAL)
    assert "bench/own: has the results of other data (own); name another folder with --out" in line
    assert Path("bench/own/bench.html").read_bytes() == page
    assert replicate("bench", folder, *LEXICAL).status == 0, "the same data go on"
    line = replicate.refused("bench", folder, *LEXICAL, "--out", folder)
    assert "own: is the collection; name another folder with --out" in line


def test_ids_only_leaves_every_text_out(tmp_path: Path, replicate: Replicate) -> None:
    docs = [{**doc, "title": f"secret {doc['title']}"} for doc in DOCS]
    # A long document and a short one, which systems order differently: the page shows the query.
    docs[0]["text"] += " air" * 30
    docs.append({"_id": "d6", "title": "secret", "text": "wing wing wing"})
    folder = beir(tmp_path / "own", docs=docs)
    replicate("bench", folder, *LEXICAL)
    page = Path("bench/own/bench.html")
    assert "secret" in page.read_text() and "wing lift" in page.read_text()
    replicate("bench", folder, *LEXICAL, "--ids-only")
    assert "secret" not in page.read_text() and "wing lift" not in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--preset", "slow"), "'slow' is not one of 'quick', 'full'"),
        (("--systems", "bm52"), "no system 'bm52'; the systems are: bm25"),
        (("--systems", ""), "no system ''; the systems are: bm25"),
        (("--systems", "rerank-own"), "rerank-own needs what is not here: --models reranker="),
        (("--models", "reranker"), "expected ROLE=REFERENCE; the roles are: embedder"),
        (("--models", "ranker=x"), "expected ROLE=REFERENCE"),
        (("--models", "reranker=nowhere"), "--models reranker=nowhere: no such folder"),
        (("--models", "reranker=tiny"), "tiny"),
        (
            ("--models", "embedder=embedded:minilm-l6", "--systems", "bmx"),
            "--models embedder=...: no system of --systems uses it; add one of: dense-own",
        ),
        (("--split", "nope"), "no split 'nope'"),
        (("--queries", "1", "--all-queries"), "give one of the two"),
        (("--depth", "0"), "0 is not in the range"),
        (("--jobs", "0"), "0 is not in the range"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], said: str, tiny: Path, replicate: Replicate
) -> None:
    assert said in replicate.refused("bench", tiny, *arguments, "--no-download")


@pytest.mark.parametrize("name", ["./nowhere", "", "no/such-collection"])
def test_no_such_collection_is_one_line(name: str, replicate: Replicate) -> None:
    replicate.refused("bench", name, "--no-download")


def test_a_model_that_is_not_here_costs_its_system_alone(tiny: Path, replicate: Replicate) -> None:
    done = replicate("bench", tiny, "--systems", "bmx,dense-wordllama", "--no-download")
    assert done.status == 1
    assert "dense-wordllama could not be run:" in done.out
    assert systems(Path("bench/tiny"))["bmx"]["nDCG@10"]


def test_a_dry_run_runs_nothing(tiny: Path, replicate: Replicate) -> None:
    done = replicate("bench", tiny, "--dry-run", "--no-download")
    assert done.status == 0 and not Path("bench").exists()
    assert "bm25: BM25, k1 = 1.2" in done.out and "on 5 documents and 2 queries" in done.out


def test_names_of_the_users_act_nowhere(tmp_path: Path, replicate: Replicate) -> None:
    docs = [{**doc, "title": "<img src=x onerror=alert(1)>"} for doc in DOCS]
    queries = [{**query, "text": f"{query['text']} \x1b[31m</title><b>"} for query in QUERIES]
    folder = beir(tmp_path / "own", docs=docs, queries=queries, qrels=QRELS)
    done = replicate("bench", folder, *LEXICAL)
    assert "\x1b" not in done.out
    page = Path("bench/own/bench.html").read_text()
    assert "<img" not in page and "<b>" not in page.replace("<b title", "") and "\x1b" not in page


def test_grades_on_the_page_are_of_the_split_alone(tmp_path: Path, replicate: Replicate) -> None:
    docs = [{"_id": f"d{i}", "text": "wing " * (i + 1)} for i in range(3)]
    folder = beir(tmp_path / "own", docs=docs, qrels=[("q1", "d0", 1), ("q2", "d0", 1)])
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\n")
    replicate("bench", folder, "--systems", "bmx,bm25-0.9,bm25-1.5")
    page = Path("bench/own/bench.html").read_text()
    assert "d2 \N{CHECK MARK}" not in page
