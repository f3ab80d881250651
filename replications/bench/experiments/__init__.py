"""The stages of the pipelines, one module each, and their registry."""
