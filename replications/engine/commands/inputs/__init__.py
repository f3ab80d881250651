"""Commands on what experiments read: data, models."""
