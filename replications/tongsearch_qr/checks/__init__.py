"""The golden checks of E1: prompts, reward, retrieval."""
