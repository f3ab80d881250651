"""Tests of engine/commands/."""
