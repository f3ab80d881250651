"""The score over an inverted index: index, kernels, exact pruning, and `BMX`, which hides them."""
