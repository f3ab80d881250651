"""A training recipe: every setting of both stages, each default with where it comes from.

The paper's hyper-parameters are not known. "TRL 2025" is the default of the TRL releases current
when the weights appeared (0.15 and 0.16); "ours" says that it is our choice, and why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from ir_replications.shared.errors import InputError
from ir_replications.shared.training import Updates, bounds, named_recipe

RECIPES = Path(__file__).parent / "recipes"
STAGES = ("warmup", "sft", "fine_grained")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters through peft; a recipe without them trains every parameter.

    Without dropout: a dropped adapter would make old and new log-probabilities differ.
    """

    rank: bounds.Few = 16
    alpha: bounds.Few = 32
    targets: bounds.Refs = ("q_proj", "k_proj", "v_proj", "o_proj")
    # Layers below have no adapter, and no gradient passes through them.
    first_layer: Annotated[int, bounds.Bounds(0, 1_000)] = 0


@dataclass(frozen=True)
class Stage(Updates):
    """How a stage changes the weights. Batches count prompts, (query, document) pairs.

    Defaults are TRL 2025's but for warmup_ratio, ours, and the learning rate: TRL's 1e-6 is for
    all parameters, LoRA needs more.
    """

    forward_pairs: bounds.Batch = 16  # prompts in one forward pass: memory, not the gradient


@dataclass(frozen=True)
class Warmup(Stage):
    """Stage 1: GRPO on the answer token, and the supervised comparison on the same batches."""

    method: Literal["exact", "trl"] = "exact"  # ours: the same loss from one forward (answer_grpo)
    pairs_per_step: bounds.Batch = 16  # ours
    balanced: bool = True  # ours: as many relevant as irrelevant pairs in each batch
    group_size: Annotated[int, bounds.Bounds(2, 65_536)] = 8  # TRL 2025
    temperature: bounds.Scale = 0.9  # TRL 2025
    rewards: Literal["both", "format", "relevance"] = "both"  # paper: both together
    kl_beta: bounds.Weight = 0.04  # TRL 2025
    epsilon: bounds.Inner = 0.2  # TRL 2025
    num_iterations: bounds.Few = 1  # TRL 2025: updates from one set of answers
    scale_rewards: Literal["group", "none"] = "group"  # TRL in every version
    max_completion_tokens: bounds.Length = 1  # "trl" only; TRL 2025: 256, for one-token answers

    def check(self, name: str) -> None:
        """Raise InputError for values that cannot be together."""
        if self.max_completion_tokens > 1 and self.method != "trl":
            raise InputError(f"{name}: answers of several tokens need method trl")
        if self.balanced and self.pairs_per_step % 2:
            raise InputError(
                f"{name}: {self.pairs_per_step} pairs a step cannot be half relevant and half "
                "not; expected an even number, or balanced: false"
            )
        if self.method == "trl" and self.pairs_per_step % min(
            self.forward_pairs, self.pairs_per_step
        ):
            raise InputError(
                f"{name}: TRL needs pairs_per_step ({self.pairs_per_step}) to be a multiple of "
                f"forward_pairs ({self.forward_pairs})"
            )


@dataclass(frozen=True)
class FineGrained(Stage):
    """Stage 2: scores from the logits of both answers, one positive and its negatives a group."""

    groups_per_step: bounds.Batch = 2  # ours
    negatives: bounds.Depth = 7  # ours
    loss: Literal["bce", "softmax", "ranknet"] = "bce"  # the released code's remnant
    tau: bounds.Scale = 1.0  # ours; "softmax" only

    @property
    def pairs_per_step(self) -> int:
        """Prompts in one batch."""
        return self.groups_per_step * (1 + self.negatives)


