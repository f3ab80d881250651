"""Stage 1 with TRL's GRPOTrainer: the same objective and batches, its own sampling.

The trainer for texts of any length, as the peer that the exact path is tested and timed against.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from ir_replications.prorank.method.causal import context_of
from ir_replications.prorank.method.prompt import PromptTokenizer, answer_ids, prompt_text
from ir_replications.prorank.method.rewards import format_reward, relevance_reward, weights
from ir_replications.prorank.training.batches import pair_batches
from ir_replications.prorank.training.loop import finish, save_weights
from ir_replications.prorank.training.preparation import lora_config
from ir_replications.prorank.training.recipe import Recipe
from ir_replications.shared.errors import MissingDependencyError
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.pairs import Pair


def warmup_with_trl(
    model: Any, tokenizer: Any, pairs: Sequence[Pair], recipe: Recipe, folder: TrainingFolder
) -> dict[str, Any]:
    """`warmup` with TRL's trainer and checkpoints; the log has TRL's own names.

    "answers/0" and "answers/1" are shares among the answers drawn.
    """
    from transformers import set_seed

    from ir_replications.shared.training.callbacks import LogMetrics, SealCheckpoints

    if done := folder.finished():
        return done
    settings = recipe.warmup
    # transformers warns of its own renamed settings, which TRL still uses.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")
    began, clock = datetime.now(UTC), time.perf_counter()
    parameters = sum(p.numel() for p in model.parameters())
    with folder.one_line_errors():
        needed = 4 * 4 * parameters if recipe.lora is None else 10**8
        checkpoint = folder.start(needed, settings.steps * settings.num_iterations)
        set_seed(recipe.seed)  # before the trainer creates the adapter
        callbacks = [LogMetrics(folder), SealCheckpoints(folder)]
        trainer = make_trainer(model, tokenizer, pairs, recipe, folder, callbacks)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        trained = trainer.accelerator.unwrap_model(trainer.model)
        save_weights(trained, recipe, folder)
        return finish(
            folder,
            recipe,
            {
                "method": "trl",
                "updates": trainer.state.global_step,
                "pairs": settings.steps * settings.pairs_per_step,
                "steps": settings.steps,
                "trainable_parameters": sum(
                    p.numel() for p in trained.parameters() if p.requires_grad
                ),
                "resumed_from": checkpoint.name if checkpoint else None,
            },
            began,
            time.perf_counter() - clock,
        )


def make_trainer(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[Pair],
    recipe: Recipe,
    folder: TrainingFolder,
    callbacks: Sequence[Any] = (),
) -> Any:
    """A GRPOTrainer with every setting of the recipe; nothing is left to TRL's defaults.

    Prompts are the ids of PromptTokenizer, in the batches of the exact path. Raises
    MissingDependencyError without trl.
    """
    try:
        from datasets import Dataset, disable_progress_bars
        from trl import GRPOTrainer
    except ImportError as error:
        raise MissingDependencyError(
            "method trl needs trl and datasets: pip install 'ir-replications[prorank]'"
        ) from error
    settings, digits = recipe.warmup, answer_ids(tokenizer)
    labels = [pair.label for pair in pairs]
    batches = pair_batches(
        labels, settings.pairs_per_step, settings.steps, recipe.seed, settings.balanced
    )
    numbers = [i for batch in batches for i in batch]
    encode = PromptTokenizer(tokenizer, recipe.max_length, context_of(model)).encode
    texts = {i: prompt_text(pairs[i].query, pairs[i].document) for i in set(numbers)}
    ids = {text: encode(pairs[i].query, pairs[i].document) for i, text in texts.items()}

    class Trainer(GRPOTrainer):
        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict]:
            """The pieces tokenised apart, where TRL would tokenise the whole string."""
            return [ids[prompt] for prompt in prompts], None, {}

    def of_format(
        completions: list[str], completion_ids: list[list[int]], log_metric: Any, **_: Any
    ) -> list[float]:
        for answer, token in zip("01", digits, strict=True):
            drawn = [tokens[:1] == [token] for tokens in completion_ids]
            log_metric(f"answers/{answer}", sum(drawn) / len(drawn))
        return [format_reward(text) for text in completions]

    def of_relevance(completions: list[str], label: list[int], **_: Any) -> list[float]:
        return [relevance_reward(text, y) for text, y in zip(completions, label, strict=True)]

    of_format.__name__, of_relevance.__name__ = "format_reward", "relevance_reward"
    quiet = not sys.stderr.isatty()
    if quiet:
        disable_progress_bars()
    trainer = Trainer(
        model=model,
        reward_funcs=cast(Any, [of_format, of_relevance]),
        args=_arguments(recipe, folder),
        train_dataset=Dataset.from_list(
            [{"prompt": texts[i], "label": pairs[i].label} for i in numbers]
        ),
        processing_class=tokenizer,
        peft_config=lora_config(recipe, model),
        callbacks=list(callbacks),
    )
    if quiet:
        from transformers.trainer_callback import PrinterCallback, ProgressCallback

        trainer.remove_callback(ProgressCallback)
        trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(recipe: Recipe, folder: TrainingFolder) -> Any:
    """GRPOConfig of the recipe: batch sizes there count answers."""
    import torch
    from trl import GRPOConfig

    settings = recipe.warmup
    together = min(settings.forward_pairs, settings.pairs_per_step)
    accumulation = settings.pairs_per_step // together
    updates = settings.steps * settings.num_iterations
    return GRPOConfig(
        output_dir=str(folder.path),
        max_steps=updates,
        per_device_train_batch_size=together * settings.group_size,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,
        num_generations=settings.group_size,
        num_iterations=settings.num_iterations,
        max_completion_length=settings.max_completion_tokens,
        shuffle_dataset=False,  # the batches are made already, half relevant and half not
        temperature=settings.temperature,
        top_p=1.0,
        top_k=0,
        min_p=None,
        repetition_penalty=1.0,
        generation_kwargs=None,
        use_vllm=False,
        beta=settings.kl_beta,
        # TRL 1.16 multiplies the KL term by the importance ratio; its releases of 2025 did not.
        use_bias_correction_kl=False,
        sync_ref_model=False,
        epsilon=settings.epsilon,
        epsilon_high=None,
        delta=None,
        importance_sampling_level="token",
        off_policy_mask_threshold=None,
        # All token losses of one weight: the mean over answers, whatever their length.
        loss_type="grpo",
        scale_rewards=settings.scale_rewards,
        reward_weights=list(weights(settings.rewards)),
        multi_objective_aggregation="sum_then_normalize",
        mask_truncated_completions=False,
        top_entropy_quantile=1.0,
        entropy_coef=0.0,
        use_adaptive_entropy=False,
        disable_dropout=True,
        pad_to_multiple_of=None,
        cast_lm_head_to_fp32=False,
        optim="adamw_torch",
        learning_rate=settings.learning_rate,
        adam_beta1=settings.adam_beta1,
        adam_beta2=settings.adam_beta2,
        adam_epsilon=1e-8,
        weight_decay=settings.weight_decay,
        warmup_steps=round(settings.warmup_ratio * updates),
        lr_scheduler_type=settings.scheduler,
        max_grad_norm=settings.max_grad_norm,
        bf16=recipe.precision == "bfloat16",
        gradient_checkpointing=recipe.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        data_seed=recipe.seed,
        dataloader_num_workers=0,
        remove_unused_columns=False,
        logging_steps=1,
        log_completions=False,
        save_steps=settings.save_steps,
        save_total_limit=None,  # SealCheckpoints
        report_to=[],
    )
