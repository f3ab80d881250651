"""What runs papers: cells, workers, evidence and the command line."""
