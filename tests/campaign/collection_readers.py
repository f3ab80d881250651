"""Readers of collections: BEIR, BRIGHT and hubs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from unittest import mock

from ir_replications.shared.data.beir import read_beir, read_source
from ir_replications.shared.data.bright import read_bright
from ir_replications.shared.errors import InputError
from tests.campaign import independent as own
from tests.campaign.campaign import Reader

DOCS = {
    "d1": ("Wings", "wing lift in a slipstream"),
    "d2": ("", "boundary layer flow"),
    "d3": ("Shock \u00e9", "a \u201cshock\u201d wave 12"),
    "7": ("Heat", ""),
}
QUERIES = {"q1": "wing lift", "q2": "shock waves", "3": "heat transfer", "q4": "flow"}
GRADES = {("q1", "d1"): 2, ("q1", "d2"): 0, ("q2", "d3"): 1, ("3", "7"): -1, ("q4", "d2"): 1}


def write(path: Path, *rows: Any) -> None:
    """One JSON value on each line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def make_beir(folder: Path) -> None:
    write(
        folder / "corpus.jsonl", *({"_id": i, "title": t, "text": x} for i, (t, x) in DOCS.items())
    )
    write(folder / "queries.jsonl", *({"_id": i, "text": x} for i, x in QUERIES.items()))
    (folder / "qrels").mkdir()
    for split in ("test", "train"):
        with open(folder / "qrels" / f"{split}.tsv", "w", encoding="utf-8", newline="") as handle:
            rows = csv.writer(handle, delimiter="\t", lineterminator="\n")
            rows.writerow(("query-id", "corpus-id", "score"))
            rows.writerows((q, d, g) for (q, d), g in GRADES.items())
    (folder / "excluded.tsv").write_text("q1\td3\nq2\td1\n")
    about = {"id": "toy", "source": {"repo": "https://x.org", "licence": "MIT", "commit": "1a"}}
    (folder / "SOURCE.json").write_text(json.dumps(about))


def confirm_collection(folder: Path, found: Any) -> None:
    """Documents, queries, judgements and exclusions; what names unknown ones may be left out."""
    documents = own.corpus_of(_plain_or_gz(folder / "corpus.jsonl"))
    _confirm_documents(found, documents)
    queries = own.queries_of(_plain_or_gz(folder / "queries.jsonl"))
    _confirm_parts(folder, found, queries, documents)


def _plain_or_gz(path: Path) -> Path:
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def _confirm_documents(found: Any, documents: dict[str, tuple[str, str]]) -> None:
    assert documents, "no document"
    assert found.doc_ids == sorted(documents), "other documents"
    texts = zip(found.titles, found.texts, strict=True)
    assert dict(zip(found.doc_ids, texts, strict=True)) == documents, "other texts"


def _confirm_parts(
    folder: Path, found: Any, queries: dict[str, str], documents: dict[str, Any]
) -> None:
    assert found.queries == {q: t for q, t in queries.items() if t.strip()}, "other queries"
    for path in sorted((folder / "qrels").glob("[!.]*.tsv")):
        judged = found.qrels.get(path.stem, {})  # a split without any judgement is left out
        stated = own.qrels_of(path, empty=not judged)
        _same_known(judged, stated, found.queries, documents)
    pairs = [line.split("\t") for line in own.lines_of(folder / "excluded.tsv")] if (
        folder / "excluded.tsv").exists() else []  # fmt: skip
    barred: dict[str, set[str]] = {}
    for row in csv.reader(["\t".join(pair) for pair in pairs], delimiter="\t", strict=True):
        query, document = row
        barred.setdefault(own.plain(query, "query"), set()).add(own.plain(document, "document"))
    known = {q: ids for q, ids in barred.items() if q in found.queries}
    assert {q: set(ids) for q, ids in found.excluded.items()} == known, "other exclusions"


def _same_known(found: Any, expected: Any, queries: Any, documents: Any) -> None:
    def known(grades: Any) -> dict[tuple[str, str], int]:
        return {
            (q, d): g
            for q, of_query in grades.items()
            for d, g in of_query.items()
            if q in queries and d in documents
        }

    assert known(found) == known(expected), "other judgements"


def confirm_source(folder: Path, found: dict[str, str]) -> None:
    if not (folder / "SOURCE.json").exists():
        assert found == {"source": str(folder), "licence": "", "sha256": ""}, "made up"
        return
    about = own.json_of(own.text_of(folder / "SOURCE.json"))
    assert isinstance(about, dict), "no object"
    inner = about.get("source")
    texts = [about.get("sha256"), *(inner.values() if isinstance(inner, dict) else [inner])]
    for value in found.values():
        if value not in ("", str(folder)):
            parts = [t for t in texts if isinstance(t, str)]
            parts += [str(folder), str(about.get("licence"))]
            assert value in parts or value.rpartition("@")[0] in parts, f"made up: {value!r:.60}"


def make_bright(folder: Path) -> None:
    ids = {q: [d for (other, d), g in GRADES.items() if other == q and g > 0] for q in QUERIES}
    write(folder / "examples.jsonl", *(
        {"id": q, "query": t, "gold_ids": ids[q], "excluded_ids": ["N/A"] if q != "q1" else ["d3"]}
        for q, t in QUERIES.items()
    ))  # fmt: skip
    write(
        folder / "documents" / "a.jsonl", *({"id": i, "content": x} for i, (_, x) in DOCS.items())
    )


def make_parquet(folder: Path) -> None:
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    make_bright(folder)
    (folder / "documents" / "a.jsonl").unlink()
    table = pyarrow.table({"id": list(DOCS), "content": [text for _, text in DOCS.values()]})
    parquet.write_table(table, folder / "documents" / "a.parquet", use_dictionary=False)


