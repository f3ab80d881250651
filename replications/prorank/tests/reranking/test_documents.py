"""`Reranker`: one by one or all at once, its order, what is cut, what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.prorank import Reranker
from ir_replications.prorank.checks.tiny_reranker import save_tiny
from ir_replications.prorank.tests.reranking import tiny_cross_encoder
from ir_replications.shared.errors import InputError, InputWarning

QUERY = "what lifts a wing"
DOCUMENTS = ["air past a wing", "", "heat", "a wing lifts where air flows past it faster", "heat"]


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "lm")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross_encoder.save_tiny(tmp_path_factory.mktemp("models") / "ce", "Bert")


@pytest.mark.parametrize("kind", ["language_model", "encoder"])
def test_one_by_one_and_all_at_once_agree(kind: str, request: pytest.FixtureRequest) -> None:
    reranker = Reranker(str(request.getfixturevalue(kind)))
    pairs = [(query, text) for query in (QUERY, "w1 w2") for text in (*DOCUMENTS, "w3 w4 w5")]
    together = reranker.score(pairs)
    assert together.dtype == np.float32 and together.shape == (12,)
    alone = [float(reranker.score([pair])[0]) for pair in pairs]
    assert together == pytest.approx(np.array(alone), abs=1e-5)
    assert float(np.ptp(together)) > 1e-3, "the scores differ by more than the rounding"
    assert reranker.score([]).shape == (0,)


def test_the_best_is_first_and_ties_stay_as_given(language_model: Path) -> None:
    reranker = Reranker(str(language_model))
    scores = reranker.score([(QUERY, text) for text in DOCUMENTS])
    found = reranker.rerank(QUERY, DOCUMENTS)
    assert sorted(each.number for each in found) == [0, 1, 2, 3, 4]
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert all(each.document == DOCUMENTS[each.number] for each in found)
    assert {each.number: each.score for each in found} == pytest.approx(dict(enumerate(scores)))
    places = [each.number for each in found]
    assert places.index(2) < places.index(4), "the same text twice"
    assert reranker.rerank(QUERY, []) == []


@pytest.mark.parametrize("kind", ["language_model", "encoder"])
def test_what_is_cut_is_counted(kind: str, request: pytest.FixtureRequest) -> None:
    folder = str(request.getfixturevalue(kind))
    reranker = Reranker(folder, max_length=12)
    short, long = ("w1", "w2"), ("w1", " ".join(["w2"] * 40))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reranker.score([short])
    with pytest.warns(InputWarning, match="^1 of 2 pairs are longer than the limit"):
        found = reranker.score([short, long])
    with pytest.warns(InputWarning, match="^1 of 1 pairs"):
        longer = reranker.score([("w1", long[1] + " w5 w6")])
    assert longer[0] == pytest.approx(found[1], abs=1e-5), "the end is not read"


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ("one text", "documents: str, expected a list of texts"),
        (["fine", None], "document 1 is NoneType, expected a text"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(
    documents: Any, message: str, language_model: Path
) -> None:
    with pytest.raises(InputError, match=message):
        Reranker(str(language_model)).rerank(QUERY, documents)


def test_models_that_cannot_rerank_are_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Reranker(str(tmp_path / "none"))
    with pytest.raises(InputError, match="cross-encoders take no weights"):
        Reranker(str(encoder), tmp_path)
    path = encoder / "config.json"
    told = path.read_text()
    assert json.loads(told)["architectures"] == ["BertForSequenceClassification"]
    for kind in ("BertModel", "BertForMaskedLM"):
        path.write_text(told.replace("BertForSequenceClassification", kind))
        with pytest.raises(InputError, match=f"is a {kind}, which scores no pairs"):
            Reranker(str(encoder))
    path.write_text(told)
    Reranker(str(encoder))
