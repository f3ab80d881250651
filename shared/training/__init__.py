"""What every training run needs: recipes, resumable folders, metrics, adapters."""

from __future__ import annotations

from ir_replications.shared.training.adapters import adapter_sha256, check_base, load_adapter
from ir_replications.shared.training.folder import TrainingFolder, digest_of
from ir_replications.shared.training.recipes import named_recipe, read_recipe
from ir_replications.shared.training.updates import Updates

__all__ = [
    "TrainingFolder",
    "Updates",
    "adapter_sha256",
    "check_base",
    "digest_of",
    "load_adapter",
    "named_recipe",
    "read_recipe",
]
