"""Experiments E1 to E4, one module each, and what they share."""
