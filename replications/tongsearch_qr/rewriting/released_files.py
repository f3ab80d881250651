"""Reasoned queries and corrected judgements that others published, from files or by download.

Files that are there come first: `<folder or data root/bright/subset>/reasoned/<name>.jsonl`, or
`<data root>/bright/reasoned/<name>.json` as the authors publish it, one map for all subsets. What
is downloaded comes from a pinned commit and is compared with a checksum of its content.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from ir_replications.shared.data import pinned
from ir_replications.shared.data.bright import load_bright_queries
from ir_replications.shared.data.collection import Collection, Grades, fingerprint
from ir_replications.shared.data.hub import load_rows
from ir_replications.shared.data.lines import only_file
from ir_replications.shared.data.qrels import read_qrels
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.data.rows import numbered
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.fields import check_id, check_text
from ir_replications.shared.files import atomic_write, find_cache_dir
from ir_replications.shared.hub.errors import explain
from ir_replications.shared.reading import parse_json, read_text
from ir_replications.shared.rehearsal import rehearsal
from ir_replications.tongsearch_qr.experiments.bright import STACK_EXCHANGE, SUBSETS
from ir_replications.tongsearch_qr.rewriting.reasoned_files import (
    PROXY,
    read_reasoned,
    read_released,
)

FIXED = "test.fixed"  # the split of the corrected judgements
_RAW = "https://raw.githubusercontent.com"
MIRROR = "IR_REPLICATIONS_GITHUB_RAW"  # the address of a mirror of it, as HF_ENDPOINT is the hub's
_REASONED_AT = (
    "https://raw.githubusercontent.com/bigai-nlco/TongSearch-QR/"
    "67ccb20f288368de4efaaf0f8da45c209c519bba/Evaluation/reasoned_queries"
)
# name -> (file, sha256 of the sorted pairs of query and reasoned query as JSON)
MAPS = {
    "tongsearch-qr-1.5b": (
        "1_5b_reasoned_query.json",
        "7d6037cc9f71882b14c60b0dc09a8981cd3c69c55aa009e9f4bb99250f3ece95",
    ),
    "tongsearch-qr-7b": (
        "7b_reasoned_query.json",
        "e0744fcabce72167212391a5129876dbfda25df52fa348e3368ab80cdcc1efa0",
    ),
}
# Reasoned queries that the benchmark itself publishes: name -> configuration of its hub data set.
HUB = {
    "gpt-4": "gpt4_reason",
    "claude-3-opus": "claude-3-opus_reason",
    "llama3-70b": "llama3-70b_reason",
    "gemini-1.0": "Gemini-1.0_reason",
    "grit": "grit_reason",
}
_FIXED_AT = (
    "https://raw.githubusercontent.com/castorini/anserini-tools/"
    "5b819c1a45c8a0a3ec9426f476694f44a29dfaf3/qrels"
)
# The subsets whose judgements were corrected -> fingerprint of the corrected ones.
CORRECTED = {
    "biology": "f14393e57741fe8ba2590c21f7b611c0f820e05c23bdf9c0175430bd4da88186",
    "earth_science": "fb9be4847010b788acf3db01c493d50aa033594c30b2a25b3f6cd80044de24a5",
    "robotics": "2c60d376d42ba73e5921509fd574dcb184f6b2b6080ceb3ed0cfa2ba18dea5bb",
    "stackoverflow": "58f42a68404a4f7119e2df05ef6aac28a65ebea1563ce72d6e80e90673882a17",
    "sustainable_living": "c5da1563c6a0ed9313cf9a1f5b425b92e6eec45815bcbc772f1c2c68c0d4d97d",
}


def published_queries(
    name: str,
    collection: str,
    queries: Mapping[str, str],
    *,
    folder: Path | None = None,
    data_root: Path | str | None = None,
    download: bool = True,
) -> dict[str, str]:
    """The reasoned query of each of a collection's `queries`, `{query id: text}`.

    `name` is that of a file, of MAPS or of HUB; `folder` is the collection's where the user gave
    one. Raises InputError for a file that is malformed or lacks queries, and
    MissingDependencyError, which costs this cell alone, when there is no file and no download.
    """
    root = find_data_root(data_root)
    if folder and _file(folder / "reasoned", name):
        return read_reasoned(folder / "reasoned", queries, name)
    files = data_root_queries(name, collection, root)
    if root and files == [_name(root, "bright/reasoned", name)]:
        return read_reasoned(root / files[0], queries)
    if root and files:
        return read_released(collection, queries, name, root)
    place = folder or (root or Path("<data root>")) / collection
    remedy = f"put them at {place / 'reasoned' / name}.jsonl"
    if download and name in MAPS:
        return read_reasoned(_fetch_map(name, remedy), queries)
    if download and name in HUB and collection.startswith("bright/"):
        return _fetch_hub(name, collection, queries, remedy)
    raise MissingDependencyError(f"{collection}: no reasoned queries {name!r}; {remedy}")


def data_root_queries(name: str, collection: str, data_root: Path | str | None) -> list[str]:
    """The files, relative to the data root, that hold a collection's reasoned queries there.

    Those of the subset, or of the proxy's seven, else the map of all subsets; none: an empty list.
    """
    root = find_data_root(data_root)
    own = [f"bright/{s}" for s in STACK_EXCHANGE] if collection == PROXY else [collection]
    for folders in ([f"{folder}/reasoned" for folder in own], ["bright/reasoned"]):
        if root and _file(root / folders[0], name):
            return [file for folder in folders if (file := _name(root, folder, name))]
    return []


def data_root_corrections(collection: Collection, data_root: Path | str | None) -> list[str]:
    """The file of the data root that `corrected_qrels` reads apart from the collection."""
    root = find_data_root(data_root)
    if root is None or FIXED in collection.qrels or not collection.id.startswith("bright/"):
        return []
    file = only_file(root / collection.id / "qrels", f"{FIXED}.tsv")
    return [file.relative_to(root).as_posix()] if file else []


def queries_sha256(texts: Mapping[str, str]) -> str:
    """Checksum of queries by id: which texts a number was measured with."""
    return hashlib.sha256(json.dumps(sorted(texts.items())).encode("ascii")).hexdigest()


def corrected_qrels(
    collection: Collection, *, data_root: Path | str | None = None, download: bool = True
) -> Grades | None:
    """The corrected judgements of a BRIGHT subset; None for another collection.

    From the collection, else from the data root, else by download; most subsets have nothing to
    correct. Raises MissingDependencyError when there are some and they cannot be had.
    """
    if FIXED in collection.qrels:
        return collection.qrels[FIXED]
    subset = collection.id.removeprefix("bright/")
    if not collection.id.startswith("bright/") or subset not in SUBSETS:
        return None
    root = find_data_root(data_root)
    if root and (root / "bright" / subset).is_dir():
        parts = load_bright_queries(subset, root)
        if FIXED in parts.qrels:
            return parts.qrels[FIXED]
    if subset not in CORRECTED:
        return collection.qrels["test"]
    name = f"qrels.bright-{subset.replace('_', '-')}.fixed.txt"
    remedy = f"put them at {root or '<data root>'}/bright/{subset}/qrels/{FIXED}.tsv"
    if not download:
        raise MissingDependencyError(f"{collection.id}: no corrected judgements; {remedy}")
    path = _download(f"{_FIXED_AT}/{name}", find_cache_dir() / "bright" / name, remedy)
    grades = read_qrels(path)
    _check(fingerprint((), {}, {FIXED: grades}, {}), CORRECTED[subset], path)
    return grades


def _file(folder: Path, name: str) -> Path | None:
    """`<name>.jsonl` or `<name>.json` of a folder that need not exist, plain or .gz."""
    found = [only_file(folder, f"{name}{end}") for end in (".jsonl", ".json")]
    return next(filter(None, found), None)


def _name(root: Path, folder: str, name: str) -> str | None:
    file = _file(root / folder, name)
    return file.relative_to(root).as_posix() if file else None


def _fetch_map(name: str, remedy: str) -> Path:
    file, sha256 = MAPS[name]
    path = _download(f"{_REASONED_AT}/{file}", find_cache_dir() / "bright" / file, remedy)
    try:
        pairs = sorted(parse_json(read_text(path), str(path), repeats=True).items())
    except (InputError, AttributeError, TypeError):
        pairs = []
    _check(hashlib.sha256(json.dumps(pairs).encode("ascii")).hexdigest(), sha256, path)
    return path


def _fetch_hub(
    name: str, collection: str, queries: Mapping[str, str], remedy: str
) -> dict[str, str]:
    """Reasoned queries of a hub configuration, which holds them as the text of the query."""
    pin, subset = pinned(collection), collection.removeprefix("bright/")
    if pin is None or not pin.hub:
        raise MissingDependencyError(f"{collection}: no reasoned queries {name!r}; {remedy}")
    source = f"{pin.hub}@{pin.revision[:8]} {HUB[name]}"
    try:
        rows = load_rows(pin.hub, HUB[name], pin.revision, subset)[subset]
        found = {
            check_id(row["id"], "query id", where, numbers=True): check_text(
                row["query"], "the reasoned query", where
            )
            for where, row in numbered(rows, source)
        }
    except MissingDependencyError:
        raise
    except Exception as error:  # datasets raises many kinds: connection, file, arrow, value
        reason = str(error) if isinstance(error, InputError) else explain(error)[0]
        raise MissingDependencyError(
            f"{collection}: tried {source} ({reason}); {remedy}"
        ) from error
    missing = [qid for qid in queries if not found.get(qid, "").strip()]
    if missing:
        raise InputError(f"{source}: no reasoned query for {', '.join(missing[:3])}; {remedy}")
    return {qid: found[qid] for qid in queries}


def _download(url: str, path: Path, remedy: str) -> Path:
    """The file of `url` in the cache, downloaded unless it is there, from a mirror if set."""
    if path.is_file():
        return path
    import http.client
    import urllib.request

    if mirror := os.environ.get(MIRROR):
        url = mirror.rstrip("/") + url.removeprefix(_RAW)
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            content = answer.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise MissingDependencyError(f"{url}: not fetched ({_reason(error)}); {remedy}") from error
    with atomic_write(path, "wb") as handle:
        handle.write(content)
    return path


def _check(found: str, expected: str, path: Path) -> None:
    """Refuse and remove a download of other content than the pinned one; a rehearsal keeps it."""
    if found != expected and not rehearsal():
        path.unlink(missing_ok=True)
        raise InputError(
            f"{path}: its content has the sha256 {found}, pinned {expected}; it was removed, "
            "run again to fetch it once more"
        )


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
