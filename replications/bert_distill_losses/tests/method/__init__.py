"""Tests and benchmarks of method/."""
