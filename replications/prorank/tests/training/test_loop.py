"""What the stages share: batches, the model made ready, the supervised loss; stage 1 by TRL."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from ir_replications.prorank.checks.tiny_reranker import tiny_model, tiny_pairs, tiny_recipe
from ir_replications.prorank.experiments.probe import probe
from ir_replications.prorank.method.score import PairScorer
from ir_replications.prorank.training.batches import Prompts, order, pair_batches
from ir_replications.prorank.training.preparation import prepared
from ir_replications.prorank.training.sft import answer_ce
from ir_replications.shared.training import TrainingFolder

PAIRS, RECIPE = tiny_pairs(), tiny_recipe()


@pytest.fixture(scope="module")
def answering() -> tuple[Any, Any]:
    return tiny_model(answers=0.5)


def test_answers_to_held_out_pairs(answering: Any) -> None:
    model, tokenizer = answering
    found = probe(model, tokenizer, PAIRS, RECIPE, batch_size=3)
    texts = [(pair.query, pair.document) for pair in PAIRS]
    scores = PairScorer(model, tokenizer, max_length=RECIPE.max_length).score(texts)
    assert found.scores == pytest.approx(scores, abs=1e-4)
    assert np.log(found.p1 / found.p0) == pytest.approx(scores, abs=1e-4)
    assert found.labels.tolist() == [1, 0] * 8
    # The tiny model prefers "0" to every other token, whatever the document.
    assert found.well_formed.all()
    assert found.right.tolist() == found.decided.tolist() == [False, True] * 8
    assert not found.says_one.any()
    untrained = probe(*tiny_model(), PAIRS, RECIPE)
    assert not untrained.well_formed.any()
    assert float((untrained.p0 + untrained.p1).max()) < 0.01
    assert len(probe(model, tokenizer, [], RECIPE).scores) == 0


def test_seeds_are_set_before_the_adapter_is_made(answering: Any) -> None:
    model, _ = answering

    def adapter(seed: int) -> Any:
        made = prepared(copy.deepcopy(model), replace(RECIPE, seed=seed))
        return next(p for n, p in made.named_parameters() if "lora_A" in n).detach()

    torch.manual_seed(99)
    first = adapter(1)
    assert torch.equal(first, adapter(1))
    assert not torch.equal(first, adapter(2))


def test_training_has_no_dropout(answering: Any) -> None:
    model = copy.deepcopy(answering[0])
    model.config.attention_dropout = 0.5
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    made = prepared(model, RECIPE)
    prompts = Prompts(answering[1], RECIPE, PAIRS, made)
    ids, mask, _ = prompts.batch([0, 1])
    one, two = (made(input_ids=ids, attention_mask=mask).logits for _ in range(2))
    assert torch.equal(one, two)


def test_supervised_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 0.0]])
    expected = -(logits.log_softmax(-1)[0, 1] + logits.log_softmax(-1)[1, 0]) / 2
    found = answer_ce(logits, torch.tensor([1, 0]), (0, 1))
    assert float(found) == pytest.approx(float(expected))


def test_every_pair_is_taken_once_an_epoch() -> None:
    batches = order(10, 4, 5, seed=1)
    taken = [i for batch in batches for i in batch]
    assert sorted(taken[:10]) == sorted(taken[10:]) == list(range(10))
    assert taken[:10] != taken[10:]
    assert batches == order(10, 4, 5, seed=1) != order(10, 4, 5, seed=2)
    assert order(10, 4, 2, seed=1) == batches[:2], "a longer run begins like a shorter one"


def test_balanced_batches_keep_couples_together() -> None:
    labels = [1, 0, 0, 1, 1, 0, 1, 0]
    for batch in pair_batches(labels, 4, 6, seed=0, balanced=True):
        assert sorted(labels[i] for i in batch) == [0, 0, 1, 1]
        assert {i // 2 for i in batch} == {batch[0] // 2, batch[2] // 2}


def test_trl_trains_from_the_same_recipe_on_the_same_adapter(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    pytest.importorskip("peft")
    from transformers import set_seed

    from ir_replications.prorank.training.warmup import warmup
    from ir_replications.prorank.training.warmup_trl import make_trainer

    recipe, pairs = tiny_recipe(), tiny_pairs()
    recipe = replace(recipe, warmup=replace(recipe.warmup, method="trl", forward_pairs=2))
    model, tokenizer = tiny_model(answers=0.5)
    mine = prepared(copy.deepcopy(model), recipe)
    set_seed(recipe.seed)
    folder = TrainingFolder(tmp_path / "made", recipe.request("warmup"))
    theirs = make_trainer(copy.deepcopy(model), tokenizer, pairs, recipe, folder)
    assert theirs.args.use_bias_correction_kl is False
    assert theirs.args.max_completion_length == 1
    for (name, one), (_, other) in zip(
        mine.named_parameters(), theirs.model.named_parameters(), strict=True
    ):
        assert torch.equal(one, other), name

    folder = TrainingFolder(tmp_path / "run", recipe.request("warmup"))
    result = warmup(copy.deepcopy(model), tokenizer, pairs, recipe, folder)
    log = folder.read_log()
    assert (result["method"], result["updates"], result["pairs"]) == ("trl", 4, 16)
    assert result["trainable_parameters"] == 896
    assert [entry["step"] for entry in log] == [1, 2, 3, 4]
    assert log[0]["answers/0"] + log[0]["answers/1"] == pytest.approx(
        log[0]["rewards/format_reward/mean"]
    )
    assert 0.2 < log[0]["rewards/format_reward/mean"] < 0.9
    assert (folder.final / "adapter_model.safetensors").is_file()
    assert warmup(copy.deepcopy(model), tokenizer, pairs, recipe, folder) == result
