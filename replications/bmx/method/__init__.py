"""The paper's equations."""
