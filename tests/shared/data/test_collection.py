"""The collection: order, fingerprint, text to index, default split, checks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_replications.shared.data import Collection, make_collection, read_beir, write_beir
from ir_replications.shared.data.collection import check_id
from ir_replications.shared.errors import InputError

DOCUMENTS = {"d2": ("Wings", "lift"), "d1": ("", "heat"), "d10": ("Plate", "")}
QUERIES = {"q2": "a wing", "q1": "a body"}
QRELS = {"test": {"q1": {"d1": 2}, "q2": {"d2": 1}}}


def tiny(**changes: object) -> Collection:
    parts: dict = {"documents": DOCUMENTS, "queries": QUERIES, "qrels": QRELS} | changes
    return make_collection("tiny", **parts)


def test_documents_ascend_and_queries_keep_their_order() -> None:
    collection = tiny()
    assert collection.doc_ids == ["d1", "d10", "d2"]
    assert collection.texts == ["heat", "", "lift"]
    assert list(collection.topics("test")) == ["q2", "q1"]


def test_fingerprint_worked_by_hand() -> None:
    collection = make_collection(
        "x", {"d": ("t", "é")}, {"q": "w"}, {"test": {"q": {"d": 1}}}, excluded={"q": ["e"]}
    )
    lines = [
        "collection 1", '["d","d","t","\\u00e9"]', '["q","q","w"]', '["r","test","q","d",1]',
        '["x","q","e"]',
    ]  # fmt: skip
    text = "".join(line + "\n" for line in lines)
    assert collection.sha256 == hashlib.sha256(text.encode()).hexdigest()


@given(st.permutations(sorted(DOCUMENTS)), st.permutations(sorted(QUERIES)))
def test_fingerprint_ignores_order(docs: list[str], queries: list[str]) -> None:
    shuffled = tiny(
        documents={doc_id: DOCUMENTS[doc_id] for doc_id in docs},
        queries={query_id: QUERIES[query_id] for query_id in queries},
        qrels={"test": {query_id: QRELS["test"][query_id] for query_id in queries}},
    )
    assert shuffled.sha256 == tiny().sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"documents": DOCUMENTS | {"d1": ("", "heat.")}},
        {"documents": DOCUMENTS | {"d1": ("heat", "")}},
        {"queries": QUERIES | {"q1": "another"}},
        {"qrels": {"test": {"q1": {"d1": 1}, "q2": {"d2": 1}}}},
        {"qrels": {"dev": QRELS["test"]}},
        {"excluded": {"q1": ["d2"]}},
    ],
)
def test_fingerprint_sees_every_part(changes: dict) -> None:
    assert tiny(**changes).sha256 != tiny().sha256


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("newline", ["heat", "Plate\n", "Wings\nlift"]),
        ("space", ["heat", "Plate ", "Wings lift"]),
        ("omit", ["heat", "", "lift"]),
    ],
)
def test_contents(mode: str, expected: list[str]) -> None:
    assert tiny().contents(mode) == expected


def test_unknown_title_mode_and_split() -> None:
    with pytest.raises(InputError, match="title mode 'both': expected one of newline, space, omit"):
        tiny().contents("both")
    with pytest.raises(InputError, match="tiny: no split 'dev'; its splits: test"):
        tiny().topics("dev")


@pytest.mark.parametrize(
    ("id", "splits", "expected"),
    [
        ("tiny", ["test", "dev"], "test"),
        ("tiny", ["dl19"], "dl19"),
        ("beir/msmarco", ["dev", "test"], "dev"),
        ("miracl/sw", ["train", "dev"], "dev"),
    ],
)
def test_default_split(id: str, splits: list[str], expected: str) -> None:
    qrels = dict.fromkeys(splits, QRELS["test"])
    assert make_collection(id, DOCUMENTS, QUERIES, qrels).default_split == expected


def test_no_default_split() -> None:
    collection = tiny(qrels=dict.fromkeys(["a", "b"], QRELS["test"]))
    with pytest.raises(InputError, match="tiny: no split 'test' but a, b; choose one with --split"):
        _ = collection.default_split


def test_unknown_ids_and_empty_texts_are_counted() -> None:
    collection = tiny(
        queries=QUERIES | {"q0": " ", "q3": "c"},
        qrels={
            "test": {
                "q1": {"d1": 2, "d7": 1, "d8": 1},
                "q9": {"d1": 1},
                "q3": {"d9": 1},
                "q0": {"d1": 1},  # known, and counted once, as a query without a text
            }
        },
    )
    everything = {"q1": {"d1": 2, "d7": 1, "d8": 1}, "q3": {"d9": 1}}
    assert collection.qrels == {"test": everything}, "as trec_eval and BEIR count them"
    assert collection.inside("test") == {"q1": {"d1": 2}}
    assert collection.outside("test") == {"q1": {"d7": 1, "d8": 1}, "q3": {"d9": 1}}
    assert list(collection.topics("test")) == ["q1", "q3"]
    assert list(collection.queries) == ["q2", "q1", "q3"]
    assert collection.notes == (
        "1 queries have an empty text (first: q0), ignored",
        "1 documents have an empty text (first: d10)",
        "test: 1 qrels rows name unknown queries (first: q9), ignored",
        "test: 3 qrels rows name unknown documents (first: d7), kept: "
        "the ideal ranking counts them",
        "test: 1 queries have no judged document in the collection (first: q3), kept: they score 0",
    )


def test_the_fingerprint_has_the_judgements_of_own_documents() -> None:
    """The published fingerprints of pools were made so; `outside_sha256` tells the others apart."""
    known = tiny(qrels={"test": {"q1": {"d1": 2}}})
    more = tiny(qrels={"test": {"q1": {"d1": 2, "d7": 1}, "q2": {"d9": 1}}})
    others = tiny(qrels={"test": {"q1": {"d1": 2, "d7": 2}, "q2": {"d9": 1}}})
    assert known.sha256 == more.sha256 == others.sha256
    assert len({made.outside_sha256(["test"]) for made in (known, more, others)}) == 3
    assert more.judged_inside().qrels == known.qrels
    assert more.judged_inside().sha256 == more.sha256


def test_judgements_of_absent_documents_survive_a_folder(tmp_path: Path) -> None:
    more = tiny(qrels={"test": {"q1": {"d1": 2, "d7": 1}, "q2": {"d9": 1}}})
    assert read_beir(write_beir(more, tmp_path / "tiny"), "tiny").qrels == more.qrels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"documents": {}}, "tiny: no documents; give at least one"),
        ({"queries": {"q1": "  "}}, "tiny: no queries with a text"),
        ({"qrels": {"test": {"q1": {"x": 1}}}}, "tiny: no judgement names a known query"),
        (
            {"excluded": {"q1": ["d1"]}},
            "tiny: document 'd1' is both excluded for query 'q1' and relevant to it in 'test'",
        ),
    ],
)
def test_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny(**changes)


@pytest.mark.parametrize(
    "name", ["..", "a/../b", "/etc", "a//b", "a/", "", ".hidden", "a b", "a\\b", "a\n", "a:b", "é"]
)
def test_ids_that_could_lead_astray(name: str) -> None:
    with pytest.raises(InputError, match="collection id"):
        check_id(name)


@pytest.mark.parametrize("name", ["pydocs", "beir/scifact", "beir/trec-covid", "a/b.c/D_1"])
def test_good_ids(name: str) -> None:
    assert check_id(name) == name
