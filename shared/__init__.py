"""Data, analysis, BM25, runs, metrics and statistics for every replication; knows no paper."""
