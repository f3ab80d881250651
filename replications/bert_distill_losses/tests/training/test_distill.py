"""`distill` and --data: a folder or pairs of one's own, checked before any training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses import distill
from ir_replications.bert_distill_losses.checks.tiny_training import write_recipe
from ir_replications.bert_distill_losses.training import run as training_run
from ir_replications.bert_distill_losses.training.own_pairs import read_pairs, source_of_pairs
from ir_replications.bert_distill_losses.training.recipe import load_recipe
from ir_replications.shared.errors import InputError
from tests.cli import invoked

PAIRS = [
    (f"w{i} w{i + 1}", f"w{i} w{i + 1} w9" if j == 0 else f"w{i} w{j} w{i * j}", int(j == 0))
    for i in range(8)
    for j in range(4)
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    for name in ("RANK", "WORLD_SIZE", "IR_REPLICATIONS_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A tiny recipe; `local/mine` beside it is a BEIR folder with train, dev and test."""
    return write_recipe(tmp_path)


def write_pairs(path: Path, pairs: Sequence[Sequence[Any]] = PAIRS) -> Path:
    keys = ("query", "document", "label")
    lines = [json.dumps(dict(zip(keys, pair, strict=True))) + "\n" for pair in pairs]
    path.write_text("".join(lines))
    return path


def test_pairs_and_a_file_of_them_are_one_training(recipe: Path, tmp_path: Path) -> None:
    student = distill(PAIRS, tmp_path / "run", recipe=str(recipe))
    assert student.reads == {"query_length": 4, "max_length": 16, "token_types": "zero"}
    first, second = (student.score([("w1 w2", "w5 w7"), ("w3", "w4")]) for _ in range(2))
    assert first.tolist() == second.tolist()
    path = write_pairs(tmp_path / "pairs.jsonl")
    assert read_pairs(path) == PAIRS
    again = distill(path, tmp_path / "run", recipe=str(recipe))  # found finished
    assert again.score([("w1 w2", "w5 w7")])[0] == pytest.approx(first[0], abs=1e-6)
    with pytest.raises(InputError, match="holds a run with another"):
        distill(PAIRS[4:], tmp_path / "run", recipe=str(recipe))


def test_a_folder_is_trained_on_and_its_student_reranks(recipe: Path, tmp_path: Path) -> None:
    mine = tmp_path / "local" / "mine"
    student = distill(mine, tmp_path / "run", recipe=str(recipe), arm="A2")
    done = json.loads((tmp_path / "run" / "run.json").read_text())["request"]
    assert (done["arm"]["hard"], "split" in done) == ("hinge", False)
    assert len(student.rerank("w1 w10", ["w1", "w2", "w3"])) == 3
    result = invoked("rerank", "bm25", "--model", tmp_path / "run" / "final", "--collection", mine)
    assert result.exit_code == 0 and "mine test, 6 queries" in result.stdout


def test_the_split_is_chosen_or_asked_for(recipe: Path, tmp_path: Path) -> None:
    mine = tmp_path / "local" / "mine"
    chosen = load_recipe(str(recipe), split="dev")
    assert chosen.request("student")["split"] == "dev"
    assert "split" not in load_recipe(str(recipe)).request("student"), "as it was before"
    (mine / "qrels" / "train.tsv").unlink()
    (mine / "qrels" / "dev.tsv").unlink()
    train = ("train", "bert_distill_losses", recipe, "--arm", "A8", "--data", mine)
    for more in (["--dry-run"], []):
        result = invoked(*train, *more)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == (
            "error: mine: no split 'train' to train on; its splits: test; choose one with --split, "
            "and judge on another\n"
        )
    result = invoked(*train, "--split", "test", "--dry-run")
    assert result.exit_code == 0 and "mine test: 6 queries" in result.stderr


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("a", "b", 1)], "1 queries: none has documents of both labels"),
        ([("a", "b", 1), ("a", "b", 0)], "pair 2: query 'a' has this document with both labels"),
        ([("a", "b", 2)], "the label is 2, expected 1 (relevant) or 0"),
        ([("a", "b", True)], "the label is True, expected 1 (relevant) or 0"),
        ([("a", " ", 1)], "the document is empty, expected a text"),
        ([("a", None, 1)], "the document is NoneType, expected a text"),
    ],
)
def test_pairs_that_cannot_be_trained_on_are_one_line_and_nothing_is_trained(
    pairs: list[Any], message: str, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(training_run, "_trained", never)
    with pytest.raises(InputError) as refused:
        distill(pairs, recipe=str(recipe))
    assert message in str(refused.value)
    path = write_pairs(tmp_path / "pairs.jsonl", pairs)
    for more in (["--dry-run"], []):
        result = invoked("train", "bert_distill_losses", recipe, "--data", path, *more)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr and result.stderr.count("\n") == 1


def test_a_dry_run_draws_what_the_training_draws(recipe: Path, tmp_path: Path) -> None:
    """A teacher on groups of eight needs more candidates than its students: said before."""
    text = recipe.read_text() + "teacher_negatives: 7\n"
    recipe.write_text(text)
    path = write_pairs(tmp_path / "pairs.jsonl")
    train = ("train", "bert_distill_losses", recipe, "--data", path)
    for arm, status in (("A2", 0), ("A8", 2)):
        dry, run = invoked(*train, "--arm", arm, "--dry-run"), invoked(*train, "--arm", arm)
        assert (dry.exit_code, run.exit_code) == (status, status), (arm, dry.stderr, run.stderr)
    assert dry.stderr == run.stderr
    assert "pairs train: no relevant document has 7 negatives of its query" in dry.stderr


def test_what_does_not_go_together(recipe: Path, tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl")
    train = ("train", "bert_distill_losses", recipe)
    for more, message in (
        (["--data", path, "--split", "train"], "a file of pairs stands alone, and has no split"),
        (["--data", path, "--data", path], "a file of pairs stands alone, and has no split"),
        (["--split", "train"], "--split is of --data"),
        (["--data", tmp_path / "none"], "expected parts of letters"),
    ):
        result = invoked(*train, *more, "--dry-run")
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert message in result.stderr
    with pytest.raises(InputError, match="pairs have no split"):
        distill(PAIRS, split="train", recipe=str(recipe))
    with pytest.raises(InputError, match="pair 1: expected"):
        source_of_pairs(["no triple"])
