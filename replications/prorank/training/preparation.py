"""A model made ready for training by a recipe: its adapter, no dropout, its device."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from ir_replications.prorank.training.recipe import Lora, Recipe
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.processor import usual_device
from ir_replications.shared.training import adapter_sha256
from ir_replications.shared.training.adapters import check_targets


def prepared(model: Any, recipe: Recipe, start: Path | None = None) -> Any:
    """The model ready for training, on the GPU if there is one, with dropout off.

    Seeds are set first. With LoRA a new adapter is attached, or the one in `start` goes on;
    without, every parameter is trained, from the weights in `start` if given. Changes `model`.
    """
    from transformers import set_seed

    set_seed(recipe.seed)  # before the adapter draws its random numbers
    if recipe.lora is None:
        if start is not None:
            model = type(model).from_pretrained(str(start), dtype=model.dtype)
        model.requires_grad_(True)
    else:
        model = _adapted(model, recipe, start)
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()  # gradient checkpointing works in training mode only
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    return model.to(usual_device())


def lora_config(recipe: Recipe, model: Any) -> Any:
    """The recipe's adapter of `model` for peft; None: every parameter is trained.

    Raises InputError where the recipe leaves more layers alone than the model has.
    """
    if recipe.lora is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingDependencyError(
            "adapters need peft: pip install 'ir-replications[prorank]'"
        ) from error

    check_targets(model, recipe.lora.targets, recipe.name)
    return LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=0.0,
        target_modules=list(recipe.lora.targets),
        layers_to_transform=_adapted_layers(model, recipe.lora),
        bias="none",
        task_type="CAUSAL_LM",
    )


def _adapted_layers(model: Any, lora: Lora) -> list[int] | None:
    """Numbers of the layers with an adapter, counting from the input; None: all of them."""
    if lora.first_layer == 0:
        return None
    layers = model.config.num_hidden_layers
    if lora.first_layer >= layers:
        raise InputError(f"lora: first_layer {lora.first_layer}, and the model has {layers} layers")
    return list(range(lora.first_layer, layers))


def _adapted(model: Any, recipe: Recipe, start: Path | None) -> Any:
    config = lora_config(recipe, model)
    from peft import PeftModel, get_peft_model

    with warnings.catch_warnings():  # peft asks transformers by a name that is about to change
        warnings.simplefilter("ignore", FutureWarning)
        if start is None:
            return get_peft_model(model, config)
        adapter_sha256(start)
        return PeftModel.from_pretrained(model, str(start), is_trainable=True)
