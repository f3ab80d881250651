"""Arms, loop, data and runs of teachers and students, recipes and command."""
