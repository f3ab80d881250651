"""How close a student's layers are to the teacher's, on pairs that neither was trained on.

"Intermediate losses hurt" can be said only of a student that learnt them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ir_replications.bert_distill_losses.experiments.systems import development_task
from ir_replications.bert_distill_losses.training.data import development, training_data
from ir_replications.bert_distill_losses.training.recipe import Recipe
from ir_replications.bert_distill_losses.training.run import SINGLE, Teachers
from ir_replications.engine.context import Context

PAIRS = 64
TERMS = ("embedding", "hidden", "attention")


def closeness(student: Any, recipe: Recipe, context: Context) -> dict[str, float]:
    """TinyBERT's losses between a student and the single teacher on development pairs.

    "hidden, held out" and so on: means over tokens of PAIRS pairs of the first training
    collection; nothing where that one has no development queries, and where the student's width
    is another, which would need its projection, where it reads other tokens, and where its layers
    do not divide the teacher's.
    """
    import torch

    from ir_replications.bert_distill_losses.method.layer_objective import LayerObjective
    from ir_replications.bert_distill_losses.method.states import encode_states, width
    from ir_replications.bert_distill_losses.ranker.files import load_ranker
    from ir_replications.bert_distill_losses.ranker.tokens import PairTokens

    if not development(recipe.data[0], context)[1]:
        return {}
    data = training_data(recipe, "teacher", SINGLE[0], context)
    teacher = load_ranker(Teachers(recipe, data, context.download).single().weights)
    teacher = teacher.to(student.device)
    same_width = width(student.encoder) == width(teacher.encoder)
    same_tokens = student.tokenizer.get_vocab() == teacher.tokenizer.get_vocab()
    if not same_width or not same_tokens or teacher.layers % student.layers:
        return {}
    couples = development_task(recipe.data[0], 10, context).couples
    chosen = np.linspace(0, len(couples) - 1, min(PAIRS, len(couples))).astype(int)
    tokens = PairTokens(
        student.tokenizer, couples.queries, couples.documents,
        query_length=recipe.query_length, max_length=recipe.max_length, types=recipe.token_types,
    )  # fmt: skip
    inputs = tokens.batch(couples.query[chosen], couples.document[chosen])
    inputs = {name: values.to(student.device) for name, values in inputs.items()}
    objective = LayerObjective(TERMS, student.encoder, teacher.encoder)
    with torch.inference_mode():
        found = objective(
            encode_states(student.encoder, inputs), encode_states(teacher.encoder, inputs)
        )
    return {f"{term}, held out": float(loss) for term, loss in found.items()}
