"""Readings that share no code with the suite: the standard library's parsers, in strict form."""

from __future__ import annotations

import csv
import gzip
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

GRADE = re.compile(r"[+-]?[0-9]{1,18}([.]0*)?", re.ASCII)
SCORE = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def text_of(path: Path) -> str:
    """The text of a plain or gzip file: UTF-8, a byte order mark at its start alone."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    text = content.decode("utf-8").removeprefix("\ufeff")
    assert "\n\ufeff" not in text, "a byte order mark within the file"
    return text


def lines_of(path: Path) -> list[str]:
    """The lines of `text_of` that are not blank, without their ends."""
    lines = [line.rstrip("\r") for line in text_of(path).split("\n")]
    return [line for line in lines if line.strip()]


def json_of(text: str) -> Any:
    """The value of a JSON text: no key twice, no NaN, no half characters, no endless numbers."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs), "a key is given twice"
        return dict(pairs)

    def never(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    value = json.loads(text, object_pairs_hook=once, parse_constant=never)
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def objects_of(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    found = [json_of(line) for line in lines_of(path)]
    assert all(isinstance(each, dict) for each in found), "a line is no object"
    return found


def plain(value: Any, what: str) -> str:
    """A text as an id: whole numbers count as their digits; no blank ends, nothing that acts."""
    if type(value) is int and abs(value) < 2**63:
        value = str(value)
    assert type(value) is str and value, f"{what} {value!r:.60} is no id"
    assert value == value.strip(), f"{what} {value!r:.60} has blanks at an end"
    acting = [c for c in value if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not acting and "\ufeff" not in value, f"{what} {value!r:.60} holds control characters"
    return value


def text(value: Any, what: str) -> str:
    assert type(value) is str, f"{what} {value!r:.60} is no text"
    return value


def grade(word: str) -> int:
    assert GRADE.fullmatch(word), f"grade {word!r:.60} is no whole number"
    found = int(float(word)) if "." in word else int(word)
    assert abs(found) <= 1000, f"grade {found}"
    return found


def once(pairs: list[tuple[Any, Any]], what: str) -> dict[Any, Any]:
    """A mapping; the same key again has to have the same value."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        assert found.setdefault(key, value) == value, f"{what} {key!r} comes twice, and differs"
    return found


def distinct(pairs: list[tuple[Any, Any]], what: str) -> dict[Any, Any]:
    """A mapping; no key comes twice."""
    assert len({key for key, _ in pairs}) == len(pairs), f"a {what} comes twice"
    return dict(pairs)


def qrels_of(path: Path, *, empty: bool = False) -> dict[str, dict[str, int]]:
    """Judgements as BEIR's loader reads them (csv, tabs, a header), or as trec_eval does."""
    lines = lines_of(path)
    first = next(line for line in lines if not line.startswith("#") or line.count("\t") == 2)
    if path.suffix == ".tsv" and first.split() and not GRADE.fullmatch(first.split()[-1]):
        # BEIR's loader skips the first line, whatever it says.
        lines = lines[lines.index(first) + 1 :]
        first = lines[0] if lines else "\t\t"
    beir = first.count("\t") == 2
    rows: list[tuple[str, str, int]] = []
    if beir:
        table = list(csv.reader(lines, delimiter="\t", strict=True))
        assert all(len(row) == 3 for row in table), "a row has not three columns"
        assert len(table) == len(lines), "a row goes on over lines"
        if table and not GRADE.fullmatch(table[0][2].strip(" \t")):
            table = table[1:]
        rows = [(q, d, grade(g.strip(" \t"))) for q, d, g in table]
    else:
        parts = [line.encode().split() for line in lines if not line.startswith("#")]
        if len(parts[0]) == 3:
            rows = [(q.decode(), d.decode(), grade(g.decode())) for q, d, g in parts]
        else:
            rows = [(q.decode(), d.decode(), grade(g.decode())) for q, _, d, g in parts]
    pairs = [((plain(q, "query"), plain(d, "document")), g) for q, d, g in rows]
    found: dict[str, dict[str, int]] = {}
    for (q, d), g in once(pairs, "judgement").items():
        found.setdefault(q, {})[d] = g
    assert found or empty, "no judgement"
    return found


def run_of(path: Path) -> dict[str, list[tuple[str, float]]]:
    """A run as trec_eval reads it: six columns between ASCII blanks, the order by score."""
    pairs = []
    for line in lines_of(path):
        if line.startswith("#"):
            continue
        qid, _, docid, rank, score, _ = (part.decode() for part in line.encode().split())
        assert re.fullmatch(r"[+-]?[0-9]+", rank, re.ASCII), f"rank {rank!r}"
        assert SCORE.fullmatch(score) and abs(float(score)) < float("inf"), f"score {score!r:.60}"
        pairs.append(((plain(qid, "query"), plain(docid, "document")), float(score)))
    results: dict[str, list[tuple[str, float]]] = {}
    for (qid, docid), score in distinct(pairs, "document of a query").items():
        results.setdefault(qid, []).append((docid, score))
    return {q: sorted(found, key=lambda pair: (-pair[1], pair[0])) for q, found in results.items()}


def corpus_of(path: Path) -> dict[str, tuple[str, str]]:
    """Documents of a corpus.jsonl: id -> (title or "", text)."""
    return distinct(
        [
            (
                plain(r["_id"], "document"),
                (text(r.get("title") or "", "title"), text(r["text"], "text")),
            )
            for r in objects_of(path)
            if _no_title_but_text(r)
        ],
        "document",
    )


def _no_title_but_text(record: dict[str, Any]) -> bool:
    title = record.get("title")
    assert title is None or type(title) is str, f"title {title!r:.40}"
    return True


def queries_of(path: Path) -> dict[str, str]:
    """Queries of a queries.jsonl: id -> text."""
    rows = objects_of(path)
    return distinct([(plain(r["_id"], "query"), text(r["text"], "text")) for r in rows], "query")


def finite(value: Any, what: str, least: float = float("-inf")) -> float:
    """A JSON number (no bool), finite and not below `least`."""
    assert type(value) in (int, float), f"{what} {value!r:.60} is no number"
    assert abs(value) < float("inf") and value >= least, f"{what} {value!r:.60}"
    return float(value)


def whole(value: Any, what: str, least: int = -(2**63)) -> int:
    assert type(value) is int and least <= value < 2**63, f"{what} {value!r:.60}"
    return value
