"""Supervised fine-tuning on the same questions: the comparison of the paper's ablation.

The target is the question's first positive document, cut at the recipe's completion length, so
that both methods see the same pairs and produce texts of the same length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import MissingDependencyError
from ir_replications.tongsearch_qr.method.prompts import messages
from ir_replications.tongsearch_qr.training.data import Row
from ir_replications.tongsearch_qr.training.grpo import common_arguments, lora_config
from ir_replications.tongsearch_qr.training.recipe import Recipe


def make_sft_trainer(
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    output_dir: Path,
    callbacks: Sequence[Any] = (),
) -> Any:
    """A TRL SFTTrainer on (prompt, positive document); the loss covers the completion alone.

    A step takes as many questions as a GRPO step of the recipe, and there are as many steps.
    """
    try:
        from trl import SFTConfig, SFTTrainer
    except ImportError as error:
        raise MissingDependencyError(
            "training needs trl and peft: pip install 'ir-replications[tongsearch_qr]'"
        ) from error
    from datasets import Dataset

    entries = [
        {
            "prompt": messages(row.query, recipe.prompt),
            "completion": [{"role": "assistant", "content": first_tokens(tokenizer, row, recipe)}],
        }
        for row in rows
    ]
    arguments = SFTConfig(
        **common_arguments(recipe, output_dir),
        per_device_train_batch_size=max(1, recipe.prompts_per_step // recipe.processes),
        gradient_accumulation_steps=1,
        max_length=recipe.max_prompt_tokens + recipe.max_completion_tokens + 8,
        completion_only_loss=True,
        packing=False,
    )
    return SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(entries),
        processing_class=tokenizer,
        peft_config=lora_config(recipe, model),
        callbacks=list(callbacks),
    )


def first_tokens(tokenizer: Any, row: Row, recipe: Recipe) -> str:
    """The first positive document, cut at the recipe's completion length."""
    ids = tokenizer(row.positives[0], add_special_tokens=False)["input_ids"]
    return tokenizer.decode(ids[: recipe.max_completion_tokens], skip_special_tokens=True)
