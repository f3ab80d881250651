"""Losses on scores and on layers, what they compare, and the heads: the paper's equations."""
