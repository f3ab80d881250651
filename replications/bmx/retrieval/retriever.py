"""`BMX`: the paper's score over an inverted index, fast and exact."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ir_replications.bmx.method.augmentation import (
    AUGMENTATIONS,
    FUSION_DEPTH,
    Augmentation,
    min_max_fusion,
)
from ir_replications.bmx.method.normalisation import NORMALISATIONS, Normalisation, score_max
from ir_replications.bmx.method.scoring import (
    ENTROPIES,
    FORMS,
    Entropy,
    Form,
    default_alpha,
    default_beta,
)
from ir_replications.bmx.retrieval.augmented_search import (
    check_weights,
    pooled_scores,
    top_k,
    weighted_sum,
)
from ir_replications.bmx.retrieval.corpus import TokenLists, encode_queries
from ir_replications.bmx.retrieval.index import BITMAP_DOCS, Index
from ir_replications.bmx.retrieval.index_files import load_index, save_index
from ir_replications.bmx.retrieval.state import Buffers, IndexArrays, Options, Pruning
from ir_replications.shared.errors import InputError, InputWarning
from ir_replications.shared.printable import shown
from ir_replications.shared.reading import user_path
from ir_replications.shared.retrieval.bm25 import LARGEST, in_range
from ir_replications.shared.retrieval.search import (
    NO_TOKENS,
    query_lists,
    result_width,
    warn_without_tokens,
)

# Lists from this length on are scanned for a floor first (pruning.find_pruned).
LONG_LIST = 4096
MAX_THREADS = 256  # more than any machine has cores; results do not depend on it


class BMX:
    """BMX retrieval over tokenised documents (arXiv 2408.06643, section 3).

    alpha, beta: None for the paper's defaults, max(min(1.5, avgdl/100), 0.5) and 1/ln(1 + N).
    form: "reference" (the authors' code) or "literal" (the printed equation); see scoring.py.
    entropy: "sigmoid" (the paper) or "uniform" (E = 1 for every token, ablation).
    mean_entropy: None (the paper: mean of the query's normalised entropies) or a constant.
    normalisation: None, "reference" or "plus_one": divide by score_max (normalisation.py).
    Raises InputError for values outside these ranges.
    """

    def __init__(
        self,
        alpha: float | None = None,
        beta: float | None = None,
        form: Form = "reference",
        *,
        entropy: Entropy = "sigmoid",
        mean_entropy: float | None = None,
        normalisation: Normalisation | None = None,
    ) -> None:
        alpha, beta = _parameter("alpha", alpha), _parameter("beta", beta)
        mean_entropy = _parameter("mean_entropy", mean_entropy)
        _one_of("form", form, FORMS)
        _one_of("entropy", entropy, ENTROPIES)
        _one_of("normalisation", normalisation, (None, *NORMALISATIONS))
        self.options: dict[str, Any] = {
            "alpha": None if alpha is None else float(alpha),
            "beta": None if beta is None else float(beta),
            "form": form,
            "entropy": entropy,
            "mean_entropy": None if mean_entropy is None else float(mean_entropy),
            "normalisation": normalisation,
        }
        self._index: Index | None = None

    def index(self, corpus: TokenLists) -> BMX:
        """Index token lists, `shared.analysis.Tokens` or bm25s `Tokenized`; returns self.

        Document lengths count all tokens; a document may be empty. Raises InputError when there is
        no document or the texts are not tokenised; warns where no document has a token.
        """
        index = Index.build(corpus)
        if not len(index.docs):
            warnings.warn(NO_TOKENS, InputWarning, stacklevel=2)
        return self._attach(index)

    def save(self, folder: Path | str) -> None:
        """Write index and options to a folder, whole or not at all (InputError if impossible)."""
        folder = _folder(folder)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is a file; give a new folder for the index")
        save_index(folder, self._ready, self.options)

    @classmethod
    def load(cls, folder: Path | str, mmap: bool = True) -> BMX:
        """Read a saved retriever with all its options; InputError if damaged, edited or foreign."""
        folder = _folder(folder)
        index, options = load_index(folder, mmap)
        try:
            return cls(**options)._attach(index)
        except TypeError as error:
            raise InputError(
                f"{folder}: unknown options {shown(sorted(options))}; save again"
            ) from error
        except InputError as error:
            raise InputError(f"{folder}: {error}; index the corpus and save it again") from error

    @property
    def n_docs(self) -> int:
        """N, the number of documents."""
        return self._ready.n_docs

    @property
    def vocabulary_size(self) -> int:
        """Number of distinct tokens in the documents."""
        return len(self._ready.known)

    @property
    def avgdl(self) -> float:
        """Mean document length in tokens."""
        return self._ready.avgdl

    @property
    def alpha(self) -> float:
        """The alpha in use: the given one or max(min(1.5, avgdl/100), 0.5)."""
        given = self.options["alpha"]
        return default_alpha(self.avgdl) if given is None else float(given)

    @property
    def beta(self) -> float:
        """The beta in use: the given one or 1/ln(1 + N)."""
        given = self.options["beta"]
        return default_beta(self.n_docs) if given is None else float(given)

    @property
    def bytes_per_posting(self) -> float:
        """Memory of the index arrays (vocabulary strings excluded) over its postings."""
        return self._ready.bytes_per_posting

    def get_scores(self, query: Sequence[str]) -> np.ndarray:
        """Score every document for a tokenised query: float64 (n_docs,), 0 without a match."""
        from ir_replications.bmx.retrieval import kernels

        tokens, pointers = encode_queries([query], self._ready.known)
        scale = self._scales(tokens, pointers)[0]
        return kernels.score_all(tokens, *self._kernel_input, scale)

    def retrieve(
        self,
        queries: TokenLists,
        k: int = 10,
        n_threads: int = 1,
        pruning: Literal["auto"] | bool = "auto",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best documents per query: (doc_indices int32, scores float64), (Q, k).

        Order: score descending, then document order; exactly that of `get_scores`. Slots without a
        match hold -1 and 0.0; a huge k means all documents (`result_width`). `pruning` skips
        postings that cannot matter and never changes a result: True, False, or "auto" (for
        the queries where an estimate of both costs says so, see `choice`). Warns where no query has
        a token.
        """
        k = result_width(k, self.n_docs)
        if isinstance(n_threads, bool) or not isinstance(n_threads, int | np.integer):
            raise InputError(f"n_threads={repr(n_threads)[:30]}: expected a whole number")
        _one_of("pruning", pruning, ("auto", True, False))
        # "auto" compiles and asks for no pruning where a collection is too small for it to pay.
        chosen = pruning == "auto" and self.n_docs >= BITMAP_DOCS
        always = True if pruning is True else False if chosen else None
        index = self._ready
        flat, pointers = encode_queries(queries, index.known, index.vocabulary, index.indptr)
        n_queries = len(pointers) - 1
        warn_without_tokens(n_queries, len(flat))
        scales = self._scales(flat, pointers)
        n_threads = max(1, min(n_threads, n_queries, MAX_THREADS))
        if n_threads == 1 and k <= index.n_docs:
            try:
                return self._search(flat, pointers, k, scales, always)
            except MemoryError as error:
                raise _no_memory(k, n_queries) from error
        docs, scores = _empty_results(n_queries, k)

        def part(start: int, stop: int) -> None:
            found = self._search(flat, pointers[start : stop + 1], k, scales[start:stop], always)
            width = found[0].shape[1]
            docs[start:stop, :width], scores[start:stop, :width] = found

        edges = np.linspace(0, n_queries, n_threads + 1).astype(int)
        if len(edges) == 2:
            part(0, n_queries)
        else:
            with ThreadPoolExecutor(len(edges) - 1) as pool:
                list(pool.map(part, edges[:-1], edges[1:]))
        return docs, scores

    def retrieve_augmented(
        self,
        queries: Sequence[Sequence[str]],
        augmentations: Sequence[Sequence[Sequence[str]]],
        weights: float | Sequence[float],
        k: int = 10,
        form: Augmentation = "paper",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Retrieve with weighted query augmentation; returns arrays as `retrieve` does.

        augmentations: the tokenised augmented queries of each query; weights: one number for all,
        or one per position. form: see `augmentation.Augmentation`; the "pooled" and "fractional"
        forms take alpha and beta from this retriever and ignore its other options. Documents whose
        score is 0 are not returned.
        """
        _one_of("form", form, AUGMENTATIONS)
        k = result_width(k, self.n_docs)
        queries = query_lists(queries)
        encode_queries(queries, self._ready.known)
        if not isinstance(augmentations, Sequence):
            raise InputError(f"augmentations: {type(augmentations).__name__}, expected a list")
        if len(queries) != len(augmentations):
            raise InputError(f"{len(augmentations)} augmentations for {len(queries)} queries")
        for augmented in augmentations:
            encode_queries(augmented, self._ready.known)
        values = check_weights(weights, max(map(len, augmentations), default=0))
        docs, scores = _empty_results(len(queries), k)
        for row, (query, augmented) in enumerate(zip(queries, augmentations, strict=True)):
            total = self._augmented([query, *augmented], [1.0, *values[: len(augmented)]], form)
            best = top_k(total, k)
            docs[row, : len(best)] = best
            scores[row, : len(best)] = total[best]
        return docs, scores

    def _augmented(
        self, pool: Sequence[Sequence[str]], weights: Sequence[float], form: Augmentation
    ) -> np.ndarray:
        if form == "paper":
            return weighted_sum(pool, weights, self.get_scores)
        if form == "fusion":
            found = zip(*self.retrieve(pool, min(FUSION_DEPTH, self.n_docs)), strict=True)
            lists = [(docs[docs >= 0], scores[docs >= 0]) for docs, scores in found]
            return min_max_fusion(lists, weights, self.n_docs)
        fractional = form == "fractional"
        return pooled_scores(pool, weights, self._ready, self.alpha, self.beta, fractional)

    @property
    def _ready(self) -> Index:
        if self._index is None:
            raise InputError("BMX has no index yet; call index(corpus_tokens) first")
        return self._index

    def _attach(self, index: Index) -> BMX:
        self._index = index
        self.__dict__.pop("_kernel_input", None)
        self._buffers: list[Buffers] = []
        return self

    @cached_property
    def _kernel_input(self) -> tuple[IndexArrays, Options]:
        index, fixed = self._ready, self.options["mean_entropy"]
        options = Options(
            self.alpha,
            self.beta,
            self.options["form"] == "literal",
            self.options["entropy"] == "uniform",
            math.nan if fixed is None else float(fixed),
        )
        norms = (index.lengths, self.alpha / (index.avgdl or 1.0))
        arrays = IndexArrays(
            index.indptr, index.docs, index.tf, index.idf, index.entropies, norms,
            index.row_numbers, index.rows,
        )  # fmt: skip
        return arrays, options

    def _scales(self, flat: np.ndarray, pointers: np.ndarray) -> np.ndarray:
        """score_max of every query, 1.0 without normalisation or without known tokens."""
        scales = np.ones(len(pointers) - 1)
        normalisation = self.options["normalisation"]
        if normalisation is not None:
            for q in range(len(scales)):
                tokens = flat[pointers[q] : pointers[q + 1]]
                known = int(np.count_nonzero(tokens >= 0))
                m = len(tokens) if self.options["form"] == "literal" else known
                if known:
                    scales[q] = score_max(m, self.n_docs, normalisation)
        return scales

    def _search(
        self,
        flat: np.ndarray,
        pointers: np.ndarray,
        k: int,
        scales: np.ndarray,
        always: bool | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        from ir_replications.bmx.retrieval.search import search

        index = self._ready
        try:  # buffers as long as the collection; a search leaves rows zeroed for the next one
            buffers = self._buffers.pop()
        except IndexError:
            ids = np.empty((2, index.n_docs + 1), np.uint32)
            buffers = Buffers(np.zeros((index.n_docs, 2)), ids[0], ids[1])
        result = search(
            flat, pointers, min(k, index.n_docs), *self._kernel_input,
            Pruning(index.bounds, index.bitmap_rows, index.bitmaps),
            scales, always, LONG_LIST, buffers,
        )  # fmt: skip
        self._buffers.append(buffers)
        return result


def _folder(place: Path | str) -> Path:
    if not isinstance(place, str | Path):
        raise InputError(f"folder: {type(place).__name__}, expected a path")
    return user_path(place)


def _empty_results(n_queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        return np.full((n_queries, k), -1, np.int32), np.zeros((n_queries, k))
    except (MemoryError, ValueError) as error:
        raise _no_memory(k, n_queries) from error


def _no_memory(k: int, n_queries: int) -> InputError:
    return InputError(f"k={k}: no memory for the results of {n_queries} queries; ask for fewer")


def _one_of(name: str, value: object, allowed: tuple) -> None:
    if not isinstance(value, str | bool | type(None)) or value not in allowed:
        raise InputError(f"{name}={shown(value)}: expected one of {', '.join(map(repr, allowed))}")


def _parameter(name: str, value: Any) -> float | None:
    """A given parameter as a Python number."""
    given = value.item() if isinstance(value, np.generic) else value
    if given is not None and not in_range(given):
        raise InputError(
            f"{name}={shown(value)}: expected a finite number >= 0, at most {LARGEST:g}, or None"
        )
    return given
