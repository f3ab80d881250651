"""The cross-encoder that teacher and students are."""
