"""Tests of shared/models."""
