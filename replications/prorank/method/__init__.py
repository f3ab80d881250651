"""Prompt, score, rewards, GRPO on the answer token, losses: the paper's equations."""
