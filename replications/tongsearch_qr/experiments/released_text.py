"""What a reasoned query is as a text, and which of its features go with a gain in retrieval."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ir_replications.shared.errors import InputError

# ours: a text that ends in none of these counts as cut off; this gives the known counts.
TERMINAL = frozenset('.!?:)]}"`*')
SENTENCE_ENDS = frozenset(".!?")
# Features in the joint regression by what they stand for; "question" is there as a control.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "length": ("words", "truncated"),
    "format": ("headings", "list_items", "code_blocks"),
    "wording": ("repeated", "query_kept", "answer_gained", "answer_lost"),
    "question": ("query_words", "answer_in_query"),
}
RESAMPLES = 2000

_HEADING = re.compile(r"^\s{0,3}#{1,6}(?:\s|$)", re.MULTILINE)
_LIST_ITEM = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_FENCE = re.compile(r"^\s*```", re.MULTILINE)
_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_THINK = re.compile(r"</?(?:think|answer)>")


def form(text: str) -> dict[str, int]:
    """Length, ending and Markdown of a text.

    words (by white space), truncated (its last character is not in TERMINAL), unfinished (it is
    no full stop, exclamation or question mark), starts_with_heading ("#"), headings, list_items,
    code_blocks (an open one counts), chinese (1 where it has Chinese characters), think_tags (1
    where it has <think> or <answer> tags), empty.
    """
    last = text.rstrip()[-1:]
    return {
        "words": len(text.split()),
        "truncated": int(last not in TERMINAL),
        "unfinished": int(last not in SENTENCE_ENDS),
        "starts_with_heading": int(text.startswith("#")),
        "headings": len(_HEADING.findall(text)),
        "list_items": len(_LIST_ITEM.findall(text)),
        "code_blocks": (len(_FENCE.findall(text)) + 1) // 2,
        "chinese": int(bool(_CHINESE.search(text))),
        "think_tags": int(bool(_THINK.search(text))),
        "empty": int(not last),
    }


def repeated(tokens: Sequence[str]) -> float:
    """Share of a text's tokens that occurred in it before."""
    return 1 - len(set(tokens)) / len(tokens) if tokens else 0.0


def kept(query: Sequence[str], reasoned: Sequence[str]) -> float:
    """Share of the query's distinct tokens that the reasoned query has."""
    return _share(set(query) & set(reasoned), set(query), {})


def wording(
    query: Sequence[str],
    reasoned: Sequence[str],
    answer: Sequence[str],
    weights: Mapping[str, float],
) -> dict[str, float]:
    """How the reasoned query's tokens relate to those of the query and of the answer it must find.

    Of the answer's distinct tokens, weighed by `weights` (such as idf; 1 where it has none):
    answer_gained, the share that only the reasoned query has; answer_lost, the share that only
    the original query has; answer_in_query, the share that the original query has.
    """
    before, after, goal = set(query), set(reasoned), set(answer)
    return {
        "repeated": repeated(reasoned),
        "query_kept": kept(query, reasoned),
        "answer_gained": _share(goal & after - before, goal, weights),
        "answer_lost": _share(goal & before - after, goal, weights),
        "answer_in_query": _share(goal & before, goal, weights),
    }


def _share(part: set[str], whole: set[str], weights: Mapping[str, float]) -> float:
    # Sorted: a sum in the order of a set differs in its last bits from run to run.
    total = sum(weights.get(token, 1.0) for token in sorted(whole))
    return sum(weights.get(token, 1.0) for token in sorted(part)) / total if total else 0.0


@dataclass(frozen=True)
class Effect:
    """A number with its bootstrap interval (percentiles, queries resampled)."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Regression:
    """Least squares of the gain on all features together.

    `effects`: change of the gain per standard deviation of a feature, the others held fixed;
    `r2`: share of the gain's variance explained; `r2_lost`: what it loses without a group.
    """

    effects: dict[str, Effect]
    r2: float
    r2_lost: dict[str, float]


def varying(features: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """The features that are not the same for every query, float64 (n,)."""
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in features.items()}
    return {name: values for name, values in arrays.items() if np.ptp(values) > 0}


def correlations(
    features: Mapping[str, np.ndarray],
    gain: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Effect]:
    """Spearman's rho of each feature with the gain, ties as average ranks.

    A resample in which either is constant counts as rho = 0.
    """
    from scipy.stats import rankdata

    table, y = _table(features, gain)
    both = np.column_stack([table, y])

    def rho(rows: np.ndarray) -> np.ndarray:
        ranks = rankdata(rows, axis=0)
        ranks -= ranks.mean(axis=0)
        scale = np.sqrt((ranks**2).sum(axis=0))
        products = ranks[:, :-1].T @ ranks[:, -1]
        norms = scale[:-1] * scale[-1]
        return np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)

    draws = np.random.default_rng(seed).integers(len(y), size=(resamples, len(y)))
    drawn = np.array([rho(both[rows]) for rows in draws])
    return _effects(features, rho(both), drawn, level)


def regression(
    features: Mapping[str, np.ndarray],
    gain: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Regression:
    """Regress the gain on the standardised features (mean 0, standard deviation 1, ddof 0)."""
    table, y = _table(features, gain)
    z = (table - table.mean(axis=0)) / table.std(axis=0)
    x = np.column_stack([np.ones(len(y)), z])
    estimate = np.linalg.lstsq(x, y, rcond=None)[0]
    draws = np.random.default_rng(seed).integers(len(y), size=(resamples, len(y)))
    times = np.array([np.bincount(rows, minlength=len(y)) for rows in draws], dtype=np.float64)
    products = (x[:, :, None] * x[:, None, :]).reshape(len(y), -1)
    squares = (times @ products).reshape(resamples, x.shape[1], x.shape[1])
    # pinv: a resample may hold one value only of a rare feature, whose effect is then 0.
    drawn = np.linalg.pinv(squares, hermitian=True) @ (times @ (x * y[:, None]))[:, :, None]
    names = list(features)
    lost = {}
    for group, members in GROUPS.items():
        others = [1 + i for i, name in enumerate(names) if name not in members]
        lost[group] = _r2(x, y) - _r2(x[:, [0, *others]], y)
    effects = _effects(features, estimate[1:], drawn[:, 1:, 0], level)
    return Regression(effects, _r2(x, y), lost)


def _table(
    features: Mapping[str, np.ndarray], gain: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    y = np.asarray(gain, dtype=np.float64)
    for name, values in features.items():
        if len(values) != len(y) or np.ptp(values) == 0:
            raise InputError(f"feature {name}: expected {len(y)} values that are not all the same")
    if len(y) <= len(features) + 1:
        raise InputError(f"{len(y)} queries are too few for {len(features)} features")
    return np.column_stack(list(features.values())), y


def _r2(x: np.ndarray, y: np.ndarray) -> float:
    total = float(((y - y.mean()) ** 2).sum())
    left = float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum())
    return 1 - left / total if total else 0.0


def _effects(
    features: Mapping[str, np.ndarray], estimates: np.ndarray, drawn: np.ndarray, level: float
) -> dict[str, Effect]:
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return {
        name: Effect(float(estimates[i]), float(low[i]), float(high[i]))
        for i, name in enumerate(features)
    }