def confirm_bright(folder: Path, found: Any) -> None:
    rows = own.objects_of(folder / "examples.jsonl")
    queries = own.distinct(
        [(own.plain(r["id"], "query"), own.text(r["query"], "text")) for r in rows], "query"
    )
    documents: list[tuple[str, str]] = []
    for path in sorted((folder / "documents").glob("[!.]*")):
        if path.suffix == ".parquet":
            from pyarrow import parquet

            table = parquet.read_table(path).to_pydict()
            records = [
                dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)
            ]
        else:
            records = own.objects_of(path)
        documents += [(own.plain(r["id"], "id"), own.text(r["content"], "text")) for r in records]
    _confirm_documents(found, {d: ("", t) for d, t in own.once(documents, "document").items()})
    assert found.queries == {q: t for q, t in queries.items() if t.strip()}, "other queries"
    for row in rows:
        gold = [own.plain(d, "gold id") for d in row["gold_ids"] if d != "N/A"]
        known = {d: 1 for d in gold if d in found.doc_ids}
        grades = found.qrels["test"].get(str(row["id"]), {})
        if str(row["id"]) in found.queries:
            assert {d: g for d, g in grades.items() if d in found.doc_ids} == known, "other gold"


def make_rows(folder: Path) -> None:
    value = {
        "corpus": {"corpus": [{"_id": i, "title": t, "text": x} for i, (t, x) in DOCS.items()]},
        "queries": {"queries": [{"_id": i, "text": x} for i, x in QUERIES.items()]},
        "default": {"test": [{"query-id": q, "corpus-id": d, "score": float(g)}
                             for (q, d), g in GRADES.items()]},
    }  # fmt: skip
    (folder / "rows.json").write_text(json.dumps(value))


def read_hub(folder: Path) -> Any:
    """The rows of a JSON file as a hub's dataset gives them, through the reader of hubs."""
    from ir_replications.shared.data import hub

    path = folder / "rows.json"
    if not path.is_file():
        raise InputError(f"{path}: no rows to give")
    tables = json.loads(path.read_bytes())
    with mock.patch.object(hub, "load_rows", lambda path, config, *_: tables[config]):
        return read_beir(hub.fetch_hub("toy/hub", "toy/hub", "0" * 40, folder / "made"), "toy/hub")


def confirm_hub(folder: Path, found: Any) -> None:
    value = json.loads((folder / "rows.json").read_bytes())
    documents = own.once([
        (_first(r, "_id", "id", "docid", "doc_id"),
         (own.text(r.get("title") or "", "title"), own.text(_first_text(r), "text")))
        for rows in value["corpus"].values() for r in rows if _is_title(r)
    ], "document")  # fmt: skip
    _confirm_documents(found, documents)
    queries = own.distinct([
        (_first(r, "_id", "id", "docid", "doc_id"), own.text(_first_text(r), "text"))
        for rows in value["queries"].values() for r in rows
    ], "query")  # fmt: skip
    assert found.queries == {q: t for q, t in queries.items() if t.strip()}, "other queries"
    for split, rows in value["default"].items():
        grades: dict[str, dict[str, int]] = {}
        for r in rows:
            score = r["score"] if r.get("score") is not None else r["relevance"]
            score = own.grade(score) if isinstance(score, str) else own.finite(score, "grade")
            assert score == int(score) and abs(score) <= 1000, "grade"
            query = _first(r, "query-id", "query_id", "qid")
            document = _first(r, "corpus-id", "corpus_id", "docid", "doc_id")
            assert grades.setdefault(query, {}).setdefault(document, int(score)) == score, "twice"
        _same_known(found.qrels.get(split, {}), grades, found.queries, documents)


def _first_text(row: dict[str, Any]) -> Any:
    return row["text"] if row.get("text") is not None else row["content"]


def _is_title(row: dict[str, Any]) -> bool:
    assert row.get("title") is None or isinstance(row["title"], str), "title"
    return True


def _first(row: dict[str, Any], *names: str) -> str:
    return own.plain(next(row[n] for n in names if row.get(n) is not None), names[0])


BEIR = {"corpus.jsonl": "lines", "queries.jsonl": "lines", "qrels/*.tsv": "columns",
        "excluded.tsv": "columns"}  # fmt: skip
READERS = (
    Reader(
        "BEIR folder",
        make_beir,
        BEIR,
        lambda f: read_beir(f, "toy"),
        confirm_collection,
        (
            "read_beir",
            "read_documents",
            "read_queries",
            "read_splits",
            "read_excluded",
            "read_qrels",
            "make_collection",
            "load_collection",
        ),
        share=3,
    ),
    Reader(
        "SOURCE.json",
        make_beir,
        {"SOURCE.json": "json"},
        read_source,
        confirm_source,
        ("read_source",),
    ),
    Reader(
        "BRIGHT rows",
        make_bright,
        {"*.jsonl": "lines", "documents/*": "lines"},
        lambda f: read_bright(f, "bright/toy"),
        confirm_bright,
        ("read_bright", "read_bright_queries", "gather_examples", "load_bright_queries"),
    ),
    Reader(
        "BRIGHT parquet",
        make_parquet,
        {"documents/*": "bytes"},
        lambda f: read_bright(f, "bright/toy"),
        confirm_bright,
        ("gather_documents",),
        apart=True,
    ),
    Reader(
        "hub rows",
        make_rows,
        {"rows.json": "rows"},
        read_hub,
        confirm_hub,
        ("fetch_hub", "gather_queries", "gather_qrels"),
        names_place=False,
    ),
)
