"""Where a collection lies: in the data root, then in the cache."""

from __future__ import annotations

from pathlib import Path

from ir_replications.shared.data.bright import has_corpus
from ir_replications.shared.data.collection import check_id
from ir_replications.shared.hub.reference import parse_hub_ref


def locate(ref: str, root: Path | None, cache: Path) -> tuple[str, Path | None, Path]:
    """Return id, folder that holds it (None: nowhere) and its folder in the cache."""
    if ref.startswith("hub:"):
        hub, revision = parse_hub_ref(ref)
        id = check_id(f"hub/{hub}")
        cached = cache / "collections" / id / revision
        return id, cached if cached.is_dir() else None, cached
    if ref.startswith("ir-datasets:"):
        ref = ref.replace(":", "/", 1)
    id = check_id(ref)
    cached = cache / "collections" / id
    for folder in ((root / id) if root else None, cached):
        # A BRIGHT folder may hold queries only; then the cache or the hub has the corpus.
        queries_only = id.startswith("bright/") and id.count("/") == 1 and folder
        if folder and folder.is_dir() and (not queries_only or has_corpus(folder)):
            return id, folder, cached
    return id, None, cached
