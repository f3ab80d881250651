"""Checks that experiment E1 runs, with the tiny models they need."""
