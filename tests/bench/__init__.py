"""Tests of `replicate bench`."""
