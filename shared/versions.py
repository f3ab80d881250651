"""Versions of installed packages."""

from __future__ import annotations


def version(package: str) -> str:
    """The version that is installed. Raises importlib.metadata.PackageNotFoundError for none."""
    from importlib import metadata  # takes 20 ms, which a start may not need

    return metadata.version(package)
