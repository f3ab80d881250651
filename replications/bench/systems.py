"""The pipelines of a bench by name, the presets, and the cells that they stand for."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ir_replications.bench.experiments.reranked import FIRST
from ir_replications.bench.models import (
    CAUSAL,
    CROSS,
    DISTILLED,
    EMBEDDER,
    FOLDER,
    SIZES,
    SMOLLM,
    STATIC,
    Model,
    kind_of,
    named_model,
    place_of,
    size_of,
)
from ir_replications.bmx.method.augmentation import REFERENCE_WEIGHT
from ir_replications.engine.jobs import Job
from ir_replications.engine.registry import BENCH
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.embedder import MINILM, MPNET, WORDLLAMA

BASELINE = "bm25"
LUCENE = "pip install 'ir-replications[lucene]'"
TIER = "small"  # of the records: collections as they are, models that fit a CPU


@dataclass(frozen=True)
class System:
    """A pipeline: its name, what it is in words, its stage and config; `model` by role.

    `model` is the role whose model it needs, with the one that serves where the user names none;
    without either it is left out of a preset.
    """

    name: str
    words: str
    experiment: str
    config: Mapping[str, Any] = field(default_factory=dict)
    role: str | None = None
    model: str | None = None
    further: str | None = None  # a second role, of a folder of trained weights


def _bm25(k1: float, b: float, method: str = "lucene") -> dict[str, Any]:
    return {"method": method, "k1": k1, "b": b}


_LEXICAL = (
    System(BASELINE, "BM25, k1 = 1.2, b = 0.75 (Lucene's defaults)", "lexical", _bm25(1.2, 0.75)),
    System("bm25-0.9", "BM25, k1 = 0.9, b = 0.4 (Anserini's defaults)", "lexical", _bm25(0.9, 0.4)),
    System("bm25-1.5", "BM25, k1 = 1.5, b = 0.75 (rank-bm25's defaults)", "lexical",
           _bm25(1.5, 0.75)),
    System("lucene", "Lucene itself, BM25, k1 = 1.2, b = 0.75", "lexical",
           _bm25(1.2, 0.75, "Lucene")),
    System("bmx", "BMX", "lexical", {"method": "bmx"}),
)  # fmt: skip
_DENSE = (
    System("dense-wordllama", "dense, static token vectors", "dense", {}, None, WORDLLAMA),
    System("dense-minilm", "dense, MiniLM of 23M parameters", "dense", {}, None, MINILM),
    System("dense-mpnet", "dense, MPNet of 109M parameters", "dense", {}, None, MPNET),
    System("dense-own", "dense, your embedder", "dense", {}, "embedder"),
)
_TEXTS = (
    System("bmx-augmented", "BMX with paraphrases by a language model", "augmented",
           {"method": "bmx", "weight": REFERENCE_WEIGHT}, "paraphraser", SMOLLM),
    System("rewritten", "BM25 on queries rewritten by an untrained model (TongSearch QR)",
           "rewritten", {**_bm25(1.2, 0.75), "mode": "replace"}, "rewriter", SMOLLM),
    System("expanded", "BM25 on queries with their rewriting behind them", "rewritten",
           {**_bm25(1.2, 0.75), "mode": "append"}, "rewriter", SMOLLM),
    System("rewritten-trained", "BM25 on queries rewritten by your trained adapter", "rewritten",
           {**_bm25(1.2, 0.75), "mode": "replace"}, "rewriter", SMOLLM, "adapter"),
    System("expanded-trained", "BM25 on queries with your adapter's rewriting behind them",
           "rewritten", {**_bm25(1.2, 0.75), "mode": "append"}, "rewriter", SMOLLM, "adapter"),
)  # fmt: skip
_RERANKING = (
    System("rerank-minilm", "reranked by MiniLM's cosines", "reranked", {}, None, MINILM),
    System("rerank-mpnet", "reranked by MPNet's cosines", "reranked", {}, None, MPNET),
    System("rerank-prorank", "reranked by a small language model (ProRank, untrained)", "reranked",
           {}, "prorank", SMOLLM),
    System("rerank-prorank-trained", "reranked by your trained ProRank", "reranked", {}, "prorank",
           SMOLLM, "prorank-weights"),
    System("rerank-teacher", "reranked by your teacher", "reranked", {}, "teacher"),
    System("rerank-student", "reranked by your distilled student", "reranked", {}, "student"),
    System("rerank-own", "reranked by your reranker", "reranked", {}, "reranker"),
)  # fmt: skip
SYSTEMS = {each.name: each for each in (*_LEXICAL, *_DENSE, *_TEXTS, *_RERANKING)}
ROLES = tuple(dict.fromkeys(r for each in SYSTEMS.values() for r in (each.role, each.further) if r))
GROUPS: dict[str, tuple[str, ...]] = {
    "lexical": tuple(each.name for each in _LEXICAL),
    "dense": tuple(each.name for each in _DENSE),
    "rewriting": tuple(each.name for each in _TEXTS),
    "reranking": tuple(each.name for each in _RERANKING),
    "all": tuple(SYSTEMS),
}


@dataclass(frozen=True)
class Preset:
    """What is run where the user does not say: systems, and how much of everything."""

    systems: tuple[str, ...]
    queries: int | None  # a fixed choice of so many; None: all
    depth: int  # documents reranked,
    causal_depth: int  # and by a causal language model, which takes ten times as long
    max_length: int  # tokens that a reranker reads of query and document
    max_new_tokens: int  # of a rewritten query
    paraphrases: int


PRESETS = {
    "quick": Preset(
        ("bm25", "bm25-0.9", "bm25-1.5", "lucene", "bmx", "dense-wordllama", "bmx-augmented",
         "rewritten", "expanded", "rerank-minilm", "rerank-prorank"),
        queries=50, depth=10, causal_depth=3, max_length=192, max_new_tokens=32, paraphrases=1,
    ),
    "full": Preset(
        tuple(SYSTEMS),
        queries=None, depth=100, causal_depth=100, max_length=512, max_new_tokens=500,
        paraphrases=5,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A bench as it was asked for."""

    collection: str
    preset: Preset
    systems: tuple[str, ...]
    models: Mapping[str, Model]
    analyzer: str
    split: str | None = None
    download: bool = True
    command: str = ""

    @property
    def folders(self) -> dict[str, Path]:
        """The folders of the user's models by their names in configs."""
        return {model.ref: model.folder for model in self.models.values() if model.folder}


