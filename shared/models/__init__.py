"""Model references to verified local weights, embedders and generation."""
