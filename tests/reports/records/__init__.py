"""Tests of reports/records/."""
