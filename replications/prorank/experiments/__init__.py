"""Experiments E1 to E5, one module each, and what they share."""
