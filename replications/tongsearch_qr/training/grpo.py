"""GRPO training of the query reasoner with TRL: section 1.5's set-up from a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.training.adapters import check_targets
from ir_replications.tongsearch_qr.method.prompts import instructed, messages
from ir_replications.tongsearch_qr.method.reward import RelevanceReward
from ir_replications.tongsearch_qr.training.data import Row
from ir_replications.tongsearch_qr.training.recipe import Recipe


def make_trainer(
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    reward: RelevanceReward,
    output_dir: Path,
    callbacks: Sequence[Any] = (),
) -> Any:
    """A TRL GRPOTrainer with every setting of the recipe; nothing is left to TRL's defaults.

    Raises MissingDependencyError without trl, and InputError when fewer questions fit the
    recipe's prompt length than one step takes, or no vLLM server answers.
    """
    try:
        from trl import GRPOConfig, GRPOTrainer
    except ImportError as error:
        raise MissingDependencyError(
            "GRPO training needs trl and peft: pip install 'ir-replications[tongsearch_qr]'"
        ) from error
    arguments = GRPOConfig(
        **common_arguments(recipe, output_dir),
        per_device_train_batch_size=recipe.per_device_batch,
        gradient_accumulation_steps=recipe.accumulation,
        steps_per_generation=recipe.accumulation,  # one rollout per optimiser step: on-policy
        num_generations=recipe.group_size,
        num_iterations=recipe.num_iterations,
        max_completion_length=recipe.max_completion_tokens,
        temperature=recipe.temperature,
        top_k=recipe.top_k,
        top_p=recipe.top_p,
        repetition_penalty=1.0,
        beta=recipe.kl_beta,
        # TRL 1.16 multiplies the KL term by the importance ratio; its releases of 2025 did not.
        use_bias_correction_kl=False,
        epsilon=recipe.epsilon,
        importance_sampling_level="token",
        scale_rewards=recipe.scale_rewards,
        loss_type=recipe.loss_type,
        mask_truncated_completions=recipe.mask_truncated,
        disable_dropout=True,
        shuffle_dataset=True,
        use_vllm=recipe.vllm != "off",
        vllm_mode=recipe.vllm if recipe.vllm != "off" else "colocate",
        vllm_importance_sampling_correction=recipe.vllm_importance_correction,
        remove_unused_columns=False,
    )
    questions = dataset(recipe, tokenizer, rows)
    try:  # TRL seeds itself from `seed` before it creates the adapter.
        return GRPOTrainer(
            model=model,
            reward_funcs=cast(Any, reward),
            args=arguments,
            train_dataset=questions,
            processing_class=tokenizer,
            peft_config=lora_config(recipe, model),
            callbacks=list(callbacks),
        )
    except ConnectionError as error:  # TRL waited four minutes for it
        raise InputError(
            f"{recipe.name}: no vLLM server answers; start it on a GPU of its own: trl vllm-serve "
            f"--model {recipe.model.removeprefix('hub:').partition('@')[0]}"
        ) from error


def common_arguments(recipe: Recipe, output_dir: Path) -> dict[str, Any]:
    """Optimiser, precision, seeds, logging and saving: the same for every way of training."""
    import torch

    floor = {"min_lr_rate": recipe.min_lr_rate}
    return {
        "output_dir": str(output_dir),
        "max_steps": recipe.max_steps,
        "learning_rate": recipe.learning_rate,
        "adam_beta1": recipe.adam_beta1,
        "adam_beta2": recipe.adam_beta2,
        "weight_decay": recipe.weight_decay,
        "warmup_steps": round(recipe.warmup_ratio * recipe.max_steps),
        "lr_scheduler_type": recipe.scheduler,
        "lr_scheduler_kwargs": floor if recipe.scheduler == "cosine_with_min_lr" else {},
        "max_grad_norm": recipe.max_grad_norm,
        "bf16": recipe.precision == "bfloat16",
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "use_cpu": not torch.cuda.is_available(),
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "logging_steps": 1,
        "save_steps": recipe.save_steps,
        "save_total_limit": None,  # SealCheckpoints
        "report_to": ["tensorboard"] if find_spec("tensorboard") else [],
        "dataloader_num_workers": 0,
    }


def dataset(recipe: Recipe, tokenizer: Any, rows: Sequence[Row]) -> Any:
    """The training questions as TRL takes them: prompt (chat messages), query, positives.

    They are shuffled as the released script shuffles what it loads (Dataset.shuffle). `query` is
    the instruction-wrapped question, whose similarity the released code subtracts. Questions whose
    prompt is longer than the recipe allows are left out.
    """
    from datasets import Dataset

    entries = []
    for row in rows:
        prompt = messages(row.query, recipe.prompt, think=recipe.think)
        ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True)
        length = len(ids["input_ids"] if hasattr(ids, "keys") else ids)
        if length <= recipe.max_prompt_tokens:
            entries.append(
                {
                    "prompt": prompt,
                    "query": instructed(row.query, recipe.prompt),
                    "positives": list(row.positives),
                }
            )
    if len(entries) < recipe.prompts_per_step:
        raise InputError(
            f"{recipe.data}: {len(entries)} of {len(rows)} questions have a prompt of at most "
            f"{recipe.max_prompt_tokens} tokens; one step takes {recipe.prompts_per_step}"
        )
    questions = Dataset.from_list(entries)
    seed = recipe.loading_seed
    return questions if seed is None else questions.shuffle(seed=seed)


def lora_config(recipe: Recipe, model: Any) -> Any:
    """The recipe's adapter of `model` for peft; None: every parameter is trained.

    Raises InputError for a target that the model does not have.
    """
    if recipe.lora is None:
        return None
    from peft import LoraConfig

    check_targets(model, recipe.lora.targets, recipe.name)
    return LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=list(recipe.lora.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
