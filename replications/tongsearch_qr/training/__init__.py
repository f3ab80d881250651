"""GRPO and the supervised comparison: data, recipes, runs and command."""
