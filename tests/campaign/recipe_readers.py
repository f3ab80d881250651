"""Readers of recipes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

import ir_replications.bert_distill_losses.training.recipe as bert
import ir_replications.prorank.training.recipe as prorank
import ir_replications.tongsearch_qr.training.recipe as tongsearch
from ir_replications.engine.registry import PAPERS_FOLDER
from tests.campaign import independent as own
from tests.campaign.campaign import Reader


def recipe_reader(paper: str, load: Callable[[str], Any]) -> Reader:
    shipped = PAPERS_FOLDER / paper / "training" / "recipes" / "embedded.yaml"

    def make(folder: Path) -> None:
        (folder / "r.yaml").write_bytes(shipped.read_bytes())

    return Reader(f"recipe of {paper}", make, {"r.yaml": "settings"},
                  lambda f: load(str(f / "r.yaml")), confirm_recipe,
                  ("load_recipe", "read_recipe"), share=1.5)  # fmt: skip


def confirm_recipe(folder: Path, recipe: Any) -> None:
    text = own.text_of(folder / "r.yaml")
    _same_settings(recipe, _settings(yaml.compose(text, Loader=yaml.SafeLoader)), "recipe")


def _settings(node: Any, depth: int = 0) -> Any:
    """Texts as they are written, in lists and mappings of distinct keys."""
    assert depth < 20, "nested"
    if isinstance(node, yaml.MappingNode):
        pairs = [(key.value, _settings(value, depth + 1)) for key, value in node.value]
        return own.distinct(pairs, "key")
    if isinstance(node, yaml.SequenceNode):
        return [_settings(value, depth + 1) for value in node.value]
    assert node.tag.startswith("tag:yaml.org,2002:"), f"tag {node.tag}"
    return (node.value, node.style)


def _same_settings(found: Any, stated: Any, name: str) -> None:
    if is_dataclass(found):
        assert isinstance(stated, dict), f"{name} is no mapping"
        known = {f.name for f in fields(found)}
        assert set(stated) <= known, f"unknown: {sorted(set(stated) - known)[:3]}"
        for key, value in stated.items():
            _same_settings(getattr(found, key), value, f"{name}.{key}")
    elif isinstance(found, list | tuple):
        items = stated if isinstance(stated, list) else [stated]
        assert len(items) == len(found), f"{name}: {len(items)} entries"
        for item, value in zip(found, items, strict=True):
            _same_settings(item, value, name)
    else:
        assert isinstance(stated, tuple), f"{name} is no single value"
        text, style = stated
        quoted = style in ("'", '"')
        if found is None:
            assert text in ("", "~", "null", "Null", "NULL") and not quoted, f"{name}: {text!r:.40}"
        elif isinstance(found, bool):
            assert text.lower() in ("true", "false") and not quoted, f"{name}: {text!r:.40}"
            assert found == (text.lower() == "true"), name
        elif isinstance(found, int | float):
            assert own.SCORE.fullmatch(text), f"{name}: {text!r:.40} is no number"
            assert float(text) == own.finite(found, name, least=0), f"{name}: {text!r:.40}"
            assert isinstance(found, float) or re.fullmatch(r"\+?(0|[1-9][0-9]*)", text), text[:40]
        else:
            assert found == text, f"{name}: {text!r:.40}"


READERS = (
    recipe_reader("bert_distill_losses", bert.load_recipe),
    recipe_reader("prorank", prorank.load_recipe),
    recipe_reader("tongsearch_qr", tongsearch.load_recipe),
)
