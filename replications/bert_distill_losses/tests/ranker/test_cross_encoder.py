"""`CrossEncoder`: a saved ranker at work, with the lengths that it was trained at."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses import CrossEncoder, load_ranker
from ir_replications.bert_distill_losses.checks.tiny_ranker import tiny_ranker, tiny_texts
from ir_replications.bert_distill_losses.ranker.files import save_ranker
from ir_replications.bert_distill_losses.ranker.scoring import score_pairs
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
from ir_replications.shared.errors import InputError, InputWarning

READS = {"query_length": 8, "max_length": 24, "token_types": "zero"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ranker = tiny_ranker(layers=2)
    return save_ranker(ranker, tmp_path_factory.mktemp("rankers") / "final", READS)


def test_scores_are_the_ranker_s_one_by_one_or_all_at_once(folder: Path) -> None:
    queries, documents = tiny_texts(3, 6), tiny_texts(5, 12, seed=1)
    pairs = [(query, text) for query in queries for text in documents]
    ranker = load_ranker(folder)
    tokens = PairTokens(ranker.tokenizer, queries, documents, 8, 24)
    places = np.array([[q, d] for q in range(3) for d in range(5)])
    expected = score_pairs(ranker, tokens, places[:, 0], places[:, 1])
    encoder = CrossEncoder(folder)
    assert encoder.score(pairs).tolist() == expected.tolist()
    alone = [float(encoder.score([pair])[0]) for pair in pairs]
    assert expected == pytest.approx(np.array(alone), abs=1e-5)
    assert encoder.score([]).shape == (0,)
    found = encoder.rerank(queries[0], documents)
    assert [each.number for each in found] == np.argsort(-expected[:5], kind="stable").tolist()
    assert found[0].document == documents[found[0].number]


def test_what_is_cut_is_counted(folder: Path) -> None:
    encoder = CrossEncoder(folder)
    fits = [(" ".join(["w1"] * 8), " ".join(["w2"] * 13)), ("w1", " ".join(["w2"] * 20))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.score(fits)
    longer = [(fits[0][0] + " w1", "w2"), (fits[0][0], fits[0][1] + " w2"), fits[1]]
    with pytest.warns(InputWarning, match="^2 of 3 pairs are longer"):
        encoder.score(longer)
    assert encoder.cut(longer).tolist() == [True, True, False]
    assert not CrossEncoder(folder, query_length=9, max_length=30).cut(longer).any()


def test_the_limits_are_part_of_what_scores_depend_on(folder: Path) -> None:
    usual, other = CrossEncoder(folder), CrossEncoder(folder, max_length=20)
    assert usual.reads == READS and other.reads == READS | {"max_length": 20}
    assert usual.identity != other.identity
    with pytest.raises(InputError, match="query_length 8, max_length 11: expected"):
        CrossEncoder(folder, max_length=11)


@pytest.mark.parametrize(
    "reads",
    [[], {"query_length": 8}, READS | {"max_length": True}, READS | {"token_types": "odd"},
     READS | {"more": 1}],
)  # fmt: skip
def test_lengths_that_no_training_has_are_refused(reads: Any, tmp_path: Path) -> None:
    folder = save_ranker(tiny_ranker(layers=1), tmp_path / "final", READS)
    path = folder / "ranker.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reads": reads}))
    with pytest.raises(InputError, match=r"ranker\.json: reads .* expected query_length"):
        CrossEncoder(folder)


def test_a_folder_that_does_not_say_is_read_as_the_recipes_do(tmp_path: Path) -> None:
    folder = save_ranker(tiny_ranker(layers=1), tmp_path / "final")
    assert "reads" not in json.loads((folder / "ranker.json").read_text())
    assert CrossEncoder(folder).reads["max_length"] == 128
    with pytest.raises(InputError, match=r"no ranker\.json"):
        CrossEncoder(tmp_path)
