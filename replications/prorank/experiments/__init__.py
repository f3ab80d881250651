"""Experiments E1 to E5 and E8, one module each, and what they share."""
