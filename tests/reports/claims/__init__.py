"""Tests of reports/claims/."""
