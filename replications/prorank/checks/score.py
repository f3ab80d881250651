"""Golden checks A3, A4, A8 and A9: the score, its linear form, its normalisation, its ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ir_replications.prorank.checks.tiny_llama import byte_tokenizer, inputs, tiny_llama
from ir_replications.prorank.method.score import (
    MIDPOINTS,
    PairScorer,
    logit_difference,
    normalise,
    p_one,
    score_pairs_plain,
)
from ir_replications.shared.errors import InputError

Facts = dict[str, float | int | str | bool | list]

BASE, LARGE = MIDPOINTS
# Published by an author in pull request 8 of the released code: three documents for one query,
# normalised, in bfloat16; the raw scores behind them are multiples of 1/16.
PUBLISHED = {
    BASE: [0.9908744096755981, 0.01912403479218483, 0.3775406777858734],
    LARGE: [0.9978172779083252, 0.0006263342220336199, 0.9755768775939941],
}
RAW = {BASE: [9.1875, 0.5625, 4.0], LARGE: [12.125, -1.375, 9.6875]}
# The sigmoid of bfloat16 logits, rounded to bfloat16.
SATURATION = {4.0: 0.98046875, 5.0: 0.9921875, 5.5: 0.99609375, 6.0: 0.99609375, 6.25: 1.0}


def a3() -> Facts:
    """The score is the log-odds of the two answers and depends on no other logit."""
    import torch

    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(256, 50, generator=generator, dtype=torch.float64)
    scores = logit_difference(logits.float(), 15, 16)
    log_p = logits.log_softmax(-1)
    two_way = logits[:, [15, 16]].softmax(-1)[:, 1]
    others = logits.clone()
    others[:, torch.arange(50) > 16] += 3
    errors = [
        gap(scores, log_p[:, 16] - log_p[:, 15]),
        gap(torch.from_numpy(p_one(scores)), two_way),
        abs(float(p_one(3.2 - -1.1)) - 0.9866130822),
        gap(logit_difference((logits + 2).float(), 15, 16), scores),
    ]
    example = torch.tensor([[4.0, 5.0], [1.0, 4.0]])  # (z0, z1) of two documents
    sums, differences = example.sum(-1), logit_difference(example, 0, 1)
    return {
        "max_error": max(errors),
        "effect_of_other_logits": gap(logit_difference(others.float(), 15, 16), scores),
        "sum_orders_otherwise": bool((sums[0] > sums[1]) & (differences[0] < differences[1])),
    }


def a4() -> Facts:
    """The last state times w1 - w0 against the logits of the whole vocabulary."""
    tokenizer = byte_tokenizer("qwen")
    pairs = [(query, document) for query, document, _ in inputs(24, seed=2)]
    scores, wrong, rows, spread = 0, 0, 0, []
    for tied, bias in ((True, False), (False, False), (False, True)):
        model = tiny_llama(len(tokenizer), tied=tied, bias=bias)
        scorer = PairScorer(model, tokenizer, batch_size=5)
        plain = score_pairs_plain(model, tokenizer, pairs, batch_size=5)
        wrong += int((np.abs(scorer.score(pairs) - plain) > 1e-5).sum())
        scores += len(pairs)
        spread.append(float(plain.std()))
        rows += scorer.path == "row"
    return {"models": rows, "scores": scores, "violations": wrong, "spread": round(min(spread), 3)}


def a8() -> Facts:
    """Normalised scores of pull request 8, and a name whose midpoint nobody knows."""
    errors, wrong = [], []
    for name, published in PUBLISHED.items():
        for found in (normalise(RAW[name], name), normalise(RAW[name], MIDPOINTS[name])):
            errors += np.abs(found - published).tolist()
        if np.argsort(published)[::-1].tolist() != [0, 2, 1]:
            wrong.append(f"order of {name}")
    grid = normalise(np.arange(-30, 30, 1 / 16), BASE)
    try:
        normalise([1.0], "models/mxbai-rerank-base-v2")
        wrong.append("the path of a local copy has a midpoint")
    except InputError:
        pass
    # What the released code does with that path: the base model's scores, the large one's midpoint.
    fallback = normalise(RAW[BASE], LARGE)
    return {
        "max_error": max(errors),
        "violations": len(wrong) + int((np.diff(grid) <= 0).sum()),
        "wrong": wrong,
        "local_path_error_as_released": float(np.abs(fallback - PUBLISHED[BASE]).max()),
    }


def a9() -> Facts:
    """Ties: the sigmoid in bfloat16, in float32, and the raw score, on multiples of 1/16."""
    import torch

    half = torch.bfloat16
    known = torch.tensor(list(SATURATION), dtype=half).sigmoid().float()
    # Every bfloat16 number from 4 to 12: 7 bits after the first one.
    logits = torch.cat([torch.arange(4, 8, 1 / 32), torch.arange(8, 12, 1 / 16)]).to(half)
    full = logits.sigmoid() == 1
    scores = torch.arange(-12, 12 + 1 / 16, 1 / 16)
    return {
        "max_error": gap(known, torch.tensor(list(SATURATION.values()))),
        "saturates_from": float(logits[full].min()),
        "last_below": float(logits[~full].max()),
        "scores": len(scores),
        "distinct_scores": len(scores.unique()),
        "distinct_sigmoid_bfloat16": len(scores.to(half).sigmoid().unique()),
        "distinct_sigmoid_float32": len(scores.sigmoid().unique()),
        "distinct_p_one": len(np.unique(p_one(scores))),
    }


def gap(a: Any, b: Any) -> float:
    """The greatest absolute difference of two tensors, in float64."""
    return float((a.double() - b.double()).abs().max())


CHECKS: dict[str, Callable[[], Facts]] = {"A3": a3, "A4": a4, "A8": a8, "A9": a9}
