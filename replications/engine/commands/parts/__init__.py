"""The parts as parts: rerank, rewrite, train."""
