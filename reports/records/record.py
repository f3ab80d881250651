"""A record: the evidence of one cell, named by the hash of its config, sealed by its digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ir_replications.reports.records.checks import (
    check_identity,
    check_means,
    check_provenance,
    check_run,
    plain,
    rounded,
)
from ir_replications.reports.records.provenance import scrub
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable

SCHEMA = 1
TIERS = ("embedded", "small", "paper")
FIELDS = (
    "schema", "paper", "experiment", "tier", "label", "config", "config_hash", "status", "error",
    "means", "per_query", "facts", "run", "provenance", "digest",
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """The evidence of one cell.

    `config` is a flat dict of scalars (system, collection, seed, parameters); `means` maps a
    measure to its mean over queries; `per_query` maps a measure to {qid: value}; `facts` holds
    everything else that was measured; `run` is {"path", "sha256", "rows"} with the path relative
    to the folder of its experiment, or None. A record with status "error" holds its message instead
    of numbers. Raises InputError when a field is of another type (reports/records/checks.py), when
    the config is not flat, or when a mean disagrees with its per-query values by more than 1e-6.
    """

    paper: str
    experiment: str
    tier: str
    label: str
    config: dict[str, Any]
    means: dict[str, float] = field(default_factory=dict)
    per_query: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    status: str = "ok"
    error: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        where = printable(f"record {self.paper}/{self.tier}/{self.experiment}/{self.label}"[:200])
        for name in ("config", "means", "facts", "run", "provenance"):
            object.__setattr__(self, name, plain(getattr(self, name), where, name))
        object.__setattr__(self, "per_query", rounded(self.per_query, where))
        check_identity(vars(self), TIERS, where)
        check_means(self.means, self.per_query, where)
        if not isinstance(self.facts, dict):
            raise InputError(f"{where}: facts is no object; give a dict")
        check_provenance(self.provenance, self.seed, where)
        check_run(self.run, self.stem, where)

    @classmethod
    def create(cls, *, error: str | None = None, **fields: Any) -> Record:
        """A new record; its status follows from `error`, whose absolute paths are cut off."""
        text = scrub(error.strip()) if error else None
        return cls(status="error" if text else "ok", error=text or None, **fields)

    @cached_property
    def config_hash(self) -> str:
        """Hex sha256 that identifies the cell; see `config_hash`."""
        return _hash(self.paper, self.experiment, self.tier, self.config)

    @cached_property
    def digest(self) -> str:
        """Hex sha256 over the canonical JSON of every field but the digest itself."""
        return digest_of({**self._body(), "config_hash": self.config_hash})

    @property
    def key(self) -> tuple[str, str, str, str]:
        """(paper, experiment, tier, config_hash): equal keys are the same cell."""
        return (self.paper, self.experiment, self.tier, self.config_hash)

    @property
    def stem(self) -> str:
        """File name without suffix: slug of the label and 10 digits of the config hash."""
        return f"{slug(self.label)}-{self.config_hash[:10]}"

    @property
    def seed(self) -> int | None:
        """The config's seed, or None for a deterministic cell."""
        return self.config.get("seed")

    def _body(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in FIELDS if name not in ("digest",)}

    def to_json(self) -> str:
        """JSON text with one line per measure, so that a diff shows which measure moved."""
        return _dump({**self._body(), "digest": self.digest})

    def to_line(self) -> str:
        """The same JSON on one line, as packs hold it; the digest is its last field."""
        data = {**self._body(), "digest": self.digest}
        return "{" + ", ".join(f"{json.dumps(name)}: {_line(data[name])}" for name in FIELDS) + "}"


def config_hash(config: Mapping[str, Any], *, paper: str, experiment: str, tier: str) -> str:
    """Hex sha256 of the canonical JSON of {paper, experiment, tier, config}."""
    return _hash(paper, experiment, tier, plain(dict(config), f"config of {paper}/{experiment}"))


def slug(text: str) -> str:
    """Lower-case file-name form of a label: "BM25 (k1=1.2)" -> "bm25-k1-1.2"."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:60] or "cell"


def order(record: Record) -> tuple[str, int, str, str, str]:
    """Sorts records: by paper, tier, experiment, label, config hash."""
    tier = TIERS.index(record.tier)
    return (record.paper, tier, record.experiment, record.label, record.config_hash)


def _canonical(value: Any) -> bytes:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        found = printable(text[max(0, error.start - 20) : error.end])
        raise InputError(f"{found}: half a character; rename what is called so") from error


def digest_of(body: Mapping[str, Any]) -> str:
    """Hex sha256 of the canonical JSON. Raises InputError for half a character, ValueError for
    numbers that are not finite."""
    return hashlib.sha256(_canonical(dict(body))).hexdigest()


def _hash(paper: str, experiment: str, tier: str, config: Mapping[str, Any]) -> str:
    return digest_of({"paper": paper, "experiment": experiment, "tier": tier, "config": config})


def _dump(data: Mapping[str, Any]) -> str:
    """JSON object with one field a line, and one measure a line inside per_query."""
    lines = []
    for name in FIELDS:
        value = data[name]
        if name in ("per_query", "config", "facts", "provenance", "means") and value:
            inner = ",\n".join(f"  {json.dumps(k)}: {_line(value[k])}" for k in sorted(value))
            lines.append(f" {json.dumps(name)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(name)}: {_line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
