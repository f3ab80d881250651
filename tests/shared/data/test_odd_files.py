"""Odd and damaged collections: the value that BEIR's loader gives, or one line."""

from __future__ import annotations

import csv
import gzip
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ir_replications.shared.data import (
    list_collections,
    load_bright_queries,
    load_collection,
    make_collection,
    read_beir,
    read_qrels,
    write_beir,
)
from ir_replications.shared.data.pools import pools, read_pool
from ir_replications.shared.data.rows import (
    gather_documents,
    gather_qrels,
    gather_queries,
    numbered,
)
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.runs import read_run
from tests.shared.data.conftest import CORPUS, QRELS, write_folder
from tests.shared.data.test_beir import refused


def as_beir_reads(path: Path) -> dict[str, dict[str, int]]:
    """The qrels as beir.datasets.data_loader.GenericDataLoader reads them."""
    found: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8") as handle:
        reader = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_MINIMAL)
        next(reader)
        for query_id, doc_id, grade in reader:
            found.setdefault(query_id, {})[doc_id] = int(grade)
    return found


def test_ids_quoted_as_csv_writers_do(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text(
        CORPUS + json.dumps({"_id": 'd "one" 1', "text": "x"}) + "\n", encoding="utf-8"
    )
    path = folder / "qrels" / "test.tsv"
    path.write_text('query-id\tcorpus-id\tscore\nq1\t"d ""one"" 1"\t2\n"q2"\td"2\t1\n')
    assert read_qrels(path) == {"q1": {'d "one" 1': 2}, "q2": {'d"2': 1}} == as_beir_reads(path)
    assert read_beir(folder, "tiny").qrels["test"]["q1"] == {'d "one" 1': 2}
    for line in ('q1\t"d2\t1', 'q1\t"d"2\t1', '"q1\nx"\td2\t1'):
        path.write_text(f"{QRELS}{line}\n")
        refused(folder, "qrels/test.tsv:5: ", "quote")


def test_quotes_in_trec_files_are_letters(tmp_path: Path) -> None:
    path = tmp_path / "q.txt"
    path.write_text('q1 0 "d1" 1\nq1\t0\t"d""2\t0\n')
    assert read_qrels(path) == {"q1": {'"d1"': 1, '"d""2': 0}}


ids = st.text(st.characters() | st.sampled_from('"\t\n\r\0\ufeff\x85 #'), max_size=4)


@given(ids, ids, st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=9))
def test_what_is_written_is_read_back_or_refused(
    tmp_path_factory: pytest.TempPathFactory, query_id: str, doc_id: str, title: str | None
) -> None:
    assume(doc_id != "x" and query_id != "y")  # the other document and query
    try:
        first = make_collection(
            "tiny",
            {doc_id: (title, "text"), "x": ("", "")},
            {query_id: "words", "y": "more"},
            {"test": {query_id: {doc_id: 1.0, "x": -1}}, "dev": {"y": {"x": 2}}},
            excluded={"y": ["far", doc_id]},
        )
    except InputError as error:
        assert "query id" in str(error) or "document id" in str(error)
        assert str(error).isprintable()
        return
    folder = write_beir(first, tmp_path_factory.mktemp("trip") / "tiny")
    again = read_beir(folder, "tiny")
    for part in ("sha256", "doc_ids", "titles", "texts", "queries", "qrels", "excluded"):
        assert getattr(again, part) == getattr(first, part)
    assert as_beir_reads(folder / "qrels" / "test.tsv") == first.qrels["test"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"documents": {1: ("", "x")}}, "document id is int, expected a string"),
        ({"documents": {"d": "ab"}}, "document 'd': expected title and text"),
        ({"documents": {"d": ("", None)}}, "document 'd': the text is NoneType"),
        ({"documents": {"d": (0, "x")}}, "document 'd': \"title\" is int"),
        ({"documents": {"d": ("", "\ud800")}}, "half a character"),
        ({"queries": {"q\t": "x"}}, "query id 'q\\\\t' begins or ends with white space"),
        ({"queries": {"q": None}}, "the text of query 'q' is NoneType"),
        ({"qrels": {"test": {"q": {"d": 1.5}}}}, "test: grade 1.5 is not a whole number"),
        ({"qrels": {"test": {"q": {"d": True}}}}, "test: grade True is not a whole number"),
        ({"qrels": {"test": {"q": {"d": 4000}}}}, "test: grade 4000, expected one of"),
        ({"qrels": {"test": {"q": {"e\0": 1}}}}, "document id 'e.x00' holds the character"),
        ({"excluded": {"q": "de"}}, "excluded for query 'q': expected a list of document ids"),
        ({"excluded": {"q": [3]}}, "excluded for query 'q': document id is int"),
    ],
)
def test_parts_that_no_reader_would_take(changes: dict, message: str) -> None:
    parts: dict = {
        "documents": {"d": ("", "x")},
        "queries": {"q": "words"},
        "qrels": {"test": {"q": {"d": 1}}},
    }
    with pytest.raises(InputError, match=f"^here: .*{message}") as caught:
        make_collection("tiny", **(parts | changes), where="here")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("split", ["", "a/b", ".hidden", "a\0", "x" * 300, "tab\t", "../up"])
