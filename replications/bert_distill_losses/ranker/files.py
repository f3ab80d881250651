"""Rankers as folders: safetensors, JSON and the tokenizer's files; nothing pickled.

ranker.json          the format, its version, the name of the head, the lengths it was trained at
head.safetensors     the head's weights
encoder/             the encoder and its tokenizer, as shared.models.references reads them
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ir_replications.bert_distill_losses.ranker.model import HEADS, Ranker
from ir_replications.bert_distill_losses.ranker.tokens import TYPES
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import replace_folder, scratch_folder
from ir_replications.shared.models.folder import check_finite, loading
from ir_replications.shared.models.references import load_encoder
from ir_replications.shared.reading import is_whole, read_json, user_path

FORMAT, VERSION = "bert_distill_losses ranker", 1
# How a ranker reads pairs where its folder does not say: the recipes' own.
READS: Mapping[str, Any] = {"query_length": 32, "max_length": 128, "token_types": "zero"}


def save_ranker(ranker: Ranker, folder: Path | str, reads: Mapping[str, Any] | None = None) -> Path:
    """Write the ranker and its tokenizer to `folder`, whole or not at all; return the folder.

    `reads` has the keys of READS: the lengths, in tokens, that it was trained at. An older ranker
    there is replaced. Raises InputError for a folder of something else, a ranker without a
    tokenizer, and a place that cannot be written.
    """
    from safetensors.torch import save_file
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    folder = user_path(folder)
    if ranker.tokenizer is None:
        raise InputError(f"{folder}: this ranker has no tokenizer to save; build it with one")
    if folder.exists() and not (folder / "ranker.json").is_file() and (
        not folder.is_dir() or any(folder.iterdir())
    ):  # fmt: skip
        raise InputError(f"{folder}: holds something else than a ranker; choose another folder")
    try:
        with scratch_folder(folder) as scratch:
            made = scratch / "ranker"
            made.mkdir()
            ranker.encoder.save_pretrained(str(made / "encoder"))
            ranker.tokenizer.save_pretrained(str(made / "encoder"))
            head = {k: v.detach().cpu().contiguous() for k, v in ranker.head.state_dict().items()}
            save_file(head, made / "head.safetensors")
            stated: dict[str, Any] = {"format": FORMAT, "version": VERSION}
            stated |= {"head": ranker.head_name} | ({"reads": dict(reads)} if reads else {})
            (made / "ranker.json").write_text(json.dumps(stated, indent=1) + "\n", "utf-8")
            replace_folder(made, folder)
    except OSError as error:
        raise InputError(f"{folder}: not written ({error.strerror or error})") from error
    return folder


def load_ranker(folder: Path | str) -> Ranker:
    """The ranker that `save_ranker` wrote, with its tokenizer, in eval mode on the CPU.

    Raises InputError for a folder of something else, another version, and damaged files.
    """
    from safetensors.torch import load_file

    folder = user_path(folder)
    head = read_stated(folder)["head"]
    encoder, tokenizer = load_encoder(str(folder / "encoder"))
    ranker = Ranker(encoder, head, tokenizer)
    weights = folder / "head.safetensors"
    with loading(weights, "not this head's weights"):
        ranker.head.load_state_dict(load_file(weights))
    check_finite(ranker.head.state_dict(), weights)
    return ranker.eval()


def read_stated(folder: Path) -> dict[str, Any]:
    """What ranker.json says: "head", and "reads" (the keys of READS) where it was written.

    Raises InputError for a folder of something else, another version, and what no ranker has.
    """
    path = folder / "ranker.json"
    if not path.is_file():
        raise InputError(f"{folder}: no ranker.json; expected a folder of save_ranker")
    stated = read_json(path)
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        raise InputError(f"{path}: not a ranker's; expected the format {FORMAT!r}")
    version, head = stated.get("version"), stated.get("head")
    if not is_whole(version) or version != VERSION or not isinstance(head, str) or (
        head not in HEADS
    ):  # fmt: skip
        raise InputError(
            f"{path}: version {version!r:.40}, head {head!r:.40}; expected version {VERSION} and "
            f"one of {', '.join(HEADS)}"
        )
    reads = stated.get("reads", dict(READS))
    if not isinstance(reads, dict) or reads.keys() != READS.keys() or (
        not all(is_whole(reads[key], 1) for key in ("query_length", "max_length"))
        or reads["token_types"] not in TYPES
    ):  # fmt: skip
        raise InputError(f"{path}: reads {reads!r:.60}; expected {', '.join(READS)}")
    return stated


def weights_sha256(ranker: Ranker) -> str:
    """Hex sha256 of all weights of encoder and head: names, shapes and bytes."""
    digest = hashlib.sha256()
    for name, values in sorted(ranker.state_dict().items()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        flat = values.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
