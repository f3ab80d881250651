"""BRIGHT: gold and excluded documents, a corpus that may be absent."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ir_replications.shared.data import (
    BRIGHT_SUBSETS,
    load_bright_queries,
    load_collection,
    pinned,
    read_beir,
)
from ir_replications.shared.errors import InputError

EXAMPLES = [
    {"id": "0", "query": "why?", "gold_ids": ["a/1", "a/2", "a/1"], "excluded_ids": ["N/A"]},
    {"id": "1", "query": "how?", "gold_ids": ["a/3"], "excluded_ids": ["b", "a/1", "far"]},
]
DOCUMENTS = [
    {"id": doc_id, "content": f"text of {doc_id}"} for doc_id in ("b", "a/3", "a/2", "a/1")
]


def lines(records: list[dict]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "bright" / "pony"
    folder.mkdir(parents=True)
    (folder / "examples.jsonl.gz").write_bytes(gzip.compress(lines(EXAMPLES).encode()))
    return tmp_path / "root"


def check_whole(root: Path) -> None:
    collection = load_collection("bright/pony", data_root=root, download=False)
    assert collection.id == "bright/pony"
    assert collection.doc_ids == ["a/1", "a/2", "a/3", "b"]
    assert collection.texts[0] == "text of a/1"
    assert collection.qrels == {"test": {"0": {"a/1": 1, "a/2": 1}, "1": {"a/3": 1}}}
    assert collection.excluded == {"1": frozenset({"b", "a/1", "far"})}
    assert "1 gold ids are listed twice for a query, counted once" in collection.notes
    assert collection.licence == "CC BY 4.0"


def test_queries_without_a_corpus(root: Path) -> None:
    parts = load_bright_queries("pony", root)
    assert parts.queries == {"0": "why?", "1": "how?"}
    assert parts.qrels == {"test": {"0": {"a/1": 1, "a/2": 1}, "1": {"a/3": 1}}}
    assert parts.excluded == {"1": frozenset({"b", "a/1", "far"})}


def test_missing_corpus(root: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_collection("bright/pony", data_root=root, download=False)
    assert str(caught.value) == (
        f"{root}/bright/pony: the corpus of bright/pony is missing; run `replicate data fetch "
        "bright/pony`, or put its documents there as corpus.jsonl or documents/*.parquet"
    )
    moved = (root / "bright" / "pony").rename(root / "pony")
    with pytest.raises(InputError, match="the corpus of pony is missing"):
        load_collection(moved)


def test_corpus_as_jsonl(root: Path) -> None:
    records = [{"_id": row["id"], "text": row["content"]} for row in DOCUMENTS]
    (root / "bright" / "pony" / "corpus.jsonl").write_text(lines(records))
    check_whole(root)


def test_corpus_as_documents_jsonl(root: Path) -> None:
    folder = root / "bright" / "pony" / "documents"
    folder.mkdir()
    (folder / "1.jsonl").write_text(lines(DOCUMENTS[:2]))
    (folder / "2.jsonl.gz").write_bytes(gzip.compress(lines(DOCUMENTS[2:]).encode()))
    check_whole(root)


def test_corpus_as_parquet(root: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = root / "bright" / "pony" / "documents"
    folder.mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(DOCUMENTS), folder / "pony-0.parquet")
    check_whole(root)
    (folder / "pony-0.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"pony-0.parquet: cannot be read as parquet"):
        load_collection("bright/pony", data_root=root, download=False)


def test_more_splits_and_other_forms_of_the_queries(root: Path) -> None:
    folder = root / "bright" / "pony"
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.fixed.tsv").write_text("1\ta/2\t1\n")
    first = load_bright_queries("pony", root)
    assert first.qrels["test.fixed"] == {"1": {"a/2": 1}}
    (folder / "examples.jsonl.gz").unlink()
    records = [{"_id": row["id"], "text": row["query"]} for row in EXAMPLES]
    (folder / "queries.jsonl").write_text(lines(records))
    (folder / "qrels" / "test.tsv").write_text("0\ta/1\t1\n0\ta/2\t1\n1\ta/3\t1\n")
    (folder / "excluded.tsv").write_text("1\tb\n1\ta/1\n1\tfar\n")
    assert load_bright_queries("pony", root).sha256 == first.sha256


def test_judgements_that_disagree(root: Path) -> None:
    (root / "bright" / "pony" / "qrels").mkdir()
    (root / "bright" / "pony" / "qrels" / "test.tsv").write_text("1\ta/2\t1\n")
    with pytest.raises(InputError, match=r"qrels/test.tsv and gold_ids of .* differ"):
        load_bright_queries("pony", root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gold_ids": ["b"]}, "document 'b' is both gold and excluded; remove one of the two"),
        ({"gold_ids": "b"}, 'expected "gold_ids" to be a list of document ids'),
        ({"excluded_ids": [1]}, "an id in excluded_ids is int, expected a string in quotes"),
        ({"gold_ids": [" a"]}, "an id in gold_ids ' a' begins or ends with white space; remove it"),
        ({"id": 1}, '"id" is int, expected a string in quotes'),
        ({"query": None}, '"query" is NoneType, expected a string in quotes'),
        ({"id": "0"}, "duplicate query id '0'; keep one of the two"),
    ],
)
def test_refused(root: Path, changes: dict, message: str) -> None:
    path = root / "bright" / "pony" / "examples.jsonl.gz"
    path.write_bytes(gzip.compress(lines([EXAMPLES[0], EXAMPLES[1] | changes]).encode()))
    with pytest.raises(InputError) as caught:
        load_bright_queries("pony", root)
    assert str(caught.value) == f"{path}:2: {message}"


def test_unknown_subset_and_no_data_root() -> None:
    with pytest.raises(InputError, match="BRIGHT subset 'horses': expected one of biology"):
        load_bright_queries("horses")
    with pytest.raises(
        InputError, match=r"bright/pony: no such folder .* set IR_REPLICATIONS_DATA"
    ):
        load_bright_queries("pony")


@pytest.mark.parametrize("subset", BRIGHT_SUBSETS)
def test_pinned_queries(data_root: Path, subset: str) -> None:
    if not (data_root / "bright" / subset).is_dir():
        pytest.skip(f"no bright/{subset} in the data root")
    pin = pinned(f"bright/{subset}")
    parts = load_bright_queries(subset, data_root)
    assert pin is not None
    assert (len(parts.qrels["test"]), parts.sha256) == (pin.queries, pin.queries_sha256)


def test_excluded_documents_in_the_data_root(data_root: Path) -> None:
    # Figures of the benchmark: leetcode excludes documents for all 142 queries, at most 1,119.
    if not (data_root / "bright" / "leetcode").is_dir():
        pytest.skip("no bright/leetcode in the data root")
    excluded = load_bright_queries("leetcode", data_root).excluded
    assert len(excluded) == 142
    assert max(map(len, excluded.values())) == 1119


def test_cached_form_reads_as_a_beir_folder(root: Path, tmp_path: Path) -> None:
    from ir_replications.shared.data import write_beir

    records = [{"_id": row["id"], "text": row["content"]} for row in DOCUMENTS]
    (root / "bright" / "pony" / "corpus.jsonl").write_text(lines(records))
    first = load_collection("bright/pony", data_root=root)
    assert read_beir(write_beir(first, tmp_path / "pony"), "x").sha256 == first.sha256