def test_a_split_that_is_no_file_name_is_not_written(tmp_path: Path, split: str) -> None:
    collection = make_collection("t", {"d": ("", "x")}, {"q": "w"}, {split: {"q": {"d": 1}}})
    with pytest.raises(InputError, match="split"):
        write_beir(collection, tmp_path / "t")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("split", ["test.full", "x.tsv", "x.gz", "é 2"])
def test_any_other_split_is_read_back(tmp_path: Path, split: str) -> None:
    collection = make_collection("t", {"d": ("", "x")}, {"q": "w"}, {split: {"q": {"d": 1}}})
    assert read_beir(write_beir(collection, tmp_path / "t"), "t").qrels == collection.qrels


def test_a_split_without_judgements_is_noted_and_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "qrels" / "dev.tsv").write_text("q7\td1\t1\n")
    first = read_beir(folder, "tiny")
    assert list(first.qrels) == ["test"]
    assert "dev: no judgement is left, ignored" in first.notes
    assert read_beir(write_beir(first, tmp_path / "t"), "t").qrels == first.qrels


def test_null_titles_and_whole_float_grades_are_one_rule(folder: Path, tmp_path: Path) -> None:
    (folder / "corpus.jsonl").write_text(
        '{"_id": "d1", "title": null, "text": "heat"}\n{"_id": "d2", "text": "lift"}\n'
    )
    (folder / "qrels" / "test.tsv").write_text("q1\td1\t2.0\nq2\td2\t1\n")
    collection = read_beir(folder, "tiny")
    assert collection.titles == ["", ""]
    assert collection.qrels == {"test": {"q1": {"d1": 2}, "q2": {"d2": 1}}}
    rows = [{"_id": 1, "title": None, "text": "heat"}, {"_id": "d2", "title": "T", "text": ""}]
    assert gather_documents(numbered(rows, "t"), []) == {"1": ("", "heat"), "d2": ("T", "")}
    judged = [{"query-id": 7, "corpus-id": "d1", "score": s} for s in (2.0, "2", 2)]
    assert gather_qrels(judged, "t", []) == {"7": {"d1": 2}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"_id": "d", "title": 0, "text": "x"}, '^t row 1: "title" is int, expected a string'),
        ({"_id": "d", "title": [], "text": "x"}, '^t row 1: "title" is list'),
        ({"_id": True, "text": "x"}, "^t row 1: document id is bool"),
        ({"_id": 1.0, "text": "x"}, "^t row 1: document id is float"),
        ({"_id": "d ", "text": "x"}, "^t row 1: document id 'd ' begins or ends with white"),
        ({"_id": "d", "text": None}, "^t row 1: text is null; give a value"),
        ({"_id": "d", "text": 3}, "^t row 1: the text is int"),
    ],
)
def test_rows_refuse_what_folders_refuse(row: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gather_documents(numbered([row], "t"), [])


def test_rows_of_queries_and_grades_that_are_refused() -> None:
    with pytest.raises(InputError, match=r"^t row 1: query id 'q.n' begins or ends"):
        gather_queries(numbered([{"_id": "q\n", "text": "x"}], "t"))
    for grade in (True, "high", float("nan"), 1.5, 10**30, "1_0"):
        with pytest.raises(InputError, match=r"^t row 1: grade"):
            gather_qrels([{"query-id": "q", "corpus-id": "d", "score": grade}], "t", [])


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("  ", "'  ' begins or ends with white space"),
        ("d1 ", "'d1 ' begins or ends with white space"),
        ("\u00a0d", r"'\xa0d' begins or ends with white space"),
        ("d1\nx", r"'d1\nx' holds the character '\n'"),
        ("d1\0x", r"'d1\x00x' holds the character '\x00'"),
        ("d\x1b[2J", r"'d\x1b[2J' holds the character '\x1b'"),
        ("d\u2028x", r"holds the character '\u2028'"),
        ("\ufeffd1", r"holds the character '\ufeff'"),
    ],
)
def test_ids_that_no_file_of_judgements_could_hold(folder: Path, id: str, message: str) -> None:
    line = json.dumps({"_id": id, "text": "x"}) + "\n"
    (folder / "corpus.jsonl").write_text(CORPUS + line, encoding="utf-8")
    refused(folder, "corpus.jsonl:4: ", message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1\td2 \t1", "document id 'd2 ' begins or ends with white space"),
        ("q1 \td2\t1", "query id 'q1 ' begins or ends with white space"),
        ("q1\td2\0\t1", r"document id 'd2\x00' holds the character '\x00'"),
        ("\ufeffq2\td1\t1", "a byte order mark at the start of this line"),
        ("q1\td2\t1_0", "grade '1_0' is not a whole number"),
        ("q1\td2\t\uff11", "is not a whole number"),
        ("q1\td2\t\u0661", "is not a whole number"),
        ("q1\td2\tnan", "grade 'nan' is not a whole number"),
        ("q1\td2\t" + "9" * 5000, "is not a whole number"),
        ("q1\td2\t1001", "grade 1001, expected one of -1000 to 1000"),
        ("# a comment", "found 1 columns"),
    ],
)
def test_odd_judgements(folder: Path, line: str, message: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(QRELS + line + "\n", encoding="utf-8")
    refused(folder, "qrels/test.tsv:5: ", message)


def test_blank_lines_and_comments_are_one_rule_for_trec_files(tmp_path: Path) -> None:
    qrels, run = tmp_path / "qrels", tmp_path / "run"
    qrels.write_text("# c d 1\n\nq 0 d1 1\n  \n#\tx\nq 0 d2 0\n\n")
    run.write_text("# c\n\nq Q0 d1 1 2 t\n \t \nq Q0 d2 2 1 t\n\n")
    assert read_qrels(qrels) == {"q": {"d1": 1, "d2": 0}}
    assert read_run(run) == {"q": [("d1", 2.0), ("d2", 1.0)]}
    qrels.write_text("query-id\tcorpus-id\tscore\n#1\td1\t1\n")  # a BEIR file has no comments
    assert read_qrels(qrels) == {"#1": {"d1": 1}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "d9", "_id": "d8", "text": "x"}', "'_id' is given twice"),
        ('{"_id": "d9", "text": "y", "text": "x"}', "'text' is given twice"),
        ('{"_id": "d9", "text": "x", "metadata": {"a": 1, "a": 1}}', "'a' is given twice"),
        ('{"_id": "d9", "text": "x", "n": NaN}', "NaN is no JSON number"),
        ('{"_id": "d9", "text": "x", "n": ' + "9" * 5000 + "}", "too many digits"),
        ('{"_id": "d9", "text": "x", "n": ' + "[" * 100_000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_json_lines_that_are_refused(folder: Path, line: str, message: str) -> None:
    (folder / "corpus.jsonl").write_text(CORPUS + line + "\n", encoding="utf-8")
    refused(folder, "corpus.jsonl:4: ", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[]", "expected a JSON object, found list"),
        ('{"source": "a", "source": "b"}', "'source' is given twice"),
        ('{"source": {"repo": 5}}', '"repo" is int, expected a string'),
        ('{"sha256": ["x"]}', '"sha256" is list, expected a string'),
        ("{", "malformed JSON"),
    ],
)
def test_a_source_file_that_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "SOURCE.json").write_text(text)
    refused(folder, "SOURCE.json: ", message)


