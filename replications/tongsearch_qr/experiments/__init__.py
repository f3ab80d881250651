"""Experiments E1 to E8, one module each, and what they share."""
