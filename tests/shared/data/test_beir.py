"""BEIR folders: what is read, and the line that every fault is reported on."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_replications.shared.data import make_collection, read_beir, read_qrels, write_beir
from ir_replications.shared.data.beir import read_documents
from ir_replications.shared.errors import InputError
from tests.shared.data.conftest import CORPUS, QRELS, QUERIES, write_folder


def refused(folder: Path, where: str, message: str) -> None:
    """Assert that reading `folder` fails with one line, beginning with `where` inside it."""
    with pytest.raises(InputError) as caught:
        read_beir(folder, "tiny")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{folder / where}" if where else f"{folder}:"), text
    assert message in text


def test_reads(folder: Path) -> None:
    collection = read_beir(folder, "tiny")
    assert collection.doc_ids == ["d1", "d10", "d2"]
    assert collection.titles == ["", "", "Wings"]
    assert collection.queries == {"q2": "lift", "q1": "heat flow"}
    assert collection.qrels == {"test": {"q1": {"d1": 2, "d10": 1}, "q2": {"d2": 1}}}
    assert (collection.source, collection.licence) == (str(folder), "")
    assert collection.notes == ()


def test_gzip_line_order_line_ends_and_bom_do_not_matter(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "qrels").mkdir(parents=True)
    turned = "".join(reversed(CORPUS.splitlines(keepends=True)))
    (other / "corpus.jsonl.gz").write_bytes(gzip.compress(turned.encode()))
    crlf = QUERIES.replace("\n", "\r\n") + "\r\n"
    (other / "queries.jsonl").write_bytes(b"\xef\xbb\xbf" + crlf.encode())
    trec = "q2 0 d2 1\nq1\t0\td10\t1\nq1 0  d1 2\n"
    (other / "qrels" / "test.tsv.gz").write_bytes(gzip.compress(trec.encode()))
    assert read_beir(other, "tiny").sha256 == read_beir(folder, "tiny").sha256


def test_source_json(folder: Path) -> None:
    about = {"source": {"repo": "someone/thing", "commit": "abc", "licence": "CC BY 4.0"}}
    (folder / "SOURCE.json").write_text(json.dumps(about))
    collection = read_beir(folder, "tiny")
    assert (collection.source, collection.licence) == ("someone/thing@abc", "CC BY 4.0")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "d9", "text": ', "malformed JSON (Expecting value); correct it"),
        ('["d9", "x"]', "expected a JSON object, found list"),
        ('{"id": "d9", "text": "x"}', 'no "_id"'),
        ('{"_id": "", "text": "x"}', '"_id" is empty; give one'),
        ('{"_id": 9, "text": "x"}', '"_id" is int, expected a string'),
        ('{"_id": true, "text": "x"}', '"_id" is bool, expected a string'),
        ('{"_id": "d9", "title": "x"}', 'no "text"'),
        ('{"_id": "d9", "text": null}', '"text" is NoneType, expected a string'),
        ('{"_id": "d9", "text": "x", "title": 3}', '"title" is int, expected a string'),
        ('{"_id": "d1", "text": "x"}', "duplicate document id 'd1', first on line 2; keep one"),
        ('{"_id": "d9", "text": "\\ud800"}', "a \\ud escape stands for half a character"),
    ],
)
def test_corpus_line_refused(folder: Path, line: str, message: str) -> None:
    (folder / "corpus.jsonl").write_text(CORPUS + line + "\n", encoding="utf-8")
    refused(folder, "corpus.jsonl:4: ", message)


def test_whole_surrogate_pair_is_fine(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text(CORPUS + '{"_id": "e", "text": "\\ud83d\\ude00"}\n')
    assert read_beir(folder, "tiny").texts[-1] == "\U0001f600"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "q1", "text": "x"}', "duplicate query id 'q1', first on line 2"),
        ('{"_id": "q3"}', 'no "text"'),
        ("{", "malformed JSON"),
    ],
)
def test_query_line_refused(folder: Path, line: str, message: str) -> None:
    (folder / "queries.jsonl").write_text(QUERIES + line + "\n", encoding="utf-8")
    refused(folder, "queries.jsonl:3: ", message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1\td2\thigh", "grade 'high' is not a whole number"),
        ("q1\td2\t1.5", "grade '1.5' is not a whole number"),
        ("q1\td2", "found 2 columns, expected query-id, corpus-id and score"),
        ("q1\td2\t1\t1", "found 4 columns"),
        ("q1 d2 1", "found 1 columns"),
        ("q1\t\t1", "found 3 columns"),
        ("q1\td1\t1", "query 'q1', document 'd1' has grade 1 here and 2 in an earlier row"),
    ],
)
def test_qrels_line_refused(folder: Path, line: str, message: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(QRELS + line + "\n", encoding="utf-8")
    refused(folder, "qrels/test.tsv:5: ", message)


def test_first_qrels_line_is_a_header_only_if_it_looks_like_one(folder: Path) -> None:
    qrels = folder / "qrels" / "test.tsv"
    qrels.write_text("q1\td1\t2\nq2\td2\t1\n", encoding="utf-8")
    assert read_qrels(qrels) == {"q1": {"d1": 2}, "q2": {"d2": 1}}
    qrels.write_text("q1\td1\tx\nq2\td2\t1\n", encoding="utf-8")
    refused(folder, "qrels/test.tsv:1: ", "grade 'x' is not a whole number")


def test_qrels_keeps_unknown_documents_and_negative_grades(tmp_path: Path) -> None:
    path = tmp_path / "nist.txt"
    path.write_text("19335 0 doc,1 3\n19335 0 x -1\n")
    assert read_qrels(path) == {"19335": {"doc,1": 3, "x": -1}}


def test_repeated_qrels_row_is_counted(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text(QRELS + "q1\td1\t2\n", encoding="utf-8")
    collection = read_beir(folder, "tiny")
    assert collection.qrels["test"]["q1"] == {"d1": 2, "d10": 1}
    assert collection.notes == ("test.tsv: 1 qrels rows are repeated, counted once",)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_bytes_that_are_not_utf8(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as handle:
        handle.write(b"ab\xffcd\n")
    lines = (folder / name).read_bytes().count(b"\n")
    refused(folder, f"{name}:{lines}: ", "byte 3 is not UTF-8; save the file as UTF-8")


def test_truncated_gzip(folder: Path) -> None:
    text = "".join(f'{{"_id": "{n}", "text": "t{n * 7919 % 1000}"}}\n' for n in range(5000))
    whole = gzip.compress(text.encode())
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        read_beir(folder, "tiny")
    found = re.fullmatch(
        re.escape(str(folder / "corpus.jsonl.gz"))
        + r":(\d+): the gzip data is cut short or damaged here; copy or download the file again",
        str(caught.value),
    )
    assert found and 1 <= int(found[1]) < 5000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("corpus.jsonl", "no corpus.jsonl or corpus.jsonl.gz; put the documents there"),
        ("queries.jsonl", "no queries.jsonl or queries.jsonl.gz; put the queries there"),
        ("qrels/test.tsv", "no judgements; expected qrels/<split>.tsv, such as qrels/test.tsv"),
    ],
)
def test_missing_file(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    refused(folder, "", message)


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        ("corpus.jsonl", "corpus.jsonl:1: ", "the file is empty; expected one document per line"),
        ("queries.jsonl", "queries.jsonl:1: ", "the file is empty; expected one query per line"),
        ("qrels/test.tsv", "qrels/test.tsv:1: ", "no judgements; expected query-id"),
    ],
)
def test_empty_file(folder: Path, name: str, where: str, message: str) -> None:
    (folder / name).write_text("\n")
    refused(folder, where, message)


def test_plain_and_gzip_at_once(folder: Path) -> None:
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(CORPUS.encode()))
    refused(folder, "", "both corpus.jsonl and corpus.jsonl.gz are there; remove one of them")
    (folder / "corpus.jsonl.gz").unlink()
    (folder / "qrels" / "test.tsv.gz").write_bytes(gzip.compress(QRELS.encode()))
    refused(folder, "qrels/test.tsv.gz", "split 'test' is there twice")


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "none", "", "no such folder")


def test_corpus_that_vanishes_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpus.jsonl: cannot be read \(No such file"):
        read_documents(tmp_path / "corpus.jsonl")


def test_excluded_documents(folder: Path) -> None:
    (folder / "excluded.tsv").write_text("q1\td2\nq1\telsewhere\n")
    assert read_beir(folder, "tiny").excluded == {"q1": frozenset({"d2", "elsewhere"})}
    (folder / "excluded.tsv").write_text("q1\td2\nq1 d3\n")
    refused(folder, "excluded.tsv:2: ", "expected query id and document id")


def test_write_leaves_nothing_when_it_fails(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = read_beir(folder, "tiny")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    target = tmp_path / "out" / "tiny"
    with pytest.raises(InputError, match="No space left on device"):
        write_beir(collection, target)
    assert list(target.parent.iterdir()) == []


def test_write_replaces_what_is_there(folder: Path, tmp_path: Path) -> None:
    old = write_folder(tmp_path / "old", qrels="q1\td1\t1\n")
    collection = read_beir(folder, "tiny")
    assert read_beir(write_beir(collection, old), "tiny").sha256 == collection.sha256


def test_what_is_there_stays_where_the_disk_refuses(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_beir(write_folder(tmp_path / "old", qrels="q1\td1\t1\n"), "tiny")
    there = write_beir(first, tmp_path / "there")
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if target == there and source.name == "collection":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_beir(read_beir(folder, "tiny"), there)
    assert read_beir(there, "tiny").sha256 == first.sha256
    assert write_beir(first, there) == there  # what was to be written is there


names = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=5)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    documents=st.dictionaries(names, st.tuples(texts, texts), min_size=1, max_size=6),
    queries=st.dictionaries(names, texts.filter(str.strip), min_size=1, max_size=4),
    data=st.data(),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    documents: dict[str, tuple[str, str]],
    queries: dict[str, str],
    data: st.DataObject,
) -> None:
    rows = st.dictionaries(st.sampled_from(sorted(documents)), st.integers(-2, 4), min_size=1)
    judged = {query_id: data.draw(rows) for query_id in queries}
    first = make_collection("tiny", documents, queries, {"dev": judged})
    again = read_beir(write_beir(first, tmp_path_factory.mktemp("trip") / "tiny"), "tiny")
    assert again.sha256 == first.sha256
    assert again.queries == first.queries
    assert again.qrels == first.qrels
    assert again.texts == first.texts
