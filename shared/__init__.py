"""Data, analysis, BM25, runs, metrics and statistics that every replication uses; knows no paper."""
