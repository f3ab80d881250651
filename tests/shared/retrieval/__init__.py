"""Tests of shared/retrieval."""
