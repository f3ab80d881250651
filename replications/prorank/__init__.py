"""ProRank: small language models as rerankers after a prompt warmup (arXiv 2506.03487)."""
