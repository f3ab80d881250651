"""Near-duplicates between training questions and evaluation queries.

No overlap audit of the paper's training data is known, while both it and seven of BRIGHT's subsets
are Stack Exchange posts. The comparison is exact: sets of word n-grams, no hashing, no sampling.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from ir_replications.shared.errors import InputError
from ir_replications.shared.training.overlap import NearDuplicate, overlapping
from ir_replications.tongsearch_qr.training.data import Row

N_WORDS = 5  # ours: long enough that phrases of the language do not match by themselves
THRESHOLD = 0.5  # ours

_WORD = re.compile(r"\w+")


def shingles(text: str, n: int = N_WORDS) -> set[tuple[str, ...]]:
    """Return the n-grams of the text's words, without case and punctuation.

    A text of fewer than n words has one, of all its words; a text without words has none.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if not words:
        return set()
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def find_leaks(
    training: Mapping[str, str],
    evaluation: Mapping[str, str],
    *,
    n: int = N_WORDS,
    threshold: float = THRESHOLD,
    measure: str = "jaccard",
) -> list[NearDuplicate]:
    """Return every pair (training text, evaluation text) at least `threshold` similar.

    Both arguments map id to text. "jaccard" is the share of common n-grams among all of both
    texts, "containment" among those of the shorter text: it also finds a question that is quoted
    whole in a longer one. Pairs are sorted by falling similarity, then ids. Raises InputError
    for n below 1, a threshold outside (0, 1] and an unknown measure.
    """
    if n < 1 or not 0 < threshold <= 1:
        raise InputError(
            f"near-duplicates: expected n of 1 or more and a threshold in (0, 1], got {n} and "
            f"{threshold}"
        )
    return overlapping(
        training,
        evaluation,
        lambda texts: (shingles(text, n) for text in texts),
        threshold,
        measure,
    )


def find_leaked_rows(
    rows: Iterable[Row],
    evaluation: Mapping[str, str],
    *,
    n: int = N_WORDS,
    threshold: float = THRESHOLD,
    measure: str = "jaccard",
) -> list[NearDuplicate]:
    """Return the pairs of `find_leaks` between the questions of `rows` and `evaluation`."""
    questions = {row.id: row.query for row in rows}
    return find_leaks(questions, evaluation, n=n, threshold=threshold, measure=measure)


def drop_leaked(rows: Iterable[Row], leaks: Iterable[NearDuplicate]) -> list[Row]:
    """Return the rows that are in no pair, in order. Raises InputError when none is left."""
    rows, leaked = list(rows), {leak.train_id for leak in leaks}
    kept = [row for row in rows if row.id not in leaked]
    if not kept:
        raise InputError(
            f"training rows: all {len(rows)} are near-duplicates of evaluation queries; give others"
        )
    return kept


def separated(train: Iterable[Row], held_out: Iterable[Row]) -> list[Row]:
    """Return the training rows that are not near-duplicates of a held-out question, in order.

    A split by chance leaves close questions on both sides, such as the summaries of functions
    that differ in one word; what is measured on the held-out side is then partly memory.
    """
    train = list(train)
    questions = {row.id: row.query for row in held_out}
    return drop_leaked(train, find_leaked_rows(train, questions))
