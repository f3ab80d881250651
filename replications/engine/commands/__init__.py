"""The commands of `replicate`, one module each."""
