"""Measures, tests and intervals, and how close two runs are."""
