"""Tests of shared/evaluation."""
