"""Checks of a loaded index: the compiled search follows its numbers without looking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ir_replications.bmx.method.entropy import entropy_table
from ir_replications.bmx.retrieval.index import ARRAYS, Index
from ir_replications.shared.errors import InputError

TYPES = {
    "indptr": (np.int64,),
    "docs": (np.uint32,),
    "tf": (np.uint16, np.uint32),
    "entropies": (np.float64,),
    "lengths": (np.uint16, np.uint32),
}
CHUNK = 1 << 22  # postings looked at together: temporary memory of some tens of megabytes


def check_index(index: Index, where: str) -> None:
    """Raise InputError, starting with `where`, unless arrays and vocabulary are those of an index.

    Types and sizes agree, each list of postings names documents of the collection in ascending
    order with frequencies that add up to the documents' lengths, and entropies are possible.
    """

    def need(holds: Any, what: str) -> None:
        if not holds:
            raise InputError(f"{where}: damaged ({what}); index the corpus and save it again")

    for name in ARRAYS:
        array = getattr(index, name)
        need(array.ndim == 1 and array.dtype in TYPES[name], f"{name} is of another type")
    indptr, docs, tf, n_terms = index.indptr, index.docs, index.tf, len(index.vocabulary)
    need(len(index.lengths), "no documents")
    need(len(indptr) == n_terms + 1, "indptr does not fit the vocabulary")
    need(len(index.entropies) == n_terms, "entropies do not fit the vocabulary")
    need(len(docs) == len(tf), "docs and tf differ in length")
    need(indptr[0] == 0 and indptr[-1] == len(docs), "indptr does not span the postings")
    need(np.all(indptr[1:] >= indptr[:-1]), "indptr does not ascend")
    need(not len(docs) or docs.max() < len(index.lengths), "a document id out of range")
    df = np.diff(indptr)
    highest = df * (entropy_table().max() * (1 + 1e-9))
    need(np.all((index.entropies >= 0) & (index.entropies <= highest)), "an impossible entropy")
    _check_postings(index, need)
    need({str}.issuperset(map(type, index.vocabulary)), "the vocabulary holds other than texts")
    need(len(index.known) == np.count_nonzero(df), "a token is listed twice")


def _check_postings(index: Index, need: Callable[[Any, str], None]) -> None:
    """Documents ascend inside each list; frequencies are those of documents of these lengths."""
    docs, tf, n_docs = index.docs, index.tf, len(index.lengths)
    starts = index.indptr[1:-1]  # where a list may begin with a smaller document
    totals = np.zeros(n_docs)
    step = max(CHUNK, n_docs)
    for at in range(0, len(docs), step):
        part = docs[at : at + step + 1]
        ascends = part[1:] > part[:-1]
        here = starts[np.searchsorted(starts, at + 1) : np.searchsorted(starts, at + len(part))]
        ascends[here - at - 1] = True
        need(ascends.all(), "a list of postings does not ascend")
        totals += np.bincount(docs[at : at + step], tf[at : at + step], n_docs)
    need(not len(tf) or tf.min() > 0, "a frequency of 0")
    need(np.array_equal(totals, index.lengths), "lengths that the frequencies do not give")
