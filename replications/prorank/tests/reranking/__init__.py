"""Tests and benchmarks of reranking/."""
