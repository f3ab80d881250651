"""Folders of datasets in the two layouts that the project reads, as their authors publish them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cli import DOCS, QRELS, QUERIES

Rows = Sequence[Mapping[str, Any]]


def write_dataset(folder: Path, configs: Mapping[str, Mapping[str, Rows]]) -> Path:
    """Write config -> split -> rows as parquet files with the README that names them."""
    import pyarrow
    from pyarrow import parquet

    described = []
    for config, splits in configs.items():
        (folder / config).mkdir(parents=True, exist_ok=True)
        for split, rows in splits.items():
            table = pyarrow.Table.from_pylist(list(rows))
            parquet.write_table(table, folder / config / f"{split}-00000-of-00001.parquet")
        files = [{"split": split, "path": f"{config}/{split}-*"} for split in splits]
        described.append({"config_name": config, "data_files": files})
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(described)}\n---\n# A dataset\n")
    return folder


def write_mteb(
    folder: Path, documents: Rows, queries: Rows, qrels: Mapping[str, Rows] | Rows
) -> Path:
    """A collection as mteb/<name> has it: documents (_id, title, text), queries (_id, text).

    Judgements (query-id, corpus-id, score) are those of the split test or split -> judgements.
    """
    splits = qrels if isinstance(qrels, Mapping) else {"test": qrels}
    corpora = {"corpus": {"corpus": documents}, "queries": {"queries": queries}}
    return write_dataset(folder, {**corpora, "default": splits})


def write_bright(folder: Path, subsets: Mapping[str, tuple[Rows, Rows]]) -> Path:
    """xlangai/BRIGHT: subset -> documents (id, content), examples (query, id, *_ids, ...)."""
    documents = {subset: rows for subset, (rows, _) in subsets.items()}
    examples = {subset: rows for subset, (_, rows) in subsets.items()}
    return write_dataset(folder, {"documents": documents, "examples": examples})


REVISION = "0123456789abcdef0123456789abcdef01234567"


def write_tiny(folder: Path, text: str = "") -> Path:
    """The collection of tests.cli in mteb's layout, `text` added to every document."""
    documents = [row | {"text": row["text"] + text} for row in DOCS]
    qrels = [{"query-id": q, "corpus-id": d, "score": s} for q, d, s in QRELS]
    return write_mteb(folder, documents, QUERIES, qrels)


def write_weights(folder: Path, size: int = 30_000) -> Path:
    """A repository as a model's: weights of `size` bytes, which no model could have, and config."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(size))
    (folder / "config.json").write_text('{"model_type": "none"}\n')
    (folder / "pytorch_model.bin").write_bytes(b"a pickle that nobody asks for")
    return folder
