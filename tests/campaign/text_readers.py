"""Readers of judgements, runs, pools, questions and reasoned queries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ir_replications.bert_distill_losses.training.own_pairs import read_pairs
from ir_replications.engine.commands.parts.rewrite import read_asked
from ir_replications.shared.data.pools import pool_qrels, pools
from ir_replications.shared.retrieval.runs import read_run
from ir_replications.tongsearch_qr.rewriting.reasoned_files import read_reasoned
from ir_replications.tongsearch_qr.training.qa_files import read_rows
from tests.campaign import independent as own
from tests.campaign.campaign import Reader
from tests.campaign.collection_readers import GRADES, QUERIES, write


def make_trec(folder: Path) -> None:
    lines = [f"{q} 0 {d} {g}" for (q, d), g in GRADES.items()]
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.full.tsv").write_text("\n".join(lines) + "\n")


def make_run(folder: Path) -> None:
    scores = {"q1": {"d1": 2.5, "d2": 1, "d3": -1e-3}, "q2": {"d3": 10, "d1": 9.5}}
    lines = [
        f"{q} Q0 {d} {rank} {score} toy"
        for q, results in scores.items()
        for rank, (d, score) in enumerate(results.items(), 1)
    ]
    (folder / "a.run").write_text("# a comment\n" + "\n".join(lines) + "\n")


def _equal(found: Any, expected: Any) -> None:
    assert found == expected, f"{str(expected)[:150]} and not {str(found)[:150]}"


def make_pools(folder: Path) -> None:
    for name in ("bm25", "dense"):
        write(folder / f"run.{name}.jsonl", *(
            {"qid": q, "candidates": [
                {"docid": d, "rank": n, "score": 3.5 - n} for n, d in enumerate(("d1", "d2"), 1)
            ]} for q in ("q1", "q2")
        ))  # fmt: skip


def confirm_pools(folder: Path, found: Any) -> None:
    paths = [p for p in sorted(folder.glob("[!.]*.jsonl"))]
    assert set(found) == {p.name.split(".")[1] for p in paths}, "other pools"
    for path in paths:
        rows = own.distinct(
            [(own.plain(r["qid"], "query"), r["candidates"]) for r in own.objects_of(path)], "query"
        )
        run = found[path.name.split(".")[1]]
        assert list(run) == list(rows), "other queries"
        for qid, candidates in rows.items():
            ids = [own.plain(c["docid"], "document") for c in candidates]
            scores = [own.finite(c["score"], "score") for c in candidates]
            ranks = [own.whole(c["rank"], "rank") for c in candidates]
            assert ranks == list(range(1, len(ids) + 1)) and len(set(ids)) == len(ids), "ranks"
            assert scores == sorted(scores, reverse=True), "scores that rise"
            assert [d for d, _ in run[qid]] == ids, "other candidates"
            for (_, score), stored in zip(run[qid], scores, strict=True):
                assert abs(score - stored) <= 1e-9 * max(1.0, abs(stored)), "other scores"


def make_exchange(folder: Path) -> None:
    write(folder / "a.jsonl", *(
        {"site": "physics", "id": number, "title": f"Why {number}?", "body": "Please explain.",
         "answers": [{"text": "Because.", "score": 3, "accepted": False},
                     {"text": "Since it is so.", "score": 2.5, "accepted": number % 2 == 0}]}
        for number in range(1, 5)
    ))  # fmt: skip


def confirm_exchange(folder: Path, found: Any) -> None:
    expected = {}
    for row in own.objects_of(folder / "a.jsonl"):
        site, number = own.plain(row["site"], "site"), own.plain(row["id"], "id")
        title, body, answers = row.get("title"), row.get("body"), row.get("answers")
        assert all(part is None or type(part) is str for part in (title, body)), "title or body"
        assert answers is None or type(answers) is list, "answers"
        for answer in answers or []:
            own.text(answer["text"], "answer")
            assert type(answer.get("accepted")) in (bool, type(None)), "accepted"
            if answer.get("score") is not None:
                own.finite(answer["score"], "score")
        told = [a for a in answers or [] if a["text"].strip()]
        best = sorted(told, key=lambda a: (not a.get("accepted"), -(a.get("score") or 0)))[:1]
        key = f"{site}-{number}"
        assert key not in expected, "a question twice"
        expected[key] = tuple(a["text"] for a in best)
    assert all(expected[row.id] == row.positives for row in found.rows), "other answers"


def make_reasoned(folder: Path) -> None:
    write(folder / "a.jsonl", *({"_id": q, "text": f"think: {t}"} for q, t in QUERIES.items()))


def confirm_reasoned(folder: Path, found: dict[str, str]) -> None:
    rows = [(own.plain(r["_id"], "id"), own.text(r["text"], "text"))
            for r in own.objects_of(folder / "a.jsonl")]  # fmt: skip
    texts = own.distinct(rows, "query")
    assert all(text.strip() for text in texts.values()), "an empty text"
    _equal(found, {q: texts[q] for q in QUERIES})


def make_map(folder: Path) -> None:
    (folder / "a.json").write_text(
        json.dumps({t: f"think: {t}" for t in QUERIES.values()}, indent=1)
    )


def confirm_map(folder: Path, found: dict[str, str]) -> None:
    pairs = json.loads(own.text_of(folder / "a.json"), object_pairs_hook=lambda p: p)
    texts = own.once([(own.text(k, "key"), own.text(v, "text")) for k, v in pairs], "query")
    assert all(text.strip() for text in texts.values()), "an empty text"
    _equal(found, {q: texts[t] for q, t in QUERIES.items()})


def make_labelled(folder: Path) -> None:
    write(folder / "a.jsonl", *(
        {"query": text, "document": f"about {other}", "label": int(q == other)}
        for q, text in QUERIES.items() for other in QUERIES
    ))  # fmt: skip


def confirm_labelled(folder: Path, found: Any) -> None:
    rows = own.objects_of(folder / "a.jsonl")
    assert rows, "no pair"
    for row, pair in zip(rows, found, strict=True):
        texts = (own.text(row["query"], "query"), own.text(row["document"], "document"))
        assert all(text.strip() for text in texts), "an empty text"
        label = own.whole(row["label"], "label", 0)
        assert label <= 1 and pair == (*texts, label), "another pair"


def make_asked(folder: Path) -> None:
    write(folder / "a.jsonl", *({"_id": q, "text": t} for q, t in QUERIES.items()))


READERS = (
    Reader(
        "labelled pairs",
        make_labelled,
        {"a.jsonl": "lines"},
        lambda f: read_pairs(f / "a.jsonl"),
        confirm_labelled,
        ("read_pairs",),
    ),
    Reader(
        "queries to rewrite",
        make_asked,
        {"a.jsonl": "lines"},
        lambda f: read_asked(str(f / "a.jsonl")).queries,
        lambda f, v: _equal(v, own.queries_of(f / "a.jsonl")),
        ("read_asked",),
    ),
    Reader(
        "TREC qrels",
        make_trec,
        {"qrels/*": "columns"},
        pool_qrels,
        lambda f, v: _equal(v, own.qrels_of(f / "qrels" / "test.full.tsv")),
        ("pool_qrels",),
        share=1.5,
    ),
    Reader(
        "TREC run",
        make_run,
        {"*.run": "columns"},
        lambda f: read_run(f / "a.run"),
        lambda f, v: _equal(v, own.run_of(f / "a.run")),
        ("read_run",),
        share=1.5,
    ),
    Reader("pools", make_pools, {"*.jsonl": "lines"}, pools, confirm_pools, ("pools", "read_pool")),
    Reader(
        "Stack Exchange",
        make_exchange,
        {"a.jsonl": "lines"},
        lambda f: read_rows(f / "a.jsonl"),
        confirm_exchange,
        ("read_rows", "load_rows"),
    ),
    Reader(
        "reasoned lines",
        make_reasoned,
        {"a.jsonl": "lines"},
        lambda f: read_reasoned(f / "a.jsonl", QUERIES),
        confirm_reasoned,
        ("read_reasoned",),
    ),
    Reader(
        "reasoned map",
        make_map,
        {"a.json": "json"},
        lambda f: read_reasoned(f / "a.json", QUERIES),
        confirm_map,
        ("read_released",),
    ),
)
