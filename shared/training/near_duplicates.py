"""Training queries that are near-duplicates of held-out ones.

Where both sides come from one collection they can be close: of a scientific claim one split can
have the negated form. Queries are short, so sets of stems are compared, word order and stop words
("not") left aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ir_replications.shared.analysis import tokenize
from ir_replications.shared.training.overlap import NearDuplicate, overlapping

ANALYZER = "lucene"
THRESHOLD = 0.5  # ours: finds paraphrases; a title with one word changed may be dropped in vain

_WORD = re.compile(r"\w+")


def near_duplicates(
    training: Mapping[str, str], held_out: Mapping[str, str], threshold: float = THRESHOLD
) -> list[NearDuplicate]:
    """Every pair whose sets of stems overlap by at least `threshold` (Jaccard), closest first.

    Both arguments map query id to text. A text of stop words alone is compared by its words.
    Raises InputError for a threshold outside (0, 1].
    """
    return overlapping(training, held_out, _stems, threshold)


def leaked_queries(
    training: Mapping[str, str],
    held_out: Iterable[Mapping[str, str]],
    threshold: float = THRESHOLD,
) -> frozenset[str]:
    """Ids of the training queries near a query of any held-out set (test, dev, other tests)."""
    return frozenset(
        pair.train_id for texts in held_out for pair in near_duplicates(training, texts, threshold)
    )


def _stems(texts: Sequence[str]) -> Iterator[set[str]]:
    for text, tokens in zip(texts, tokenize(texts, ANALYZER), strict=True):
        yield set(tokens) or set(_WORD.findall(text.casefold()))