@dataclass(frozen=True)
class Recipe:
    """Both stages on one model and the same collections. Lengths count tokens."""

    name: bounds.Name
    model: bounds.Ref
    data: bounds.Refs  # collections with training queries; each gives as much as the others
    warmup: Warmup
    fine_grained: FineGrained
    lora: Lora | None = Lora()  # a review of the full paper mentions LoRA, without its rank
    candidates: bounds.Depth = 100  # ours: depth of the first stage that negatives are drawn from
    # Collections that the model is judged on: training queries near one of theirs are left out.
    held_out: tuple[bounds.Ref, ...] = ()
    positives: Literal["retrieved", "judged"] = "retrieved"  # ours: see pairs.labelled_pairs
    max_length: bounds.Length = 512  # query and document together; TRL 2025's max_prompt_length
    # The released weights' type. It is what is computed in, by autocast: load weights in float32.
    precision: bounds.Precision = "bfloat16"
    gradient_checkpointing: bool = False
    seed: bounds.Seed = 42
    note: str = ""

    def __post_init__(self) -> None:
        bounds.check_bounds(self, self.name)
        self.warmup.check(f"{self.name}: warmup")

    def request(self, stage: str) -> dict[str, Any]:
        """The settings that decide the weights of a stage: everything but names and saving.

        "warmup" and "sft" share the settings of stage 1, so that both see the same batches.
        """
        if stage not in STAGES:
            raise InputError(f"stage {stage!r}: expected one of {', '.join(STAGES)}")
        values = asdict(self)
        settings = values["fine_grained" if stage == "fine_grained" else "warmup"]
        for name in ("name", "note", "warmup", "fine_grained"):
            del values[name]
        del settings["save_steps"]
        if stage == "sft":
            settings = {k: v for k, v in settings.items() if k in _SUPERVISED}
        return {"stage": stage, **values, "settings": settings}


# Settings of stage 1 that supervised training has too.
_SUPERVISED = {
    "steps", "learning_rate", "warmup_ratio", "scheduler", "adam_beta1", "adam_beta2",
    "weight_decay", "max_grad_norm", "forward_pairs", "pairs_per_step", "balanced",
}  # fmt: skip


def fine_grained_alone(recipe: Recipe) -> Recipe:
    """The recipe with stage 2 alone for as many updates and pairs as both stages take.

    The control of the paper's central claim. Raises InputError where a batch of one stage holds
    more pairs than one of the other, or stage 1 makes several updates of a batch.
    """
    first, second = recipe.warmup, recipe.fine_grained
    if first.pairs_per_step != second.pairs_per_step or first.num_iterations != 1:
        raise InputError(
            f"{recipe.name}: {first.pairs_per_step} pairs a step in stage 1 ({first.num_iterations}"
            f" updates) and {second.pairs_per_step} in stage 2; a control of equal updates and "
            "pairs needs as many in both, and one update each"
        )
    longer = replace(second, steps=first.steps + second.steps)
    return replace(recipe, name=f"{recipe.name}-stage2-alone", fine_grained=longer)


def load_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe by the name of its file in recipes/, or by path; `changes` replace settings."""
    return named_recipe(RECIPES, name, Recipe, **changes)


def arithmetic(recipe: Recipe, pairs: int | None = None, groups: int | None = None) -> list[str]:
    """What the stages amount to, line by line; `pairs` and `groups` count the training data."""
    first, second = recipe.warmup, recipe.fine_grained
    seen = first.steps * first.pairs_per_step
    grouped = second.steps * second.groups_per_step
    passes = first.group_size if first.method == "trl" else 1
    lines = [
        f"stage 1: {first.steps} steps x {first.pairs_per_step} pairs = {seen:,} pairs, "
        f"{seen * first.group_size:,} answers, {first.steps * first.num_iterations} updates",
        f"stage 1 computes {seen * passes:,} prompts a pass ({first.method})",
        f"stage 2: {second.steps} steps x {second.groups_per_step} groups of "
        f"{1 + second.negatives} = {grouped:,} groups, {second.steps * second.pairs_per_step:,} "
        f"pairs, {second.steps} updates ({second.loss})",
    ]
    if pairs is not None:
        lines.append(f"{pairs:,} training pairs: {seen / max(1, pairs):.2f} epochs in stage 1")
    if groups is not None:
        lines.append(f"{groups:,} training groups: {grouped / max(1, groups):.2f} epochs")
    return lines
