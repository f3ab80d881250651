"""The model as a sentence embedder, against one text at a time; a teacher guided by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_ranker import save_tiny
from ir_replications.bert_distill_losses.checks.tiny_training import tiny_recipe, toy_data
from ir_replications.bert_distill_losses.ranker.embedder import cosines
from ir_replications.bert_distill_losses.training.run import train_teacher
from ir_replications.shared import progress
from ir_replications.shared.models.references import load_encoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny(tmp_path_factory.mktemp("models") / "m", layers=2, width=16, heads=2)


def alone(ref: str, text: str, limit: int) -> np.ndarray:
    """The unit vector of one text, without padding."""
    encoder, tokenizer = load_encoder(ref)
    inputs = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
    with torch.inference_mode():
        mean = encoder(**inputs).last_hidden_state[0].mean(0).numpy()
    return mean / np.linalg.norm(mean)


def test_cosines_of_texts_read_apart(model: str) -> None:
    queries, documents = ["w1 w2", "w3"], ["w1 w2 w3 w4 w5 w6 w7 w8", "w9", "w3 w2"]
    query, document = np.array([[0], [1]]), np.array([[0, 1], [2, 0]])
    found = cosines(model, queries, documents, query, document, max_length=6)
    assert found.shape == (2, 2)
    for i in range(2):
        for j in range(2):
            one, other = alone(model, queries[i], 6), alone(model, documents[document[i, j]], 6)
            assert found[i, j] == pytest.approx(float(one @ other), abs=1e-5)


def test_a_guided_teacher_learns_the_embedders_margins(
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path))
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    recipe, data = tiny_recipe(model, teacher_guided=True), toy_data()
    log = train_teacher(recipe, 11, data).log
    plain = train_teacher(replace(recipe, teacher_guided=False), 11, data).log
    assert all(
        "soft" in entry and "soft" not in other for entry, other in zip(log, plain, strict=True)
    )
    # Before the first update the scores are ten times the joint cosine; the losses say how far
    # they are from ten times the cosine of texts read apart.
    assert log[0]["hard"] == pytest.approx(plain[0]["hard"], rel=1e-5)
    assert log[0]["loss"] == pytest.approx(log[0]["hard"] + log[0]["soft"], rel=1e-5)
    assert log[0]["soft"] > 0
    assert " texts embedded to guide the teacher, about " in capsys.readouterr().err