def test_hidden_sidecars_are_no_data(folder: Path, tmp_path: Path) -> None:
    before = read_beir(folder, "tiny")
    for name in ("._test.tsv", ".test.tsv.gz", ".DS_Store", "._corpus.jsonl"):
        (folder / "qrels" / name).write_bytes(b"\0\5\x16\7Mac OS X        \xff")
        (folder / name).write_bytes(b"\0\5\x16\7Mac OS X        \xff")
    assert read_beir(folder, "tiny").qrels == before.qrels
    pool = '{"qid": "q", "candidates": []}\n'
    (tmp_path / "pools").mkdir()
    (tmp_path / "pools" / "run.A.jsonl").write_text(pool)
    (tmp_path / "pools" / "._run.A.jsonl").write_bytes(b"\0\5\xff")
    assert list(pools(tmp_path / "pools")) == ["A"]
    place = tmp_path / "root" / "bright" / "pony"
    (place / "documents").mkdir(parents=True)
    example = {"id": "0", "query": "why?", "gold_ids": ["a"], "excluded_ids": []}
    (place / "examples.jsonl").write_text(json.dumps(example) + "\n")
    (place / "documents" / "._part.jsonl").write_bytes(b"\0\5\xff")
    with pytest.raises(InputError, match="the corpus of bright/pony is missing"):
        load_collection("bright/pony", data_root=tmp_path / "root", download=False)
    (place / "documents" / "part.jsonl").write_text('{"id": "a", "content": "x"}\n')
    assert load_collection("bright/pony", data_root=tmp_path / "root").doc_ids == ["a"]


