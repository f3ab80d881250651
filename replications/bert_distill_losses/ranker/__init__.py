"""The cross-encoder that teacher and students are: model, files, tokens, scoring."""
