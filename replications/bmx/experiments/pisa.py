"""PISA (C++) behind one call: the module of the wheel `pyterrier-pisa`, without PyTerrier.

Its package imports PyTerrier and pandas; the compiled module by itself needs TBB's library alone:
`pip install --no-deps pyterrier-pisa==0.4.9`, `pip install tbb==2020.3.254`.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from ir_replications.shared.analysis import Tokens

MODULE = "_pisathon"
ENCODING, ALGORITHM = "block_simdbp", "block_max_maxscore"


def pisa_module() -> ModuleType | None:
    """The compiled module, or None where the wheel is absent. Raises ImportError without TBB."""
    package = importlib.util.find_spec("pyterrier_pisa")
    folders = package.submodule_search_locations if package is not None else None
    files = [file for folder in folders or () for file in Path(folder).glob(f"{MODULE}.*.so")]
    if not files:
        return None
    spec = importlib.util.spec_from_file_location(f"pyterrier_pisa.{MODULE}", files[0])
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pisa_search(
    pisa: ModuleType, corpus: Tokens, k1: float = 1.5, b: float = 0.75
) -> Callable[[Sequence[Sequence[str]], int], np.ndarray]:
    """Index a corpus in a temporary folder, BM25 with block-max bounds over blocks of 64 postings.

    The search takes lists of tokens and k, in this thread; it returns scores float32, query after
    query, best first.
    """
    folder = tempfile.TemporaryDirectory(prefix="ir-replications-pisa-")
    with _quiet():
        words = _write(pisa, corpus, Path(folder.name))
        context = pisa.RetrievalContext()
        pisa.prepare_index(context, folder.name, ENCODING, "bm25", "", bm25_k1=k1, bm25_b=b)

    held = context, folder  # its files are mapped as long as the search is kept

    def search(queries: Sequence[Sequence[str]], k: int) -> np.ndarray:
        asked = [
            (i, {words[token]: float(n) for token, n in Counter(query).items() if token in words})
            for i, query in enumerate(queries)
        ]
        room = len(asked) * k
        scores, names = np.empty(room, np.float32), np.empty(room, object)
        found = pisa.retrieve(
            held[0], ALGORITHM, asked, k=k, threads=1, pretokenised=True, query_weighted=1,
            result_qidxs=np.empty(room, np.int32), result_docnos=names,
            result_ranks=np.empty(room, np.int32), result_scores=scores,
        )  # fmt: skip
        return scores[:found]

    return search


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what C++ writes to this process's stdout and stderr: PISA's progress bars."""
    kept = os.dup(1), os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, nothing):
            os.close(descriptor)


def _write(pisa: ModuleType, corpus: Tokens, folder: Path) -> dict[str, str]:
    """Write PISA's uncompressed inverted index; returns its name of each token with postings.

    `inv.docs`, `inv.freqs`: uint32, the length of each list and then the list, terms in the order
    of their names; documents begin with a list of their number. `inv.sizes`: lengths in tokens.
    """
    from ir_replications.bmx.retrieval.kernels import build_postings

    n_docs = len(corpus)
    indptr, docs, tf = build_postings(corpus.ids, corpus.offsets, len(corpus.vocab))
    df = np.diff(indptr)
    held = np.flatnonzero(df)
    for name, values, head in (("docs", docs, [1, n_docs]), ("freqs", tf, [])):
        lists = np.insert(values.astype(np.uint32), indptr[held], df[held].astype(np.uint32))
        np.concatenate([np.array(head, np.uint32), lists]).tofile(folder / f"inv.{name}")
    np.array([n_docs, *corpus.lengths], np.uint32).tofile(folder / "inv.sizes")
    names = [f"t{i:08d}" for i in range(len(held))]
    for name, lines in (("terms", names), ("documents", [f"d{i:08d}" for i in range(n_docs)])):
        (folder / f"fwd.{name}").write_text("\n".join(lines) + "\n", "ascii")
    pisa.build_binlex(str(folder / "fwd.terms"), str(folder / "fwd.termlex"))
    pisa.build_binlex(str(folder / "fwd.documents"), str(folder / "fwd.doclex"))
    return {corpus.vocab[term]: name for term, name in zip(held.tolist(), names, strict=True)}
