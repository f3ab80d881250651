"""What any causal language model needs to run on rows of tokens: inputs, unwrapping, eval mode."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ir_replications.prorank.method.prompt import pad_left
from ir_replications.shared.errors import InputError


def model_inputs(
    model: Any, rows: Sequence[Sequence[int]], pad_id: int, shared: int = 0, multiple: int = 8
) -> dict[str, Any]:
    """Left-padded ids, mask and positions of the rows, tensors on the model's device.

    The first `shared` tokens, whose keys and values the caller has, are in the mask (n, shared + L)
    alone; ids and positions are (n, L), L a multiple of `multiple`.

    Positions count from each row's first token. The released code leaves them to the model, whose
    rotary embedding sees differences only; with absolute positions padding would move the scores.
    """
    import torch

    causal = unwrapped(model)
    ids, mask = pad_left([row[shared:] for row in rows], pad_id, multiple)
    mask = np.concatenate([np.ones((len(rows), shared), dtype=mask.dtype), mask], axis=1)
    arrays = {"input_ids": ids, "attention_mask": mask}
    if accepts(causal, "position_ids"):
        arrays["position_ids"] = np.maximum(mask.cumsum(axis=1) - 1, 0)[:, shared:]
    return {name: torch.from_numpy(array).to(causal.device) for name, array in arrays.items()}


def unwrapped(model: Any) -> Any:
    """The causal LM in a peft wrapper, its adapters in place; other models as they are.

    Raises InputError for adapters that prepend tokens (prompt and prefix tuning).
    """
    if not hasattr(model, "get_base_model"):
        return model
    for name, config in model.peft_config.items():
        if config.is_prompt_learning:
            raise InputError(f"adapter {name!r} prepends tokens to the prompt; use a LoRA adapter")
    return model.get_base_model()


def context_of(model: Any) -> int | None:
    """The positions that a model has, None where its configuration does not say."""
    return getattr(unwrapped(model).config, "max_position_embeddings", None)


def accepts(model: Any, name: str) -> bool:
    """Whether the model's forward has a parameter of this name."""
    return name in inspect.signature(model.forward).parameters


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Without dropout; each module is afterwards in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
