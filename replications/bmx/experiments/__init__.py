"""Experiments E1 to E9, one module each, and what they share."""
