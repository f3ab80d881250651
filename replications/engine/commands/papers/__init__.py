"""Commands on papers: list, run, check, new, report, publish."""
