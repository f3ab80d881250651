"""Controls on what is known of the groups: wrong labels, few labels, soft targets of others.

Scores of a teacher belong to documents. After `with_noise` the columns hold other documents, so
take them for the changed set (`teacher_scores` finds the couples it has already scored).
"""

from __future__ import annotations

import numpy as np

from ir_replications.bert_distill_losses.training.training_set import TrainingSet
from ir_replications.shared.errors import InputError


def with_noise(set: TrainingSet, share: float, seed: int) -> TrainingSet:
    """The set with columns 0 and 1 swapped in `share` of the labelled groups: wrong labels.

    The number is rounded; other groups stay as they are. Raises InputError for a share outside
    [0, 1].
    """
    _check("label noise", share)
    labelled = np.flatnonzero(set.labelled)
    number = round(share * len(labelled))
    chosen = np.random.default_rng(seed).permutation(labelled)[:number]
    groups = set.groups.copy()
    groups[chosen, 0], groups[chosen, 1] = set.groups[chosen, 1], set.groups[chosen, 0]
    note = f"label noise {share:g}: {number} of {len(labelled)} labelled groups swapped"
    return set.changed(f"{note}, seed {seed}", groups=groups)


def with_fraction(set: TrainingSet, share: float, seed: int) -> TrainingSet:
    """The set with the labels of `share` of each source's labelled queries; the rest unlabelled.

    Of queries, not of groups: over several epochs nearly every relevant document would be in one
    labelled group. Documents stay in their columns. Raises InputError for a share outside [0, 1].
    """
    _check("labelled fraction", share)
    random = np.random.default_rng(seed)
    labelled = np.zeros_like(set.labelled)
    of, kept = 0, 0
    for place in range(len(set.sources)):
        rows = set.labelled & (set.source == place)
        queries = np.unique(set.query[rows])
        chosen = random.permutation(queries)[: round(share * len(queries))]
        labelled |= rows & np.isin(set.query, chosen)
        of, kept = of + len(queries), kept + len(chosen)
    note = f"labels of {kept} of {of} queries, {labelled.sum()} of {set.labelled.sum()} groups"
    return set.changed(f"{note}, seed {seed}", labelled=labelled)


def shuffled(scores: np.ndarray, seed: int, *, columns: bool = False) -> np.ndarray:
    """Teacher scores (n, m) with their rows permuted: every group has those of another.

    Where column 0 is relevant, a good teacher's rows say so in any order: only how sure it is of
    which group is lost. `columns` permutes within each row too, and nothing is left. Raises
    InputError for fewer than two rows.
    """
    if scores.ndim != 2 or len(scores) < 2:
        raise InputError(f"teacher scores {scores.shape}: expected (n, m) with n > 1 to shuffle")
    random = np.random.default_rng(seed)
    order = random.permutation(len(scores))
    moved = np.empty_like(scores)
    # A cycle through the permutation: no row keeps its own scores.
    moved[order] = scores[np.roll(order, 1)]
    return random.permuted(moved, axis=1) if columns else moved


def _check(what: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError(f"{what} {share}: expected a share in [0, 1]")
