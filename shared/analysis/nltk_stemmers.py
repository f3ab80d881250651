"""NLTK's stemmers without the rest of NLTK, whose import takes seconds of processor time.

A stemmer needs a few small modules; the package's own `__init__` imports parsers, classifiers and
scipy.stats beside them. While they are imported, empty modules hold the places of the packages.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType


@cache
def nltk_stemmer(name: str) -> ModuleType:
    """The module `nltk.stem.<name>`: "porter" or "snowball".

    A later `import nltk` finds none of it and imports everything as usual.
    """
    whole = f"nltk.stem.{name}"
    if "nltk" not in sys.modules:
        try:
            with _empty_packages():
                return importlib.import_module(whole)
        except ImportError:
            pass  # another version of NLTK may need more of itself
    return importlib.import_module(whole)


@contextmanager
def _empty_packages() -> Iterator[None]:
    """What the block imports of NLTK sees its packages empty, but for their files."""
    spec = importlib.util.find_spec("nltk")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for package, part in (("nltk", ""), ("nltk.stem", "stem")):
        sys.modules[package] = module = ModuleType(package)
        module.__path__ = [os.path.join(folder, part) for folder in folders]
    # The stop words that a Snowball stemmer can be told to leave alone; ours has its own.
    sys.modules["nltk.corpus"] = corpus = ModuleType("nltk.corpus")
    corpus.stopwords = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for imported in [m for m in sys.modules if m.partition(".")[0] == "nltk"]:
            del sys.modules[imported]
