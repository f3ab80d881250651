"""Tests and benchmarks of ranker/."""
