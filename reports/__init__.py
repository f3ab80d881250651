"""Evidence: result records, provenance, claims and verdicts, and the pages that show them."""
