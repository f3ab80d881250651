"""Files of reasoned queries: one per query id, as JSON Lines or as a map keyed by query text."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path

from ir_replications.shared.data.lines import files_of, json_lines, numbered_lines, only_file
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_id, check_text
from ir_replications.shared.files import atomic_write
from ir_replications.shared.reading import parse_json, user_path

PROXY = "derived/bright-goldanswer"  # its query ids are "<BRIGHT subset>/<id>#q"


def read_reasoned(
    path: Path | str, queries: Mapping[str, str], name: str | None = None
) -> dict[str, str]:
    """Read the reasoned query of each of `queries`, `{query id: text}`, in their order.

    `path` is a file or a folder, and in a folder `name` chooses `<name>.jsonl` or `<name>.json`,
    which it needs when there are several. A .jsonl[.gz] file has lines {"_id": ..., "text": ...};
    a .json[.gz] file is one object that maps the original text of a query to the reasoned one, as
    the paper's code writes it. Entries for other queries are ignored. Raises InputError with the
    place for anything malformed, empty or double, and one that names the queries that are missing.
    """
    file = _find(user_path(path), name)
    if file.name.endswith((".json", ".json.gz")):
        by_text = _read_map(file)
        found = {qid: by_text[text] for qid, text in queries.items() if text in by_text}
    else:
        by_id = _read_lines(file)
        found = {qid: by_id[qid] for qid in queries if qid in by_id}
    _check_complete(queries, found, file)
    return found


def write_reasoned(path: Path | str, reasoned: Mapping[str, str]) -> Path:
    """Write `{query id: reasoned query}` as JSON Lines that `read_reasoned` reads; return path.

    The file (gzip when its name ends in .gz) appears whole or not at all. Raises InputError for
    an id or a text that a reader would refuse, empty ones among them, and when the disk refuses.
    """
    path = user_path(path)
    for qid, text in reasoned.items():
        check_id(qid, f"query id {str(qid)[:60]!r}")
        if not check_text(text, f"the reasoned query of {qid!r}").strip():
            raise InputError(f"query {qid!r}: the reasoned query is empty; write the original one")
    lines = (
        json.dumps({"_id": qid, "text": text}, ensure_ascii=False) + "\n"
        for qid, text in reasoned.items()
    )
    if path.suffix == ".gz":
        with atomic_write(path, "wb") as handle:
            handle.write(gzip.compress("".join(lines).encode("utf-8"), mtime=0))
    else:
        with atomic_write(path) as handle:
            handle.writelines(lines)
    return path


def read_released(
    collection: str,
    queries: Mapping[str, str],
    name: str,
    data_root: Path | str | None = None,
) -> dict[str, str]:
    """Read the reasoned queries that the authors released, for the queries of a collection.

    `collection` is "bright/<subset>" or the gold-answer proxy made of seven of them, `name` the
    file's, such as "tongsearch-qr-7b"; files lie at `<data root>/bright/<subset>/reasoned/`.
    """
    root = find_data_root(data_root)
    if root is None:
        raise InputError(
            "the released reasoned queries need a data root that holds bright/<subset>/reasoned; "
            "set IR_REPLICATIONS_DATA"
        )
    if collection != PROXY:
        return read_reasoned(root / collection / "reasoned", queries, name)
    own: dict[str, dict[str, str]] = {}  # subset -> id in BRIGHT -> id in the proxy
    for qid in queries:
        subset, slash, rest = qid.removesuffix("#q").partition("/")
        if not slash:
            raise InputError(f"query id {qid!r} of {PROXY}: expected <BRIGHT subset>/<id>#q")
        own.setdefault(subset, {})[rest] = qid
    found: dict[str, str] = {}
    for subset, ids in own.items():
        texts = {rest: queries[qid] for rest, qid in ids.items()}
        reasoned = read_reasoned(root / "bright" / subset / "reasoned", texts, name)
        found |= {ids[rest]: text for rest, text in reasoned.items()}
    return {qid: found[qid] for qid in queries}


def _find(path: Path, name: str | None) -> Path:
    """The file that `path` (and in a folder, `name`) stands for."""
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder; expected reasoned queries there")
    if not os.path.isdir(path):
        return path
    if name is not None:
        chosen = [only_file(path, f"{name}.jsonl"), only_file(path, f"{name}.json")]
        files = [file for file in chosen if file]
    else:
        files = files_of(path, ".jsonl", ".jsonl.gz", ".json", ".json.gz")
    if len(files) == 1:
        return files[0]
    wanted = f"{name}.jsonl" if name is not None else "one .jsonl or .json file"
    there = ", ".join(file.name for file in files_of(path, "")[:5]) or "nothing"
    raise InputError(f"{path}: expected {wanted}, found {there}; give the path of the file")


def _read_lines(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line, record in json_lines(path):
        where = f"{path}:{line}"
        key = check_id(record.get("_id"), '"_id"', where)
        text = check_text(record.get("text"), '"text"', where)
        if not text.strip():
            raise InputError(f"{where}: the reasoned query is empty; put the original query there")
        if key in texts:
            raise InputError(f"{where}: duplicate query id {key!r}; keep one of the two")
        texts[key] = text
    return texts


def _read_map(path: Path) -> dict[str, str]:
    lines = dict(numbered_lines(path))  # blank lines are left out: put them back, for the numbers
    content = "\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1))

    texts = parse_json(content, str(path), repeats=True)
    if not isinstance(texts, dict):
        raise InputError(f"{path}: expected one JSON object that maps query texts to reasoned ones")
    for key, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{path}: the reasoned query of {key[:40]!r} is empty or not a text")
    return texts


def _check_complete(queries: Mapping[str, str], found: Mapping[str, str], file: Path) -> None:
    missing = [qid for qid in queries if qid not in found]
    if missing:
        shown = ", ".join(map(repr, missing[:3])) + (", ..." if len(missing) > 3 else "")
        raise InputError(
            f"{file}: no reasoned query for {len(missing)} of {len(queries)} queries: {shown}; "
            "rewrite them and add the lines"
        )
