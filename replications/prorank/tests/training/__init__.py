"""Tests and benchmarks of training/."""
