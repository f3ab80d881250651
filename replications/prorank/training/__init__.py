"""The two stages, their data, recipes and command."""
