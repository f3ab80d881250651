"""The hub's client library, and what its failures mean."""