@dataclass(frozen=True)
class BenchJob(Job):
    """A cell of a bench, whose command is that of the whole bench, down to its system."""

    asked: str = ""
    size: float | None = None
    """Of its model, as `size_of`; None where that is not known."""

    def command(self, folders: Mapping[str, Path] | None = None) -> str:
        """The command that runs this system and the baseline."""
        return f"{self.asked} --systems {self.config['system']}"

    @property
    def label(self) -> str:
        """The collection and the system."""
        return f"{self.config['collection']} {self.config['system']}"


def chosen_models(given: Sequence[str]) -> dict[str, Model]:
    """Role -> model of `role=reference` texts. Raises InputError for an unknown role, one twice."""
    models: dict[str, Model] = {}
    for text in given:
        role, mark, ref = text.partition("=")
        if not mark or role not in ROLES or not ref:
            raise InputError(
                f"--models {text}: expected ROLE=REFERENCE; the roles are: {', '.join(ROLES)}"
            )
        if role in models:
            raise InputError(f"--models {text}: the role {role} is given twice; name one model")
        models[role] = named_model(role, ref)
    return models


def chosen_systems(
    named: Sequence[str], preset: Preset, models: Mapping[str, Model]
) -> tuple[str, ...]:
    """Names of the systems to run, the baseline first, those of the user's models among them.

    `named` are systems and groups; by default those of the preset. Raises InputError for an
    unknown name, and for a system by name that needs a model which is not given.
    """
    names = [name for text in named for name in text.split(",")]
    asked: dict[str, None] = {BASELINE: None}
    for name in names:
        if name not in SYSTEMS and name not in GROUPS:
            raise InputError(
                f"no system {name!r}; the systems are: {', '.join(SYSTEMS)}; the groups: "
                f"{', '.join(GROUPS)}"
            )
        for each in GROUPS.get(name, (name,)):
            lacking = _lacking(SYSTEMS[each], models)
            if not lacking and _installed(each):
                asked[each] = None
            elif name == each:
                how = f"--models {lacking}=..." if lacking else LUCENE
                raise InputError(f"{name} needs what is not here: {how}")
    if names:
        used = {role for name in asked for role in (SYSTEMS[name].role, SYSTEMS[name].further)}
        if idle := [role for role in models if role not in used]:
            others = ", ".join(n for n, s in SYSTEMS.items() if idle[0] in (s.role, s.further))
            raise InputError(
                f"--models {idle[0]}=...: no system of --systems uses it; add one of: {others}"
            )
        return tuple(asked)
    for system in SYSTEMS.values():
        wanted = system.name in preset.systems or {system.role, system.further} & set(models)
        if wanted and not _lacking(system, models) and _installed(system.name):
            asked[system.name] = None
    return tuple(asked)


def _lacking(system: System, models: Mapping[str, Model]) -> str | None:
    """The role that the user must give for a system, where he has not."""
    if system.further and system.further not in models:
        return system.further
    return system.role if system.role not in models and system.model is None else None


def absent(named: Sequence[str], preset: Preset) -> str | None:
    """One line on what the preset or a named group has and this machine lacks, or None."""
    groups = {name for text in named for name in text.split(",")} & set(GROUPS)
    wanted = {each for name in groups for each in GROUPS[name]} if named else set(preset.systems)
    if "lucene" not in wanted or _installed("lucene"):
        return None
    return f"lucene is left out: it needs Java and pyserini, {LUCENE}"


def _installed(name: str) -> bool:
    return name != "lucene" or importlib.util.find_spec("pyserini") is not None


