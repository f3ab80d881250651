"""Tests of shared/analysis."""
