"""The commands of `replicate`, by what they are about; group.py names them all."""