def first_jobs(request: Request) -> list[BenchJob]:
    """The cells that need no other: everything but rerankers."""
    wanted = [SYSTEMS[name] for name in request.systems]
    return [_job(each, request, {}) for each in wanted if each.experiment != "reranked"]


def candidates_for(request: Request) -> list[str]:
    """The systems behind which rerankers may stand: what needs no text of a language model."""
    return [n for n in request.systems if SYSTEMS[n].experiment in ("lexical", "dense")]


def rerank_jobs(request: Request, first: BenchJob) -> list[BenchJob]:
    """The cells of rerankers, behind the first stage of a job."""
    shared = ("collection", "queries", "split")
    config = {f"{FIRST}{k}": v for k, v in first.config.items() if k not in shared}
    wanted = [SYSTEMS[name] for name in request.systems]
    return [_job(each, request, config) for each in wanted if each.experiment == "reranked"]


def _job(system: System, request: Request, first: Mapping[str, Any]) -> BenchJob:
    preset = request.preset
    config: dict[str, Any] = {
        "collection": request.collection,
        "system": system.name,
        "queries": preset.queries,
        **({"split": request.split} if request.split else {}),
        **system.config,
    }
    if system.experiment in ("lexical", "rewritten", "augmented"):
        config |= {"analyzer": request.analyzer, "title": "space"}
    model = request.models.get(system.role or "") or (Model(system.model) if system.model else None)
    if model is not None:
        config |= model.config()
    if system.experiment == "rewritten":
        config |= {"max_new_tokens": preset.max_new_tokens, "seed": 0}
        if system.further:
            config |= request.models[system.further].config("adapter")
    if system.experiment == "augmented":
        config |= {"paraphrases": preset.paraphrases, "seed": 0}
    if system.experiment in ("dense", "reranked"):
        config["kind"] = kind = _kind(system, model, request)
    if system.experiment == "reranked":
        depth = preset.causal_depth if kind == CAUSAL else preset.depth
        config |= {"candidates": depth, "max_length": preset.max_length, **first}
        if system.further:
            config |= request.models[system.further].config("weights")
    size = size_of(place_of(model.ref, request.folders)) if model else None
    return BenchJob(BENCH, TIER, system.experiment, config, asked=request.command, size=size)


_KNOWN = {WORDLLAMA: STATIC, MINILM: EMBEDDER, MPNET: EMBEDDER, SMOLLM: CAUSAL}


def _kind(system: System, model: Model | None, request: Request) -> str:
    """What the model of a system is. Raises InputError for one that cannot do its work."""
    assert model is not None
    kind = _KNOWN.get(model.ref) or kind_of(
        place_of(model.ref, request.folders), download=request.download
    )
    able = {
        "dense": (EMBEDDER, STATIC),
        "rerank-prorank": (CAUSAL,),
        "rerank-prorank-trained": (CAUSAL,),
    }.get(system.name if system.experiment == "reranked" else "dense")
    if able and kind not in able:
        role, _, name = model.ref.removeprefix(FOLDER).partition(":")
        raise InputError(
            f"--models {role}={name or role}: its files say {kind}; {system.name} needs "
            f"{' or '.join(able)}"
        )
    return kind


def bench_command(collection: str, options: Mapping[str, object]) -> str:
    """`replicate bench COLLECTION` with the options that differ from their defaults."""
    parts = ["replicate", "bench", collection]
    for name, value in options.items():
        for each in value if isinstance(value, (tuple, list)) else [value]:
            parts += [f"--{name}", str(each)] if each is not None else []
    return shlex.join(parts)


# Seconds of one text or pair by the kind of model, at the size that goes with them.
_PACES = {
    CAUSAL: (0.7, SIZES[SMOLLM]),
    CROSS: (0.1, SIZES[MINILM]),
    DISTILLED: (0.05, SIZES[MINILM]),
    EMBEDDER: (0.05, SIZES[MINILM]),
}


def weight(job: BenchJob, documents: int, queries: int) -> float:
    """A rough guess of the seconds of a cell on two cores, for the time left.

    Only the proportions matter: what has run so far sets the scale.
    """
    config, thousand = job.config, documents / 1000
    queries = min(queries, config["queries"] or queries)
    kind = config.get("kind", CAUSAL)  # those without one write texts
    if job.experiment == "lexical":
        return 1 + 0.3 * thousand
    if kind == STATIC:
        return 3 + 0.6 * thousand
    pace, usual = _PACES[kind]
    larger = (job.size or usual) / usual
    if job.experiment == "dense":
        return 3 + documents * pace * larger
    if job.experiment == "reranked":
        length = config["max_length"] / 192 if kind == CAUSAL else 1
        return 5 + queries * config["candidates"] * pace * larger * length
    tokens = config.get("max_new_tokens", 32 * config.get("paraphrases", 1))
    again = config.get("mode") == "append"  # the texts are there
    return 5 + 0.3 * thousand + (0 if again else queries * (0.3 + tokens * 0.02) * larger)
