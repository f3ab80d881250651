"""Losses for distilling BERT cross-encoders into smaller ones (arXiv 2302.04112)."""
