"""TongSearch QR: a query reasoner trained by reinforcement (Qin et al., arXiv 2506.11603)."""
