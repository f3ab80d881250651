"""The replications, one self-contained folder per paper."""
