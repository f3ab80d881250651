"""The exact one-token GRPO: expected gradients, TRL's loss and gradient, toy learning, monitor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.prorank.checks.enumeration import CASES, draw_deviation, enumerated_errors
from ir_replications.prorank.checks.tiny_reranker import tiny_model, tiny_pairs, tiny_recipe
from ir_replications.prorank.checks.toy_policy import SETTINGS, train_toy
from ir_replications.prorank.method.answer_grpo import (
    Answers,
    RewardTable,
    answer,
    answer_logits,
    answer_loss,
    answer_metrics,
    constant_answer,
    draw,
    log_probabilities,
    reward_metrics,
)
from ir_replications.prorank.method.prompt import PromptTokenizer, answer_ids, pad_left
from ir_replications.prorank.training.recipe import Warmup
from ir_replications.shared.errors import InputError
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.grpo import group_advantages

WORDS = ["0", "1", "yes", " 1", "1<|im_end|>"]


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    return tiny_model()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case[0])} tokens")
def test_expected_gradients_over_every_draw(case: Any) -> None:
    for name, error in enumerated_errors(*case).items():
        assert error < 1e-12, name


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_tempered_distribution(temperature: float) -> None:
    logits = [0.0, 3.0, -1.0, 1.0]
    assert draw_deviation(logits, temperature, seed=1) < 4.5


def test_draws_depend_on_the_seed_alone() -> None:
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))

    def drawn(seed: int) -> Any:
        return draw(logits, 8, 1.0, torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    with pytest.raises(InputError, match="not finite"):
        draw(torch.tensor([[0.0, float("nan")]]), 2, 1.0, torch.Generator())


def test_rewards_are_looked_up_once_per_token() -> None:
    asked: list[int] = []

    def decode(token: int) -> str:
        asked.append(token)
        return WORDS[token]

    table = RewardTable(decode)
    tokens = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])
    for _ in range(2):
        of_format, of_relevance = table(tokens, torch.tensor([0, 1]))
    assert of_format.tolist() == [[1, 1, 0, 0, 1]] * 2
    assert of_relevance.tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 1]]
    assert sorted(asked) == [0, 1, 2, 3, 4]


def test_an_answer_and_its_loss_by_hand() -> None:
    """Three tokens, one prompt, answers given: 0 (right), 1 (valid), 2 (neither)."""
    logits = torch.tensor([[1.0, 0.0, -1.0]])
    settings = Warmup(steps=1, group_size=3, temperature=1.0, kl_beta=0.5, scale_rewards="none")
    table = RewardTable(WORDS.__getitem__)
    drawn = answer(logits, torch.zeros(1, 3), torch.tensor([0]), table, settings, torch.Generator())
    tokens = torch.tensor([[0, 1, 2]])
    drawn = replace(
        drawn,
        tokens=tokens,
        old_logp=log_probabilities(logits, tokens, 1.0),
        ref_logp=log_probabilities(torch.zeros(1, 3), tokens, 1.0),
        advantages=group_advantages(torch.tensor([[2.0, 1.0, 0.0]]), "none"),
    )
    p = logits.softmax(-1)[0]
    k3 = [1 / (3 * x) - torch.log(1 / (3 * x)) - 1 for x in p]
    loss, kl = answer_loss(logits, drawn, settings)
    assert float(kl) == pytest.approx(float(sum(k3)) / 3, rel=1e-5)
    assert float(loss) == pytest.approx(0.5 * float(kl), rel=1e-5), "advantages sum to zero"
    moved = logits + torch.tensor([[0.3, 0.0, 0.0]])
    ratios = moved.softmax(-1)[0] / p
    assert float(ratios[0]) < 1.2 < float(ratios[0]) * 1.3, "inside the clipping range"
    expected = -(ratios[0] - ratios[2].clamp(min=0.8)) / 3
    found, _ = answer_loss(moved, replace(drawn, ref_logp=None), settings)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_equal_rewards_teach_nothing() -> None:
    logits = torch.tensor([[5.0, -20.0, -20.0]], requires_grad=True)
    settings = Warmup(steps=1, group_size=16, kl_beta=0.0)
    drawn = answer(
        logits, None, torch.tensor([0]), RewardTable(WORDS.__getitem__), settings,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert reward_metrics([drawn], "both")["frac_reward_zero_std"] == 1
    answer_loss(logits, drawn, settings)[0].backward()
    assert float(logits.grad.abs().max()) == 0


def test_logits_are_those_of_the_last_position_whatever_the_padding(tiny: Any) -> None:
    model, tokenizer = tiny
    prompts = PromptTokenizer(tokenizer)
    rows = [prompts.encode(p.query, p.document) for p in tiny_pairs(2)]
    rows[1] = rows[1][-40:]
    alone = [model(torch.tensor([row])).logits[0, -1] for row in rows]
    ids, mask = (torch.from_numpy(x) for x in pad_left(rows, prompts.pad_id, 16))
    together = answer_logits(model, ids, mask)
    for row, expected in enumerate(alone):
        assert torch.allclose(together[row], expected, atol=1e-5)


def test_padding_moves_no_absolute_position() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=20, n_positions=32, n_embd=16, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).eval()
    row = torch.tensor([[3, 4, 5]])
    padded = torch.cat([torch.zeros(1, 5, dtype=torch.long), row], dim=1)
    mask = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1]])
    alone = answer_logits(model, row, torch.ones_like(row))
    assert torch.allclose(answer_logits(model, padded, mask), alone, atol=1e-5)
    assert not torch.allclose(model(padded, attention_mask=mask).logits[:, -1], alone, atol=1e-3)


@pytest.mark.parametrize("scale", ["group", "none"])
def test_loss_and_gradient_are_those_of_trl(tiny: Any, scale: Any, tmp_path: Path) -> None:
    """Every loss of a short run with ratios other than one, from our forward of the prompts."""
    pytest.importorskip("trl")
    pytest.importorskip("peft")
    from ir_replications.prorank.training.batches import Prompts, pair_batches
    from ir_replications.prorank.training.warmup_trl import make_trainer

    recipe, pairs = tiny_recipe(), tiny_pairs()
    model, tokenizer = tiny_model(answers=0.6)
    settings = replace(
        recipe.warmup, method="trl", num_iterations=2, steps=2, group_size=8, kl_beta=0.3,
        temperature=0.9, scale_rewards=scale, learning_rate=0.05,
    )  # fmt: skip
    recipe = replace(recipe, warmup=settings)
    folder = TrainingFolder(tmp_path / "run", recipe.request("warmup"))
    trainer = make_trainer(model, tokenizer, pairs, recipe, folder)
    prompts = Prompts(tokenizer, recipe, pairs, model)
    labels = [pair.label for pair in pairs]
    batches = pair_batches(labels, settings.pairs_per_step, settings.steps, recipe.seed, True)
    table = RewardTable(lambda token: tokenizer.decode([token]))
    theirs = trainer._compute_loss
    seen: list[SimpleNamespace] = []

    def compared(policy: Any, inputs: dict[str, Any]) -> Any:
        loss = theirs(policy, inputs)
        batch = batches[len(seen) // 2]  # each batch makes two updates
        # TRL shuffles the answers of a batch: sort them by prompt again.
        found = [
            ids[mask.bool()].tolist()
            for ids, mask in zip(inputs["prompt_ids"], inputs["prompt_mask"], strict=True)
        ]
        places = [[prompts.ids(i) for i in batch].index(ids) for ids in found]
        rows = torch.tensor(sorted(range(len(places)), key=places.__getitem__)).view(4, 8)
        ids, mask, truth = prompts.batch(batch)
        tokens = inputs["completion_ids"][rows, 0]
        with torch.no_grad(), policy.disable_adapter():
            reference = answer_logits(policy, ids, mask)
        logits = answer_logits(policy, ids, mask)
        of_format, of_relevance = table(tokens, truth)
        mine = Answers(
            tokens=tokens,
            old_logp=inputs["old_per_token_logps"][rows, 0],
            ref_logp=log_probabilities(reference, tokens, 0.9),
            format=of_format,
            relevance=of_relevance,
            advantages=group_advantages(of_format + of_relevance, scale),
        )
        own, kl = answer_loss(logits, mine, settings)
        weights = [p for p in policy.parameters() if p.requires_grad]
        ratio = log_probabilities(logits.detach(), tokens, 0.9) - mine.old_logp
        seen.append(
            SimpleNamespace(
                loss=float(loss.detach()),
                own=float(own.detach()),
                kl=float(kl),
                ratio=float(ratio.abs().max()),
                gap=float((mine.advantages - inputs["advantages"][rows]).abs().max()),
                signal=float(mine.advantages.abs().max()),
                gradients=torch.autograd.grad(loss, weights, retain_graph=True),
                own_gradients=torch.autograd.grad(own, weights),
            )
        )
        return loss

    trainer._compute_loss = compared
    trainer.train()
    assert len(seen) == 4, "2 batches x 2 updates"
    assert max(step.ratio for step in seen) > 0.2, "the case must reach the clipping bound"
    assert max(step.kl for step in seen) > 1e-3, "the policy must have left its reference"
    assert min(step.signal for step in seen) > 0, "every batch must hold a signal"
    for step in seen:
        assert step.gap < 1e-5
        assert step.own == pytest.approx(step.loss, rel=1e-4, abs=1e-6)
        size = max(float(g.abs().max()) for g in step.gradients)
        for one, other in zip(step.gradients, step.own_gradients, strict=True):
            assert float((one - other).abs().max()) < 1e-4 * size


def test_toy_learns_both_rewards() -> None:
    outcome = train_toy(5)
    assert outcome.format >= 0.99
    assert outcome.accuracy >= 0.95
    assert outcome.collapsed_to is None


def test_toy_without_a_relevance_signal_stays_at_chance() -> None:
    for outcome in (
        train_toy(5, rewards="format", optimiser="sgd"),
        train_toy(5, all_relevant=True),
    ):
        assert outcome.format >= 0.99
        assert outcome.accuracy == pytest.approx(0.5, abs=0.01)


def test_toy_collapses_to_one_and_is_found_out() -> None:
    """Plain gradients, both rewards: "1" pays in irrelevant groups too while "0" is never drawn."""
    collapsed = train_toy(5, optimiser="sgd")
    assert collapsed.format >= 0.99
    assert collapsed.accuracy == pytest.approx(0.5, abs=0.01)
    assert collapsed.collapsed_to == "1"
    alone = train_toy(5, rewards="relevance", optimiser="sgd")
    assert alone.accuracy >= 0.95
    assert alone.collapsed_to is None


def test_the_kl_term_holds_the_toy_back() -> None:
    held = train_toy(5, settings=replace(SETTINGS, kl_beta=5.0))
    assert held.format < 0.5


@pytest.mark.parametrize(
    ("p0", "p1", "expected"),
    [(0.0, 0.99, "1"), (0.97, 0.01, "0"), (0.5, 0.49, None), (0.0, 0.5, None), (0.1, 0.89, None)],
)
def test_monitor_of_constant_answers(p0: float, p1: float, expected: str | None) -> None:
    steps = [{"p0": 0.5, "p1": 0.5}] * 20 + [{"p0": p0, "p1": p1}, {"loss": 1.0}] * 5
    assert constant_answer(steps) == expected
    assert constant_answer([]) is None


def test_metrics_of_the_answers() -> None:
    p = torch.tensor([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4]])
    found = answer_metrics(p.log(), torch.tensor([1, 1]), (0, 1))
    assert found["p0"] == pytest.approx(0.25)
    assert found["p1"] == pytest.approx(0.4)
    assert found["accuracy"] == 0.5
    assert found["p1_relevant"] == pytest.approx((6 / 7 + 1 / 3) / 2)
    assert "p1_irrelevant" not in found
    assert found["entropy"] == pytest.approx(float(-(p * p.log()).sum(-1).mean()))


def test_answer_tokens_of_the_tiny_tokenizer_are_rewarded(tiny: Any) -> None:
    _, tokenizer = tiny
    tokens = torch.tensor([answer_ids(tokenizer)])
    table = RewardTable(lambda token: tokenizer.decode([token]))
    of_format, of_relevance = table(tokens, torch.tensor([1]))
    assert of_format.tolist() == [[1, 1]]
    assert of_relevance.tolist() == [[0, 1]]


def test_logits_are_not_rounded_to_half_precision() -> None:
    """Differences of logits are what is learnt; bfloat16 has steps of 1/8 at 20."""
    model, tokenizer = tiny_model()
    prompts = PromptTokenizer(tokenizer)
    rows = [prompts.encode(pair.query, pair.document) for pair in tiny_pairs()]
    ids, mask = (torch.from_numpy(x) for x in pad_left(rows, prompts.pad_id))
    head = model.get_output_embeddings()
    with torch.autocast("cpu", torch.bfloat16):
        logits = answer_logits(model, ids, mask)
    assert logits.dtype == torch.float32
    assert float((logits != logits.bfloat16().float()).float().mean()) > 0.9
    logits.sum().backward()
    assert head.weight.grad is not None
    assert "forward" not in vars(head), "the model's own head is back"
