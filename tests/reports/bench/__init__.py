"""Tests of what a bench says."""
