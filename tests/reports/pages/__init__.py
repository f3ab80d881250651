"""Tests of reports/pages/."""
