"""Rerankers at work."""
