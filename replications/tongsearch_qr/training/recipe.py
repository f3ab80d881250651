"""A training recipe: every setting of a GRPO run, each default with where it comes from.

"paper script" is scripts/train/train_grpo.py of the released repository at 1cdf6a48; settings it
leaves to TRL are written out here, since TRL's defaults changed between its releases.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from ir_replications.shared.errors import InputError
from ir_replications.shared.training import bounds, named_recipe

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters through peft; a recipe without them trains every parameter."""

    rank: bounds.Few = 16
    alpha: bounds.Few = 32
    dropout: bounds.Share = 0.0  # a dropped adapter would make old and new log-probabilities differ
    targets: bounds.Refs = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class Recipe:
    """One GRPO run. Batch sizes count completions, lengths count tokens."""

    name: bounds.Name
    model: bounds.Ref
    data: bounds.Ref
    max_steps: bounds.Steps
    # --- batch: 16 x 4 x 3 completions are 12 prompts a step (paper script)
    per_device_batch: bounds.Batch = 16
    accumulation: bounds.Batch = 4
    processes: bounds.Few = 3
    group_size: Annotated[int, bounds.Bounds(2, 65_536)] = 16
    # --- reward (paper script, reward.py)
    embedder: bounds.Ref = "hub:BAAI/bge-base-en-v1.5@a5beb1e3e68b9ab74eb54cfd186867f64f240e1a"
    reward_scale: bounds.Scale = 10.0
    failure_reward: Annotated[float, bounds.Bounds(-1_000, 1_000)] = -1.0
    subtract_baseline: bool = True
    think: bool = False
    # --- data
    prompt: Literal["training", "inference", "earlier-inference", "readme"] = "training"
    max_question_words: Annotated[int, bounds.Bounds(1, 100_000)] | None = (
        None  # ours, for CPU recipes: long prompts cost most
    )
    max_rows: Annotated[int, bounds.Bounds(1, 10**8)] | None = None
    held_out: Annotated[int, bounds.Bounds(0, 100_000)] = 0
    data_seed: bounds.Seed = 2024  # paper script: seed of the shuffle in build_dataset.py
    loading_seed: bounds.Seed | None = 5202  # paper script: of the shuffle when loaded; None: none
    # --- optimiser (paper script)
    learning_rate: bounds.Rate = 1e-6
    adam_beta1: bounds.Share = 0.9
    adam_beta2: bounds.Share = 0.99
    weight_decay: Annotated[float, bounds.Bounds(0, 10)] = 0.1
    warmup_ratio: bounds.Share = 0.1
    scheduler: Literal[
        "cosine_with_min_lr", "cosine", "linear", "constant", "constant_with_warmup"
    ] = "cosine_with_min_lr"
    min_lr_rate: Annotated[float, bounds.Bounds(0, 1)] = 0.1
    max_grad_norm: bounds.Scale = 0.1
    # --- objective
    kl_beta: bounds.Weight = 0.008  # paper script
    epsilon: bounds.Inner = 0.2  # TRL 0.16 to 0.23 default
    num_iterations: bounds.Few = 1  # TRL 0.16 to 0.23 default
    scale_rewards: Literal["group", "batch", "none"] = "group"  # TRL default in every version
    loss_type: Literal["bnpo", "dapo", "grpo", "dr_grpo"] = "bnpo"  # TRL 0.17; 0.23: dapo
    mask_truncated: bool = False  # TRL default; 4 of 5 released outputs are truncated
    # --- rollout
    temperature: bounds.Scale = 0.9  # TRL 0.16 and 0.17; 0.23: 1.0
    top_k: Annotated[int, bounds.Bounds(0, 500_000)] = 50  # TRL 0.16 and 0.17; 0.23: none
    top_p: bounds.Rate = 1.0  # TRL default
    max_prompt_tokens: bounds.Length = 8000  # paper script
    max_completion_tokens: bounds.Length = 500  # paper script
    vllm: Literal["off", "server", "colocate"] = "server"  # paper script: trl vllm-serve on GPU 0
    vllm_importance_correction: bool = False  # none in TRL 0.16 and 0.17; on in 0.23
    # --- weights
    lora: Lora | None = None
    precision: bounds.Precision = "bfloat16"  # paper script
    gradient_checkpointing: bool = True  # paper script, non-reentrant
    # --- run
    seed: bounds.Seed = (
        42  # paper script: its --seed 5202 names the folder; GRPOConfig.seed stays 42
    )
    save_steps: bounds.Steps = 50
    note: str = ""

    def __post_init__(self) -> None:
        bounds.check_bounds(self, self.name)
        completions = self.per_device_batch * self.accumulation * self.processes
        if completions % self.group_size:
            raise InputError(
                f"{self.name}: {self.per_device_batch} x {self.accumulation} x {self.processes} "
                f"completions a step do not divide into groups of {self.group_size}; expected "
                "groups of two or more that fill the batch"
            )

    @property
    def prompts_per_step(self) -> int:
        """Distinct questions in one optimiser step."""
        return self.per_device_batch * self.accumulation * self.processes // self.group_size

    def request(self) -> dict[str, Any]:
        """The settings that decide the trained weights: everything but names and saving."""
        values = asdict(self)
        for name in ("name", "note", "save_steps"):
            del values[name]
        return values


def load_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe by the name of its file in recipes/, or by path; `changes` replace settings."""
    return named_recipe(RECIPES, name, Recipe, **changes)


def arithmetic(recipe: Recipe, rows: int | None = None) -> list[str]:
    """What a run amounts to, line by line, for --dry-run."""
    completions = recipe.per_device_batch * recipe.accumulation * recipe.processes
    prompts = recipe.prompts_per_step * recipe.max_steps
    warmup = round(recipe.warmup_ratio * recipe.max_steps)
    lines = [
        f"{recipe.per_device_batch} per device x {recipe.accumulation} accumulation x "
        f"{recipe.processes} processes = {completions} completions a step",
        f"groups of {recipe.group_size}: {recipe.prompts_per_step} prompts a step",
        f"{recipe.max_steps} steps: {prompts:,} prompts, {prompts * recipe.group_size:,} "
        f"completions of at most {recipe.max_completion_tokens} tokens "
        f"({prompts * recipe.group_size * recipe.max_completion_tokens / 1e6:.1f} M tokens)",
        f"learning rate {recipe.learning_rate:g}, {warmup} warm-up steps, floor "
        f"{recipe.min_lr_rate * recipe.learning_rate:g}",
    ]
    if rows is not None:
        lines.append(f"{rows:,} training questions: {prompts / max(1, rows):.2f} epochs")
    return lines
