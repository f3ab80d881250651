"""Queries rewritten by a model, read from files, or downloaded as others released them."""
