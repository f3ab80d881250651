"""Rows from records, filters, sampling, splitting and the released training format."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.data import load_collection
from ir_replications.shared.errors import InputError
from ir_replications.tongsearch_qr.checks.prompts import a6, a10, builder_rows, sampler_rows
from ir_replications.tongsearch_qr.training.data import (
    DOMAINS,
    Row,
    count_unusable,
    drop_unusable,
    parse_answer,
    positives_of,
    question_of,
    released_site_name,
    sample_per_domain,
    shorter_than,
    shuffled,
    site_name,
    split_rows,
    training_record,
)
from ir_replications.tongsearch_qr.training.qa_files import load_rows, read_rows

ANSWERS = [
    {"id": "1", "score": 3, "accepted": False, "text": "popular"},
    {"id": "2", "score": 1, "accepted": True, "text": "accepted"},
    {"id": "3", "score": 3, "accepted": False, "text": "as popular"},
    {"id": "4", "score": 9, "accepted": False, "text": "  "},
]


def record(id: str, **fields: Any) -> dict[str, Any]:
    """A Stack Exchange record of site "tea"."""
    return {"site": "tea", "id": id, "title": f"Title {id}", "body": "Body", "answers": ANSWERS} | (
        fields
    )


def scored(score: object, **fields: object) -> str:
    """A line of a record whose one answer has this score."""
    return json.dumps(record("2", answers=[{"text": "x", "score": score} | fields]))


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def rows_of(n: int) -> list[Row]:
    return [Row(f"r{i}", f"question {i}", ("a",)) for i in range(n)]


# --- rows


def test_positives() -> None:
    assert positives_of({"answers": ANSWERS}, "accepted") == ("accepted",)
    assert positives_of({"answers": ANSWERS}) == ("accepted",)
    assert positives_of({"answers": ANSWERS}, "all") == ("popular", "accepted", "as popular")
    others = [answer for answer in ANSWERS if not answer["accepted"]]
    assert positives_of({"answers": others}, "accepted") == ()
    assert positives_of({"answers": others}, "best") == ("popular",)
    assert positives_of({"answers": []}) == positives_of({}) == ()
    with pytest.raises(InputError, match="positives 'first': expected one of accepted, best, all"):
        positives_of({}, "first")


def test_question() -> None:
    assert question_of({"title": " T ", "body": "B\nC\n"}) == "T\nB\nC"
    assert question_of({"title": "T", "body": ""}) == "T"
    assert question_of({"body": "B"}) == "B"


def test_filters_and_their_counts() -> None:
    rows = [
        Row("1", "same", ("first",)),
        Row("2", "a .png here", ("a",)),
        Row("3", "no answers", ()),
        Row("4", "blank answers", (" ",)),
        Row("5", " ", ("a",)),
        Row("6", "x" * 16_000, ("a",)),
        Row("7", "same", (" ", "last")),
        Row("8", "other .PNG", ("a",)),
    ]
    assert drop_unusable(rows) == [Row("7", "same", ("last",)), Row("8", "other .PNG", ("a",))]
    assert count_unusable(rows) == {
        "no answer": 2,
        "question with .png": 1,
        "empty question": 1,
        "question longer than 16000 characters": 1,
        "repeated question": 1,
    }
    with pytest.raises(InputError, match=r"none of 2 is usable \(1 question with .png, 1 no answ"):
        drop_unusable(rows[1:3])


def test_length_is_that_of_the_question_within_its_instructions() -> None:
    """Released code: the key of the data file, instructions included, has at most 16,000."""
    kept = {row.id for row in drop_unusable(builder_rows())}
    assert "fits" in kept
    assert "long" not in kept
    fits = next(row for row in builder_rows() if row.id == "fits")
    assert len(training_record(fits)["prompt"][1]["content"]) == 16_000


# --- sampling


@pytest.mark.parametrize(
    ("address", "fixed", "released"),
    [
        ("https://stackoverflow.com/questions/1", "stackoverflow", "ackoverflow"),
        ("https://physics.stackexchange.com/q/1", "physics", "ysics"),
        ("https://stats.stackexchange.com/q/1", "stats", "ats"),
        ("https://psychology.stackexchange.com", "psychology", "ychology"),
        ("https://cs.stackexchange.com/q/1", "cs", "cs"),
        ("beer", "beer", "beer"),
    ],
)
def test_site_names(address: str, fixed: str, released: str) -> None:
    assert (site_name(address), released_site_name(address)) == (fixed, released)


def test_sampler() -> None:
    rows = sampler_rows()
    fixed = sample_per_domain(rows, 3)
    assert {row.domain.split(".")[0] for row in fixed} == {
        f"https://{name}" for name in ("cs", "math", "biology", "stackoverflow")
    }
    assert len(fixed) == len(set(fixed)) == 12
    released = sample_per_domain(rows, 3, released=True)
    assert not any("stackoverflow" in row.domain for row in released)
    assert len(released) == 9
    assert sample_per_domain(rows, 3) == fixed != sample_per_domain(rows, 3, seed=1)
    assert len(sample_per_domain(rows, 3, domains=None)) == 15
    assert len(sample_per_domain(rows)) == 32
    assert len(DOMAINS) == 9


def test_sampler_refusals() -> None:
    with pytest.raises(InputError, match=r"no rows of the domains Stackoverflow, .* are of tea$"):
        sample_per_domain([Row("1", "q", ("a",), "tea")])
    with pytest.raises(InputError, match="expected 1 or more, got 0"):
        sample_per_domain(sampler_rows(), 0)


def test_shuffle_is_of_the_seed_alone() -> None:
    assert shuffled(rows_of(20)) == shuffled(rows_of(20)) != rows_of(20)
    assert sorted(shuffled(rows_of(20)), key=lambda row: int(row.id[1:])) == rows_of(20)


# --- splitting


def test_split_by_share_does_not_depend_on_other_rows() -> None:
    rows = rows_of(1000)
    train, held = split_rows(rows, 0.2)
    assert 150 < len(held) < 250
    assert sorted([*train, *held], key=rows.index) == rows
    fewer_train, fewer_held = split_rows(rows[::-1][:500], 0.2)
    assert set(fewer_held) <= set(held)
    assert set(fewer_train) <= set(train)
    assert split_rows(rows, 0.2, seed=1)[1] != held


def test_split_by_number() -> None:
    rows = rows_of(50)
    train, held = split_rows(rows, 7)
    assert (len(train), len(held)) == (43, 7)
    assert split_rows(rows[::-1], 7)[1] == held[::-1]
    assert set(split_rows(rows, 6)[1]) < set(held)
    assert split_rows(rows, 0) == (rows, [])


@pytest.mark.parametrize("held_out", [-1, 5, 1.0, -0.1, float("nan"), 1e-9])
def test_split_refusals(held_out: float) -> None:
    with pytest.raises(InputError, match="held-out"):
        split_rows(rows_of(5), held_out)


def test_short_rows() -> None:
    rows = [Row("1", "a b", ("c d e",)), Row("2", "a b c", ("d",)), Row("3", "a", ("d", "e f"))]
    assert [row.id for row in shorter_than(rows, 2)] == ["1", "3"]
    assert [row.id for row in shorter_than(rows, 3, 2)] == ["2", "3"]
    with pytest.raises(InputError, match="none of 3 has a question of at most 0 words"):
        shorter_than(rows, 0)


# --- the released format


def test_training_record() -> None:
    made = training_record(Row("1", 'Why "é"?', ("one", "two")), think=True)
    assert [turn["role"] for turn in made["prompt"]] == ["system", "user"]
    assert made["answer"].startswith('{"query": "Instructions:\\n1. Identify')
    assert made["answer"].endswith('"pos_docs_list": ["one", "two"], "think_flag": true}')
    assert "é" in made["answer"]
    assert parse_answer(made["answer"]) == (made["prompt"][1]["content"], ("one", "two"), True)
    assert parse_answer('{"query": "q", "pos_docs_list": "one"}') == ("q", ("one",), False)


@pytest.mark.parametrize(
    "answer",
    ["{", "[]", '"text"', '{"query": "q"}', '{"query": 1, "pos_docs_list": []}',
     '{"query": "q", "pos_docs_list": [1]}', '{"query": "q", "pos_docs_list": 1}'],
)  # fmt: skip
def test_malformed_answer(answer: str) -> None:
    with pytest.raises(InputError, match="training record: "):
        parse_answer(answer)


def test_golden_check() -> None:
    facts = a6()
    assert (facts["violations"], facts["wrong"]) == (0, [])


# --- files


def test_stack_exchange_file(tmp_path: Path) -> None:
    records = [
        record("1"),
        record("2", answers=[]),
        record("3", answers=None),
        record("4") | {"id": 4},
    ]
    found = read_rows(write(tmp_path / "tea.jsonl", records))
    assert found.rows[0] == Row("tea-1", "Title 1\nBody", ("accepted",), "tea")
    assert [row.id for row in found.rows] == ["tea-1", "tea-4"]
    assert found.notes == ("2 rows left out: no answer",)
    everything = read_rows(tmp_path / "tea.jsonl", positives="all").rows[0]
    assert everything.positives == ("popular", "accepted", "as popular")


def test_fingerprint_ignores_order_and_compression_and_nothing_else(tmp_path: Path) -> None:
    records = [record("1"), record("2")]
    plain = write(tmp_path / "a.jsonl", records)
    (tmp_path / "folder").mkdir()
    lines = "".join(json.dumps(r) + "\n" for r in records[::-1]).encode()
    (tmp_path / "folder" / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    rows, sha256 = load_rows(plain)
    assert load_rows(tmp_path / "folder") == (rows[::-1], sha256)
    assert load_rows("folder", data_root=tmp_path)[1] == sha256
    changed = write(tmp_path / "c.jsonl", [record("1"), record("2", body="Body.")])
    assert load_rows(changed)[1] != sha256


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"site": "tea", ', r"tea.jsonl:2: malformed JSON"),
        ("[]", r"tea.jsonl:2: expected a JSON object, found list"),
        (json.dumps(record("")), r'tea.jsonl:2: "id" is empty'),
        (json.dumps(record("2", site=None)), r'tea.jsonl:2: "site" is NoneType, expected a string'),
        (json.dumps(record("2", title=7)), r'tea.jsonl:2: "title" is int, expected a string'),
        (json.dumps(record("2", title=0)), r'tea.jsonl:2: "title" is int'),
        (json.dumps(record("2", title=[])), r'tea.jsonl:2: "title" is list'),
        (json.dumps(record("2", body=False)), r'tea.jsonl:2: "body" is bool'),
        (json.dumps(record("2") | {"id": True}), r'tea.jsonl:2: "id" is bool'),
        (json.dumps(record("2") | {"id": 2.0}), r'tea.jsonl:2: "id" is float'),
        (json.dumps(record("2", site="tea\0")), r'tea.jsonl:2: "site" .* holds the character'),
        (json.dumps(record("2", answers=False)), r'tea.jsonl:2: expected "answers"'),
        (json.dumps(record("2", answers="")), r'tea.jsonl:2: expected "answers"'),
        (json.dumps(record("2", answers={})), r'tea.jsonl:2: expected "answers"'),
        (scored(0, accepted=0), r'tea.jsonl:2: expected "answers"'),
        (scored(0, accepted="true"), r'tea.jsonl:2: expected "answers"'),
        (scored(True), r'tea.jsonl:2: expected "answers"'),
        (scored("3"), r'tea.jsonl:2: expected "answers"'),
        (scored(10**400), r'tea.jsonl:2: expected "answers"'),
        (scored(float("nan")), r"tea.jsonl:2: NaN is no JSON number"),
        (scored(float("inf")), r"tea.jsonl:2: Infinity is no JSON number"),
        (scored(7).replace("7", "1e999"), r'tea.jsonl:2: expected "answers"'),
        ('{"site": "tea", "id": "2", "body": "a", "body": "b"}', r"tea.jsonl:2: 'body' is given"),
        ('{"site": "tea", "id": "2", "x": ' + "[" * 100_000, r"tea.jsonl:2: JSON nested too"),
        (json.dumps(record("2", answers=["yes"])), r'tea.jsonl:2: expected "answers"'),
        (json.dumps(record("2", answers=[{"id": "1"}])), r'tea.jsonl:2: expected "answers"'),
        (json.dumps(record("1")), r"tea.jsonl:2: question '1' of 'tea' was given before, at .*:1;"),
    ],
)
def test_malformed_records(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "tea.jsonl"
    path.write_text(f"{json.dumps(record('1'))}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message) as raised:
        load_rows(path)
    assert "\n" not in str(raised.value)


def test_any_depth_of_nesting_is_a_record_or_one_line(tmp_path: Path) -> None:
    path = tmp_path / "tea.jsonl"
    for depth in range(900, 1000, 4):
        nested = json.dumps(record("2"))[:-1] + ', "x": ' + "[" * depth + "]" * depth + "}"
        path.write_text(nested + "\n", encoding="utf-8")
        try:
            assert load_rows(path)[0][0].id == "tea-2"
        except InputError as error:
            assert str(error) == f"{path}:1: JSON nested too deeply"


def test_records_from_a_pipe_beside_hidden_files_and_below_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    plain = write(tmp_path / "a" / "tea.jsonl", [record("1"), record("2")])
    expected = load_rows(plain)
    (plain.parent / "._tea.jsonl").write_bytes(b"\0\5\xff")
    assert load_rows(plain.parent) == expected
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_rows("~/a/tea.jsonl") == load_rows("~/a") == expected
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(plain.read_bytes()),))
    writer.start()
    assert load_rows(pipe) == expected
    writer.join()
    with pytest.raises(InputError, match="nobody writes to"):
        load_rows(pipe)


def test_nothing_usable(tmp_path: Path) -> None:
    path = write(tmp_path / "tea.jsonl", [record("1", answers=[])])
    with pytest.raises(InputError, match=r"tea.jsonl: training rows: none of 1 .*1 no answer"):
        load_rows(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"tea.jsonl: no records; expected one question per line"):
        load_rows(path)
    with pytest.raises(InputError, match="no/such: no such folder"):
        load_rows("no/such", data_root=tmp_path, download=False)
    (tmp_path / "root").mkdir()
    write(path, [record("1")])
    with pytest.raises(InputError, match=r"collection id '\.\./tea.jsonl': expected parts"):
        load_rows("../tea.jsonl", data_root=tmp_path / "root", download=False)


def test_judgements_of_a_collection(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    documents = [("d1", "", "one"), ("d2", "Two", "two"), ("d3", "", "three")]
    write(tmp_path / "corpus.jsonl", [{"_id": d, "title": t, "text": x} for d, t, x in documents])
    write(tmp_path / "queries.jsonl", [{"_id": q, "text": f"query {q}"} for q in ("a", "b", "c")])
    head = "query-id\tcorpus-id\tscore\n"
    judged = "a\td1\t1\na\td2\t2\na\td3\t0\nb\td1\t1\nb\td3\t1\nc\td3\t0\n"
    (tmp_path / "qrels" / "train.tsv").write_text(head + judged, encoding="utf-8")
    found = read_rows(tmp_path)
    assert [(row.id, row.positives) for row in found.rows] == [
        ("a", ("Two\ntwo",)),
        ("b", ("one", "three")),
    ]
    assert "1 rows left out: no answer" in found.notes
    assert read_rows(tmp_path, positives="all").rows[0].positives == ("one", "Two\ntwo")
    with pytest.raises(InputError, match="no split 'test'; its splits: train"):
        load_rows(tmp_path, split="test")
    with pytest.raises(InputError, match="positives 'first'"):
        load_rows(tmp_path, positives="first")


def test_pydocs_rows_are_summaries_and_the_bodies_of_their_objects() -> None:
    rows, sha256 = load_rows("pydocs")
    assert len(rows) > 1000
    assert len(sha256) == 64
    assert {row.domain for row in rows} == {"pydocs"}
    collection = load_collection("pydocs")
    texts = dict(zip(collection.doc_ids, collection.texts, strict=True))
    for row in rows:
        grades = collection.qrels["train"][row.id]
        assert set(row.positives) == {texts[name] for name in grades if grades[name] == 2}


def test_real_stack_exchange_records(data_root: Path) -> None:
    if not (data_root / "qa" / "stackexchange").is_dir():
        pytest.skip("no qa/stackexchange in the data root")
    found = read_rows("qa/stackexchange", data_root=data_root)
    assert len(found.rows) == 3047
    assert set(found.notes) == {
        "10 rows left out: no answer",
        "4 rows left out: question with .png",
    }
    assert found.sha256.startswith("a78d55deaba1")


def test_bright_queries_are_the_documented_ones(data_root: Path) -> None:
    """A10; the released maps are rebuilt to the byte."""
    if not (data_root / "bright" / "biology" / "reasoned").is_dir():
        pytest.skip("no bright/<subset>/reasoned in the data root")
    from ir_replications.engine.context import Context

    facts = a10(Context(data_root))
    assert facts["wrong"] == []
    assert (facts["queries"], facts["unique_queries"]) == (1384, 1308)
