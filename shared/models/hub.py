"""Models of the hub: the folder of the hub's client, whole, and every file verified.

A reference is "hub:<org>/<name>@<40-hex revision>".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.hub.client import check_network, damaged_files, discard, hub_client
from ir_replications.shared.hub.errors import explain
from ir_replications.shared.hub.reference import parse_hub_ref

HUB_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")


def hub_snapshot(ref: str, cache: Path | None, download: bool) -> Path:
    """The client's folder of a model: as cached if it is whole and sound, else downloaded.

    Without `download` the cache alone is asked. Raises InputError, in one line, for what is not
    there and what cannot be fetched.
    """
    hub = hub_client()
    found = None
    if not download or _knows_what_is_whole(hub):
        found = _cached(hub, ref, cache)
    if found is None and not download:
        raise InputError(
            f"{ref}: not (completely) in the cache; run `replicate models fetch {ref}`"
        )
    if found is None or (download and damaged_files(found)):
        return download_snapshot(ref, cache)
    return found


def download_snapshot(ref: str, cache: Path | None, files: Sequence[str] = HUB_FILES) -> Path:
    """The client's folder of a model with files of these patterns, each as the hub declares it.

    Raises InputError where that fails, or a file is damaged twice.
    """
    hub = hub_client()
    damaged: list[Path] = []
    try:
        if _knows_what_is_whole(hub):  # older clients fall back on the cache by themselves
            check_network()
        for _ in range(2):  # once more without what was damaged
            folder = _snapshot(hub, ref, cache, files, local=False)
            damaged = damaged_files(folder)
            if not damaged:
                return folder
            discard(damaged)
    except InputError:
        raise
    except Exception as error:  # the client raises errors of three HTTP libraries
        reason, remedy = explain(error)
        raise InputError(
            f"{ref}: cannot be fetched ({reason}); {remedy}, or pass a local folder"
        ) from error
    raise InputError(
        f"{ref}: {damaged[0].name} is not what the hub declares (its checksum differs); "
        "it was removed, fetch the model again"
    )


def _knows_what_is_whole(hub: Any) -> bool:
    """False for older clients, which take half a snapshot in the cache for a whole one."""
    return hasattr(hub, "get_cached_repo_tree")


def _cached(hub: Any, ref: str, cache: Path | None) -> Path | None:
    try:
        return _snapshot(hub, ref, cache, HUB_FILES, local=True)
    except InputError:
        raise
    except Exception:  # as many kinds as a download
        return None


def _snapshot(hub: Any, ref: str, cache: Path | None, files: Sequence[str], *, local: bool) -> Path:
    name, revision = parse_hub_ref(ref)
    return Path(
        hub.snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(files),
            cache_dir=None if cache is None else str(cache),
            local_files_only=local,
        )
    )