def test_hidden_folders_are_not_listed(tmp_path: Path) -> None:
    for name in ("a/b", ".trash/b", "a/.old"):
        write_folder(tmp_path / name)
    (write_folder(tmp_path / "a" / "c") / "corpus.jsonl").rename(tmp_path / "a/c/corpus.jsonl.bak")
    found = [e.id for e in list_collections(data_root=tmp_path) if e.found_in.startswith("data")]
    assert found == ["a/b"]


def test_documents_name_their_file_and_line(tmp_path: Path) -> None:
    place = tmp_path / "pony"
    (place / "documents").mkdir(parents=True)
    example = {"id": "0", "query": "why?", "gold_ids": ["a"], "excluded_ids": []}
    (place / "examples.jsonl").write_text(json.dumps(example) + "\n")
    (place / "documents" / "1.jsonl").write_text('{"id": "a", "content": "x"}\n')
    (place / "documents" / "2.jsonl").write_text('\n{"id": "b", "content": 5}\n')
    with pytest.raises(InputError, match=r"/documents/2\.jsonl:2: the text is int"):
        load_collection(place)


def test_a_tilde_leads_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    expected = read_beir(folder, "tiny")
    for ref in (f"~/{folder.name}", Path("~") / folder.name):
        found = load_collection(ref, download=False)
        assert (found.id, found.sha256) == ("tiny", expected.sha256)
    assert read_qrels("~/tiny/qrels/test.tsv") == expected.qrels["test"]
    assert read_beir("~/tiny", "x").sha256 == expected.sha256
    assert write_beir(expected, "~/again") == folder.parent / "again"
    with pytest.raises(InputError, match="no such user"):
        load_collection("tiny", data_root="~nobody-has-this-name/x")


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "corpus": ("corpus.jsonl", lambda folder: read_beir(folder, "x")),
    "queries": ("queries.jsonl", lambda folder: read_beir(folder, "x")),
    "qrels": ("qrels/test.tsv", lambda folder: read_beir(folder, "x")),
    "source": ("SOURCE.json", lambda folder: read_beir(folder, "x")),
    "excluded": ("excluded.tsv", lambda folder: read_beir(folder, "x")),
    "pool": ("run.A.jsonl", pools),
    "one pool": ("p", lambda folder: read_pool(folder / "p")),
    "run": ("r", lambda folder: read_run(folder / "r")),
    "judgements": ("j", lambda folder: read_qrels(folder / "j")),
    "examples": ("bright/pony/examples.jsonl", lambda folder: load_bright_queries("pony", folder)),
    "parquet": (
        "documents/a.parquet",
        lambda folder: load_collection(folder),
    ),
}


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_pipe_that_nobody_writes_to_is_refused(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ir_replications.shared.reading._WRITER_S", 0.2)
    place, read = READERS[name]
    path = folder / place
    if name == "parquet":
        example = {"id": "0", "query": "why?", "gold_ids": ["a"], "excluded_ids": []}
        (folder / "examples.jsonl").write_text(json.dumps(example) + "\n")
        (folder / "corpus.jsonl").unlink()
        (folder / "qrels" / "test.tsv").unlink()
        (folder / "qrels").rmdir()
        pytest.importorskip("pyarrow")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"nobody writes to|no regular file") as caught:
        read(folder)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("zipped", [False, True])
def test_pipes_are_read_as_files_are(folder: Path, zipped: bool) -> None:
    expected = read_beir(folder, "tiny").sha256
    paths = [folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / "test.tsv"]
    threads = []
    for path in paths:
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        sent = gzip.compress(content) if zipped else content
        threads.append(threading.Thread(target=path.write_bytes, args=(sent,)))
        threads[-1].start()
    assert read_beir(folder, "tiny").sha256 == expected
    for thread in threads:
        thread.join()
