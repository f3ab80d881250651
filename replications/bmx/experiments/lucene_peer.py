"""Lucene (Java) behind one call: an index in memory of words that need no analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ir_replications.shared.analysis import Tokens
from ir_replications.shared.retrieval.lucene import java_class

FIELD = "body"


def lucene_search(
    corpus: Tokens, k1: float = 1.5, b: float = 0.75
) -> tuple[str, Callable[[Sequence[Sequence[str]], int], object]]:
    """Lucene's version, and a search of lists of tokens for k documents in this thread.

    Tokens are words by their ids, split at blanks; a query is a text for Lucene's parser, one call
    of Java; its results stay there. Raises MissingDependencyError without pyserini or Java.
    """
    lucene = "org.apache.lucene."
    analyzer = java_class(f"{lucene}analysis.core.WhitespaceAnalyzer")()
    folder = java_class(f"{lucene}store.ByteBuffersDirectory")()
    config = java_class(f"{lucene}index.IndexWriterConfig")(analyzer)
    similarity = java_class(f"{lucene}search.similarities.BM25Similarity")(k1, b)
    config.setSimilarity(similarity)
    writer = java_class(f"{lucene}index.IndexWriter")(folder, config)
    document = java_class(f"{lucene}document.Document")
    field = java_class(f"{lucene}document.TextField")
    stored = java_class(f"{lucene}document.Field$Store")
    word = {token: f"t{i}" for i, token in enumerate(corpus.vocab)}
    for tokens in corpus:
        made = document()
        made.add(field(FIELD, " ".join(word[token] for token in tokens), stored.NO))
        writer.addDocument(made)
    writer.forceMerge(1)
    writer.close()
    reader = java_class(f"{lucene}index.DirectoryReader").open(folder)
    # One of several constructors of one argument, which jnius cannot tell apart.
    searcher = java_class(f"{lucene}search.IndexSearcher")(
        reader, signature="(Lorg/apache/lucene/index/IndexReader;)V"
    )
    searcher.setSimilarity(similarity)
    parser = java_class(f"{lucene}queryparser.classic.QueryParser")(FIELD, analyzer)

    def search(queries: Sequence[Sequence[str]], k: int) -> object:
        texts = [" ".join(word[t] for t in query if t in word) for query in queries]
        return [searcher.search(parser.parse(text), k) for text in texts]

    version = java_class(f"{lucene}util.Version").LATEST.toString()
    return f"lucene {version}", search
