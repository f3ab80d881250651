"""First stages, runs and reranking: BM25, Lucene, dense, exact top k, TREC files."""
