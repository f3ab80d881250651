"""`replicate bench`: the command, its progress and its answer in the terminal."""
