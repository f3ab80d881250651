"""The authors' code (baguetter 0.1.1) behind two small calls, when it is installed.

Only its scoring module is loaded, without the package's own imports, so that
`pip install --no-deps baguetter==0.1.1` (and scikit-learn, tqdm) is enough.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

_PACKAGES = (
    "baguetter",
    "baguetter.utils",
    "baguetter.indices",
    "baguetter.indices.sparse",
    "baguetter.indices.sparse.models",
)


class AuthorsBMX:
    """Index, score and rank with the authors' functions, float32, as their library calls them."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def index(self, corpus: Sequence[Sequence[str]]) -> AuthorsBMX:
        """Index token lists."""
        self._index = self._module.build_index(
            corpus_tokens=corpus, n_docs=len(corpus), show_progress=False
        )
        return self

    def scores(self, query: Sequence[str]) -> np.ndarray:
        """Scores of all documents, float32 (n_docs,)."""
        scores, docs = self._top(query, self._index.n_docs)
        out = np.zeros(self._index.n_docs, np.float32)
        out[docs] = scores
        return out

    def retrieve(self, queries: Sequence[Sequence[str]], k: int) -> list[np.ndarray]:
        """Document indices of the k best per query, padded with any documents as they do."""
        return [self._top(query, k)[1] for query in queries]

    def _top(self, query: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        known = self._index.vocabulary
        ids = np.array([known[token] for token in query if token in known], np.int32)
        return self._module.calculate_scores(token_ids=ids, index=self._index, top_k=k)


def authors_code() -> AuthorsBMX | None:
    """The authors' BMX, or None when it (or what its scoring module imports) is not installed."""
    spec = importlib.util.find_spec("baguetter")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    hidden = {name: sys.modules.get(name) for name in _PACKAGES}
    try:
        for name in _PACKAGES:  # empty packages: their own __init__ would import far more
            package = types.ModuleType(name)
            package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = package
        return AuthorsBMX(importlib.import_module("baguetter.indices.sparse.models.bmx.index"))
    except ImportError:
        return None
    finally:
        for name, module in hidden.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
