"""One test per claim of claims.toml and tier, and one of all numbers."""

from tests.claim_tests import test_claim, test_numbers_are_the_published_ones

__all__ = ["test_claim", "test_numbers_are_the_published_ones"]
