"""Rerankers at work: language models, cross-encoders, vLLM, and the command."""
