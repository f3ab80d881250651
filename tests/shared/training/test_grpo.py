"""GRPO's formulas: hand-computed values and what TRL computes in a training run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.errors import InputError

torch = pytest.importorskip("torch")

from ir_replications.shared.training.grpo import (
    AGGREGATIONS,
    SCALES,
    aggregate,
    clipped_objective,
    cosine_with_min_lr,
    group_advantages,
    k3,
)


def close(found: Any, expected: Any, tolerance: float = 1e-9) -> bool:
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    return bool(torch.allclose(torch.as_tensor(found).double(), wanted, rtol=0, atol=tolerance))


def test_advantages_by_hand() -> None:
    rewards = [[1.0, 3.0], [0.0, 0.0]]
    # Group 1: mean 2, deviation sqrt(2); batch: mean 1, squares 0 + 4 + 1 + 1 = 6, variance 2.
    expected = 1 / (math.sqrt(2) + 1e-4)
    assert close(group_advantages(torch.tensor(rewards).double()), [[-expected, expected], [0, 0]])
    assert close(group_advantages(rewards, "none"), [[-1, 1], [0, 0]])
    assert close(group_advantages(torch.tensor(rewards).double(), "batch")[0, 1], expected)
    assert close(group_advantages([[0, 2], [2, 6]], eps=0.0)[1], [-(0.5**0.5), 0.5**0.5])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_rewards_have_no_advantage(scale: str, dtype: Any) -> None:
    """-0.9 * 6 / 6 and 123.4 * 8 / 8 round; TRL divides what is left by 1e-4."""
    for reward, outputs in ((-0.9, 6), (123.4, 8), (0.1, 3), (1e-30, 7)):
        rewards = torch.full((2, outputs), reward, dtype=dtype)
        assert bool((group_advantages(rewards, scale) == 0).all()), (reward, outputs)
        assert bool((group_advantages(rewards, scale, eps=0.0) == 0).all()), (reward, outputs)
        rewards[1, 0] += 1
        found = group_advantages(rewards, scale)
        assert bool((found[0] == 0).all())
        assert bool((found[1] != 0).all()), "the other group keeps its own"


def test_a_constant_changes_no_advantage_of_its_group() -> None:
    rewards = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shift = torch.arange(5.0, dtype=torch.float64).unsqueeze(1)
    for scale in ("group", "none"):
        assert close(group_advantages(rewards + shift, scale), group_advantages(rewards, scale))
    assert not close(group_advantages(rewards + shift, "batch"), group_advantages(rewards, "batch"))


@pytest.mark.parametrize(
    ("rewards", "scale", "message"),
    [
        ([1.0, 2.0], "group", r"shape \(2,\)"),
        ([[1.0], [2.0]], "group", r"shape \(2, 1\)"),
        ([[1.0, float("nan")]], "group", "NaN"),
        ([[1.0, 2.0]], "std", "expected one of group, batch, none"),
        ([["a", "b"]], "group", "no numbers"),
        ([[1.0, None]], "group", "no numbers"),
        ([[1.0], [1.0, 2.0]], "group", "no numbers"),
        ([[10**400, 1]], "group", "no numbers"),
        ([[1j, 2.0]], "group", "complex"),
        (None, "group", "no numbers"),
    ],
)
def test_advantages_refuse(rewards: Any, scale: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        group_advantages(rewards, scale)


def test_k3_is_a_divergence() -> None:
    logp = torch.tensor([math.log(0.5), math.log(0.25), -1.0], dtype=torch.float64)
    ref = torch.tensor([math.log(0.25), math.log(0.5), -1.0], dtype=torch.float64)
    assert close(k3(logp, ref), [0.5 - math.log(0.5) - 1, 2 - math.log(2) - 1, 0])
    tiny = k3(torch.tensor([0.0]), torch.tensor([1e-4]))
    assert 0 < float(tiny) == pytest.approx(5e-9, rel=0.1), "no cancellation in float32"
    # Its mean over samples of the policy is the KL divergence.
    policy, other = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    expected = (policy * (policy / other).log()).sum()
    assert float((policy * k3(policy.log(), other.log())).sum()) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective", "slope"),
    [
        (1.5, 1.0, 1.2, 0.0), (0.5, 1.0, 0.5, 0.5), (1.5, -1.0, -1.5, -1.5),
        (0.5, -1.0, -0.8, 0.0), (1.0, 2.0, 2.0, 2.0), (1.1, 1.0, 1.1, 1.1),
    ],
)  # fmt: skip
def test_clipping_stops_the_gradient_on_one_side(
    ratio: float, advantage: float, objective: float, slope: float
) -> None:
    logp = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    found = clipped_objective(logp, torch.zeros(1, 1).double(), torch.tensor([advantage]).double())
    found.sum().backward()
    assert close(found.detach(), [[objective]])
    assert logp.grad is not None
    assert close(logp.grad, [[slope]])


def test_the_two_bounds_are_separate() -> None:
    logp = torch.tensor([[math.log(2.0), math.log(0.1)]]).double()
    found = clipped_objective(logp, torch.zeros(1, 2), torch.tensor([[1.0, -1.0]]), 0.3, 0.5)
    assert close(found, [[1.5, -0.7]])


def test_aggregations_differ_on_ragged_lengths() -> None:
    losses = torch.tensor([[4.0, 9.0, 9.0], [1.0, 2.0, 3.0]])
    mask = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert float(aggregate(losses, mask, "grpo")) == 3.0  # (4/1 + 6/3) / 2
    assert float(aggregate(losses, mask, "bnpo")) == 2.5  # 10 / 4
    assert float(aggregate(losses, mask, "dapo")) == 2.5
    assert float(aggregate(losses, mask, "dapo", total_tokens=8)) == 1.25  # 10 / 8
    assert float(aggregate(losses, mask, "dr_grpo", max_length=5)) == 1.0  # 10 / (2 * 5)
    empty = torch.zeros(2, 3)
    for kind in AGGREGATIONS:
        assert float(aggregate(losses, empty, kind, max_length=5)) == 0.0
    with pytest.raises(InputError, match="needs max_length"):
        aggregate(losses, mask, "dr_grpo")
    with pytest.raises(InputError, match="expected one of grpo, bnpo, dapo, dr_grpo"):
        aggregate(losses, mask, "mean")


def test_the_learning_rate_rises_then_falls_to_its_floor() -> None:
    optimization = pytest.importorskip("transformers.optimization")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = optimization.get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, num_warmup_steps=4, num_training_steps=20, min_lr_rate=0.1
    )
    for step in range(21):
        factor = schedule.lr_lambdas[0](step)
        assert cosine_with_min_lr(step, 4, 20, 0.1) == pytest.approx(factor, abs=1e-12), step
    assert [cosine_with_min_lr(s, 4, 20, 0.1) for s in (0, 2, 4)] == [0.0, 0.5, 1.0]
    assert cosine_with_min_lr(12, 4, 20, 0.1) == pytest.approx(0.55)  # half-way: (1 + 0.1) / 2
    assert cosine_with_min_lr(20, 4, 20, 0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", AGGREGATIONS)
def test_losses_are_those_of_trl(kind: str, tmp_path: Path) -> None:
    """Every loss of a short run, with a reference model and ratios other than one."""
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    from tests.shared.models.tiny_model import WORDS, tiny_model, tiny_tokenizer

    corrected = kind == "grpo"  # TRL 1.16 multiplies the KL term by the ratio unless told not to
    scale = {"bnpo": "group", "dapo": "none"}.get(kind, "batch")
    seen: list[dict[str, Any]] = []
    given: list[list[float]] = []

    def reward(completions: list[str], **_: Any) -> list[float]:
        given.append([len(set(text.split())) / 7 for text in completions])
        return given[-1]

    class Recorder(trl.GRPOTrainer):  # type: ignore[name-defined]
        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            loss = super()._compute_loss(model, inputs)
            seen.append({**inputs, "loss": loss.detach(), "logp": logps(model, inputs)})
            return loss

    def logps(model: Any, inputs: dict[str, Any]) -> Any:
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=attention).logits / 0.9
        start = inputs["prompt_ids"].shape[1]
        chosen = logits[:, start - 1 : -1].log_softmax(-1)
        return chosen.gather(2, ids[:, start:].unsqueeze(2)).squeeze(2)

    config = trl.GRPOConfig(
        output_dir=str(tmp_path), max_steps=4, num_generations=4, per_device_train_batch_size=4,
        gradient_accumulation_steps=2, num_iterations=2, max_completion_length=12, beta=0.1,
        use_bias_correction_kl=corrected,
        loss_type=kind, scale_rewards=scale, temperature=0.9, learning_rate=0.05, max_grad_norm=1.0,
        use_cpu=True, bf16=False, report_to=[], save_strategy="no", disable_tqdm=True,
        gradient_checkpointing=False, logging_strategy="no", seed=3,
    )  # fmt: skip
    start = tmp_path / "start"  # TRL reads the reference model from the policy's folder
    tiny_model().save_pretrained(str(start))
    tiny_tokenizer().save_pretrained(str(start))
    trainer = Recorder(
        model=str(start),
        reward_funcs=reward,
        args=config,
        train_dataset=datasets.Dataset.from_dict(
            {"prompt": [" ".join(WORDS[5 + i : 9 + i]) for i in range(8)]}
        ),
        processing_class=tiny_tokenizer(),
    )
    trainer.train()
    assert len(seen) == 8
    ratios = torch.cat([(b["logp"] - b["old_per_token_logps"]).exp().flatten() for b in seen])
    assert bool((ratios > 1.2).any()), "the case must reach the clipping bound"
    for batch in seen:
        mask = batch["completion_mask"].float()
        old = batch["old_per_token_logps"]
        kl = k3(batch["logp"], batch["ref_per_token_logps"])
        kl = kl * (batch["logp"] - old).exp() if corrected else kl
        loss = 0.1 * kl - clipped_objective(batch["logp"], old, batch["advantages"])
        total = float(batch["num_items_in_batch"])
        mine = aggregate(loss, mask, kind, total_tokens=total, max_length=12)
        # Two accumulated batches: their losses add up in dapo and are averaged in the others.
        mine = mine if kind == "dapo" else mine / 2
        assert float(mine) == pytest.approx(float(batch["loss"]), rel=1e-4, abs=1e-6)
    mine = group_advantages(torch.tensor(given[0], dtype=torch.float32).view(-1, 4), scale)
    theirs = torch.cat([batch["advantages"] for batch in seen[:2]])
    assert close(theirs.sort().values, mine.flatten().sort().values.double(), 1e-5)
