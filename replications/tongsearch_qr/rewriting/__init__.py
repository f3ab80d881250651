"""Rewriting of queries."""
