"""Rewrite queries: `python -m ir_replications.tongsearch_qr.rewriting.rewrite --help`."""

from __future__ import annotations

if __name__ == "__main__":  # before what takes seconds to import: a signal must find its handler
    from ir_replications.engine.start import start

    start("ir_replications.tongsearch_qr.rewriting.rewrite:main")

import hashlib
import json
from pathlib import Path
from typing import Any

import click

from ir_replications.engine.door import HELP, OUTPUT_FILE, USER_PATH, Door, tell
from ir_replications.shared.data import load_bright_queries, load_collection
from ir_replications.shared.data.lines import json_lines
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_id, check_text
from ir_replications.shared.files import atomic_write
from ir_replications.shared.models.generation import Sampling
from ir_replications.shared.reading import read_json, user_path
from ir_replications.tongsearch_qr.method.prompts import VARIANTS
from ir_replications.tongsearch_qr.rewriting.reasoned_files import write_reasoned
from ir_replications.tongsearch_qr.rewriting.rewriter import (
    BACKENDS,
    RELEASED,
    Rewritten,
    make_rewriter,
)


def read_queries(
    source: str, split: str | None = None, data_root: Path | None = None
) -> dict[str, str]:
    """Read `{query id: text}` from a JSON Lines file ({"_id", "text"}) or of a collection.

    BRIGHT's queries are read without its corpus; of other collections, those with judgements in
    `split` (by default the collection's own).
    """
    path = user_path(source)
    if path.exists() and not path.is_dir():  # a file or a pipe
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
    if source.startswith("bright/"):
        return load_bright_queries(source.removeprefix("bright/"), data_root).queries
    collection = load_collection(source, data_root=data_root)
    split = split or collection.default_split
    if split not in collection.qrels:
        raise InputError(
            f"{source} has no split {split!r}; its splits are: {', '.join(collection.qrels)}"
        )
    return collection.topics(split)


@click.command(cls=Door, context_settings=HELP)
@click.option("--model", required=True, help="Model reference: embedded:, hub:, or a folder.")
@click.option("--adapter", type=USER_PATH, help="Folder of a LoRA adapter.")
@click.option("--queries", required=True, help="JSON Lines file or id of a collection.")
@click.option("--split", help="Split of the collection whose queries to rewrite.")
@click.option("--out", required=True, type=OUTPUT_FILE)
@click.option("--prompt", default="inference", type=click.Choice(VARIANTS), show_default=True)
@click.option("--think", is_flag=True, help="Ask for <think> and <answer> tags.")
@click.option(
    "--max-new-tokens", type=click.IntRange(1), default=RELEASED.max_new_tokens, show_default=True
)
@click.option("--temperature", default=RELEASED.temperature, show_default=True)
@click.option("--top-p", default=RELEASED.top_p, show_default=True)
@click.option("--top-k", default=RELEASED.top_k, show_default=True)
@click.option("--repetition-penalty", default=RELEASED.repetition_penalty, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--backend", default="transformers", type=click.Choice(BACKENDS), show_default=True)
@click.option("--dtype", help="float32 (transformers), bfloat16 (vllm) unless given.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True)
@click.option("--cache", type=USER_PATH, help="File of texts, to resume from.")
@click.option("--data-root", type=USER_PATH, help="Folder of collections.")
def main(out: Path, queries: str, split: str | None, data_root: Path | None, **o: Any) -> None:
    """Write a reasoned query for every query to OUT; a killed run goes on when run again."""
    texts = read_queries(queries, split, data_root)
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
    content = json.dumps(texts, sort_keys=True).encode()
    config = {
        **rewriter.config(),
        "model": o["model"],
        "queries_sha256": hashlib.sha256(content).hexdigest(),
    }
    if finished(out, config):
        tell(f"{out}: already finished")
        return
    done = rewriter.rewrite(texts)
    finish(out, done, config)
    tell(f"{out}: " + ", ".join(f"{name} {value}" for name, value in done.counts.items()))


def about(out: Path) -> Path:
    """The file beside an output that says what it was made from and what was counted."""
    return out.with_name(f"{out.name}.about")


def finished(out: Path, config: dict[str, Any]) -> bool:
    """Whether `out` is already there, of this very config; of any other it is an InputError."""
    if not out.exists():
        return False
    try:
        there = read_json(about(out))["config"]
    except (InputError, KeyError, TypeError):
        there = None
    if not isinstance(there, dict):
        raise InputError(f"{out}: exists, and {about(out).name} does not say what it is; move it")
    changed = [key for key in {**there, **config} if there.get(key) != config.get(key)]
    changed = [key for key in changed if key != "model"]  # a name; the weights have their sha256
    if changed:
        raise InputError(
            f"{out}: holds a finished output with another {', '.join(changed)}; give another --out "
            "or move it"
        )
    return True


def finish(out: Path, done: Rewritten, config: dict[str, Any]) -> None:
    """Write the output and what it is; the output last, since it says that all is there."""
    with atomic_write(about(out)) as handle:
        handle.write(json.dumps({"config": config, "counts": done.counts}, indent=1) + "\n")
    write_reasoned(out, done.texts)
