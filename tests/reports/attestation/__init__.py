"""Tests of reports/attestation/."""
