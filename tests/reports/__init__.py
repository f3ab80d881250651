"""Tests of the evidence layer: records, claims, verdicts, pages."""
