"""Training: data, loop, runs and their command."""
