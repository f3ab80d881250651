"""`replicate rewrite`: queries as a language model writes them anew, for retrieval."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ir_replications.engine.commands.options import data_root_option, json_option, show_json
from ir_replications.engine.door import USER_PATH, tell
from ir_replications.shared.data import (
    Collection,
    load_bright_queries,
    load_collection,
    make_collection,
    write_beir,
)
from ir_replications.shared.data.beir import read_queries
from ir_replications.shared.data.lines import json_lines
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_id, check_text
from ir_replications.shared.files import atomic_write, scratch_folder
from ir_replications.shared.models.generation import Sampling
from ir_replications.shared.progress import progress
from ir_replications.shared.reading import read_json, user_path
from ir_replications.tongsearch_qr.method.prompts import VARIANTS
from ir_replications.tongsearch_qr.rewriting.rewriter import (
    BACKENDS,
    MODES,
    RELEASED,
    Rewritten,
    combine,
    make_rewriter,
)

ABOUT = "about.json"  # in a folder; beside a file: its name and .about


@dataclass(frozen=True)
class Asked:
    """Queries `{id: text}`; their collection and split where they are of one that was read."""

    queries: dict[str, str]
    collection: Collection | None = None
    split: str = ""


def read_asked(source: str, split: str | None = None, data_root: Path | None = None) -> Asked:
    """The queries of a JSON Lines file ({"_id", "text"}), a BEIR folder or a collection.

    BRIGHT's are read without its corpus, and so are those of a folder without judgements, all of
    them; of other collections, those with judgements in `split` (by default the collection's own).
    """
    path = user_path(source)
    if path.exists() and not path.is_dir():  # a file or a pipe
        return Asked(_read_file(path))
    if source.endswith((".jsonl", ".jsonl.gz")) and not path.exists():
        raise InputError(f'{path}: no such file; expected queries, {{"_id", "text"}} a line')
    if path.is_dir() and split is None and not (path / "qrels").exists():
        return Asked(read_queries(path))
    if source.startswith("bright/"):
        return Asked(load_bright_queries(source.removeprefix("bright/"), data_root).queries)
    collection = load_collection(source, data_root=data_root)
    split = split or collection.default_split
    return Asked(collection.topics(split), collection, split)


def _read_file(path: Path) -> dict[str, str]:
    queries: dict[str, str] = {}
    for line, record in json_lines(path):
        where = f"{path}:{line}"
        qid = check_id(record.get("_id"), '"_id"', where)
        text = check_text(record.get("text"), '"text"', where)
        if qid in queries:
            raise InputError(f"{path}:{line}: duplicate query id {qid!r}; keep one of the two")
        queries[qid] = text
    if not queries:
        raise InputError(f"{path}:1: the file is empty; expected one query per line")
    return queries


@click.command("rewrite")
@click.argument("queries")
@click.option("--model", required=True, help="A folder, hub:<name>@<commit> or embedded:<name>.")
@click.option("--adapter", type=USER_PATH, help="Folder of a LoRA adapter trained from MODEL.")
@click.option("--split", help="Judgements whose queries to rewrite; default: the collection's own.")
@click.option(
    "--output", required=True, type=USER_PATH,
    help="A .jsonl[.gz] file, or a folder: the collection with the new queries.",
)  # fmt: skip
@click.option(
    "--mode", default=MODES[0], type=click.Choice(MODES), show_default=True,
    help="Instead of the query, as the paper does, or after it.",
)  # fmt: skip
@click.option("--prompt", default="inference", type=click.Choice(VARIANTS), show_default=True)
@click.option("--think", is_flag=True, help="Ask for <think> and <answer> tags.")
@click.option(
    "--max-new-tokens", type=click.IntRange(1), default=RELEASED.max_new_tokens, show_default=True
)
@click.option(
    "--temperature", default=RELEASED.temperature, show_default=True,
    help="0 takes the likeliest token.",
)  # fmt: skip
@click.option("--top-p", default=RELEASED.top_p, show_default=True)
@click.option("--top-k", default=RELEASED.top_k, show_default=True)
@click.option("--repetition-penalty", default=RELEASED.repetition_penalty, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--backend", default="transformers", type=click.Choice(BACKENDS), show_default=True)
@click.option("--dtype", help="float32 (transformers), bfloat16 (vllm) unless given.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True)
@click.option("--cache", type=USER_PATH, help="File of texts, to resume from.")
@data_root_option
@json_option
def rewrite_command(
    queries: str,
    output: Path,
    split: str | None,
    mode: str,
    data_root: Path | None,
    as_json: bool,
    **o: Any,
) -> None:
    """Have a model write QUERIES anew: a queries.jsonl file, a BEIR folder or a collection id.

    Each line of the output has the new text, and under "metadata" the original one. A killed run
    goes on when it is run again; a finished output is never written over.
    """
    if o["cache"] is not None and os.path.realpath(o["cache"]) == os.path.realpath(output):
        raise InputError(f"{output}: is named as the cache too; name another file for one of them")
    asked = read_asked(queries, split, data_root)
    if not _is_file(output) and asked.collection is None:
        raise InputError(
            f"{output}: {queries} is no collection with judgements that could be written there; "
            "name a file, as queries.jsonl"
        )
    names = ("max_new_tokens", "temperature", "top_p", "seed", "top_k", "repetition_penalty")
    rewriter = make_rewriter(
        o["model"],
        adapter=o["adapter"],
        cache=o["cache"],
        backend=o["backend"],
        dtype=o["dtype"],
        device=o["device"],
        prompt=o["prompt"],
        think=o["think"],
        sampling=Sampling(**{name: o[name] for name in names}),
        batch_size=o["batch_size"],
    )
    config = {
        **rewriter.config(),
        "model": o["model"],
        "mode": mode,
        "queries_sha256": _sha256(asked.queries),
    }
    counts = finished(output, config)
    if counts is None:
        with progress(len(set(asked.queries.values())), "queries", o["model"]) as follower:
            done = rewriter.rewrite(asked.queries, lambda kept: follower.advance(kept=kept))
        counts = done.counts
        finish(output, asked, done, mode, config)
    elif not as_json:
        tell(f"{output}: already finished")
        return
    if as_json:
        show_json({"output": str(output), "counts": counts})
    else:
        tell(_told(output, counts))


def _sha256(queries: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(queries), sort_keys=True).encode()).hexdigest()


def _told(output: Path, counts: Mapping[str, int]) -> str:
    """What was done, in a sentence."""
    stayed = counts["empty"] + counts["no_tags"]
    parts = [f"{output}: {counts['queries'] - stayed:,} of {counts['queries']:,} queries rewritten"]
    for number, what in (
        (counts["generated"], "texts made now"),
        (stayed, "left as they are: the model wrote nothing for them"),
        (counts["repeats_prompt"], "repeat the instructions or the question"),
        (counts["truncated_questions"], "cut to the model's context before they were read"),
    ):
        if number or what == "texts made now":
            parts.append(f"{number:,} {what}")
    return "; ".join(parts)


def _is_file(output: Path) -> bool:
    return output.name.endswith((".jsonl", ".jsonl.gz"))


def about(output: Path) -> Path:
    """The file that says what an output was made from, and what was counted."""
    return output.with_name(f"{output.name}.about") if _is_file(output) else output / ABOUT


def finished(output: Path, config: Mapping[str, Any]) -> dict[str, int] | None:
    """The counts of `output` where it is there, of this very config; None: there is none.

    InputError for one of another config, and for something else.
    """
    if not os.path.lexists(output):
        return None
    try:
        told = read_json(about(output))
        there, counts = told["config"], told["counts"]
    except (InputError, KeyError, TypeError):
        there = counts = None
    if not isinstance(there, dict) or not isinstance(counts, dict):
        raise InputError(f"{output}: exists, and {about(output).name} does not say what it is; "
                         "move it")  # fmt: skip
    changed = [key for key in {**there, **config} if there.get(key) != config.get(key)]
    changed = [key for key in changed if key != "model"]  # a name; the weights have their sha256
    if changed:
        raise InputError(
            f"{output}: holds a finished output with another {', '.join(changed)}; give another "
            "--output or move it"
        )
    return counts


def finish(
    output: Path, asked: Asked, done: Rewritten, mode: str, config: Mapping[str, Any]
) -> None:
    """Write the output and what it is; it appears last, since it says that all is there."""
    texts = {
        qid: text if qid in done.failed else combine(text, done.texts[qid], mode)
        for qid, text in asked.queries.items()
    }
    told = json.dumps({"config": dict(config), "counts": done.counts}, indent=1) + "\n"
    if _is_file(output):
        with atomic_write(about(output)) as handle:
            handle.write(told)
        _write_queries(output, asked, texts, done)
        return
    assert asked.collection is not None
    made = _with_queries(asked.collection, asked.split, texts)
    try:
        with scratch_folder(output) as scratch:
            folder = write_beir(made, scratch / "collection")
            _write_queries(folder / "queries.jsonl", asked, texts, done)
            with atomic_write(folder / ABOUT) as handle:
                handle.write(told)
            os.replace(folder, output)
    except OSError as error:
        raise InputError(f"{output}: not written ({error.strerror or error})") from error


def _write_queries(path: Path, asked: Asked, texts: Mapping[str, str], done: Rewritten) -> None:
    """Queries as BEIR has them, the originals under "metadata"."""

    def lines() -> Iterator[str]:
        for qid, text in texts.items():
            changes = {"original": asked.queries[qid], "rewritten": qid not in done.failed}
            record = {"_id": qid, "text": text, "metadata": changes}
            yield json.dumps(record, ensure_ascii=False) + "\n"

    if path.suffix == ".gz":
        import gzip

        with atomic_write(path, "wb") as handle:
            handle.write(gzip.compress("".join(lines()).encode("utf-8"), mtime=0))
        return
    with atomic_write(path) as handle:
        handle.writelines(lines())


def _with_queries(collection: Collection, split: str, texts: Mapping[str, str]) -> Collection:
    """The collection with these queries and the judgements of the split alone."""
    documents = {
        docid: (title, text)
        for docid, title, text in zip(
            collection.doc_ids, collection.titles, collection.texts, strict=True
        )
    }
    return make_collection(
        collection.id,
        documents,
        texts,
        {split: collection.qrels[split]},
        source=collection.source,
        licence=collection.licence,
        excluded={qid: ids for qid, ids in collection.excluded.items() if qid in texts},
    )
