"""Prompts and reward: the paper's section 3."""
