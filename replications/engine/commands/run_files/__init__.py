"""Commands on run files: compare, evaluate."""
