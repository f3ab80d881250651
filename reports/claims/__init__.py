"""What claims.toml says, and how records are judged by it."""
