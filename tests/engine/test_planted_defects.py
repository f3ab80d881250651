"""A planted defect turns the comparison with the published numbers red, for every kind of number.

Each case runs one real cell of the embedded tier with one thing wrong. That the same cells agree
without the defect is what the claim tests show.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_replications.engine.commands.options import PUBLISHED
from ir_replications.engine.evidence import Evidence
from ir_replications.engine.execute import run_job
from ir_replications.engine.jobs import Job as Cell
from ir_replications.engine.registry import PAPERS_FOLDER
from ir_replications.reports.claims.kinds import load_numbers
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.data.pydocs import load_pydocs
from ir_replications.shared.files import find_cache_dir

pytest.importorskip("torch", reason="the defects are planted in trainings too")

Patch = pytest.MonkeyPatch
TIER = "embedded"


@dataclass(frozen=True)
class Defect:
    """What is planted, in which cell, and where it must show: kind of number and its name."""

    what: str
    kind: str
    paper: str
    experiment: str
    cell: dict[str, Any]
    name: str
    plant: Callable[[Patch], None]


def a_query_dropped(patch: Patch) -> None:
    from ir_replications.bmx.experiments import e2_retrieval

    whole = e2_retrieval.search_topics

    def fewer(*arguments: Any) -> Any:
        run, qrels = whole(*arguments)
        return run, dict(list(qrels.items())[1:])

    patch.setattr(e2_retrieval, "search_topics", fewer)


def a_title_left_out(patch: Patch) -> None:
    from ir_replications.engine import context

    whole = context.corpus_tokens
    patch.setattr(
        context, "corpus_tokens", lambda found, analyzer, _: whole(found, analyzer, "omit")
    )


def a_layer_mapped_wrongly(patch: Patch) -> None:
    from ir_replications.bert_distill_losses.checks import encoders as goldens_encoders
    from ir_replications.bert_distill_losses.method import layer_objective

    def off_by_one(teacher: int, student: int) -> tuple[int, ...]:
        return tuple(m * teacher // student - 1 for m in range(1, student + 1))

    for module in (goldens_encoders, layer_objective):
        patch.setattr(module, "uniform_map", off_by_one)


def k1_of_1_21(patch: Patch) -> None:
    from ir_replications.bmx.experiments import e2_retrieval

    usual = e2_retrieval.BM25
    patch.setattr(e2_retrieval, "BM25", lambda method, k1, b: usual(method, k1=1.21, b=b))


def ties_reversed(patch: Patch) -> None:
    from ir_replications.shared.retrieval import runs

    usual = runs._sorted_results

    def descending(*arguments: Any) -> Any:
        by_id = sorted(usual(*arguments), key=lambda result: result[0], reverse=True)
        return sorted(by_id, key=lambda result: result[1], reverse=True)

    patch.setattr(runs, "_sorted_results", descending)


def a_temperature_not_squared(patch: Patch) -> None:
    from ir_replications.bert_distill_losses.method import ranking_losses

    usual = ranking_losses.pair_kl
    patch.setitem(
        ranking_losses.SOFT, "pair-kl", lambda s, t, T=1.0, **o: usual(s, t, T, scaled=False)
    )
    patch.setattr(
        ranking_losses, "pair_kl",
        lambda s, t, temperature=1.0, scaled=True: usual(s, t, temperature, scaled=False),
    )  # fmt: skip


def a_weight_1_percent_off(patch: Patch) -> None:
    from ir_replications.bert_distill_losses.training import loop

    usual = loop.phase

    def heavier(*arguments: Any) -> Any:
        weights, head_only = usual(*arguments)
        return {term: weight * 1.01 for term, weight in weights.items()}, head_only

    patch.setattr(loop, "phase", heavier)


def a_rate_1_percent_off(patch: Patch) -> None:
    from ir_replications.shared.training import loop

    usual = loop.UpdateLoop.__init__

    def faster(self: Any, parameters: Any, settings: Any, *rest: Any, **options: Any) -> None:
        rate = settings.learning_rate * 1.01
        usual(self, parameters, replace(settings, learning_rate=rate), *rest, **options)

    patch.setattr(loop.UpdateLoop, "__init__", faster)


def eval_mode_forgotten(patch: Patch) -> None:
    from ir_replications.bert_distill_losses.ranker import scoring

    @contextlib.contextmanager
    def training(model: Any) -> Any:
        yield model.train()

    patch.setattr(scoring, "evaluating", training)


def another_seed(patch: Patch) -> None:
    from ir_replications.bert_distill_losses.checks import encoders as goldens_encoders

    usual = goldens_encoders.objective_of
    patch.setattr(goldens_encoders, "objective_of", lambda *a, **o: usual(*a, **{**o, "seed": 8}))


BM25 = {
    "system": "bm25", "method": "lucene", "k1": 1.2, "b": 0.75, "analyzer": "baguetter",
    "title": "newline",
}  # fmt: skip
HINGE = {"system": "student", "arm": "A2"}
DEFECTS = [
    Defect("a query dropped", "exact", "bmx", "E2", BM25, "queries was", a_query_dropped),
    Defect(
        "a layer mapped wrongly", "exact", "bert_distill_losses", "E1", {"check": "G8"},
        "targets_6_to_2", a_layer_mapped_wrongly,
    ),
    Defect("k1 of 1.21", "float64", "bmx", "E2", BM25, "nDCG@10 was", k1_of_1_21),
    Defect("ties reversed", "float64", "bmx", "E2", BM25, "nDCG@10 was", ties_reversed),
    Defect("titles left out", "float64", "bmx", "E2", BM25, "nDCG@10 was", a_title_left_out),
    Defect(
        "a temperature not squared", "error-bound", "bert_distill_losses", "E1",
        {"check": "T4-T10"}, "T5_square_of_3_error", a_temperature_not_squared,
    ),
    Defect(
        "a weight 1 % off", "error-bound", "bert_distill_losses", "E1", {"check": "G11"},
        "max_relative_error", a_weight_1_percent_off,
    ),
    Defect(
        "eval mode forgotten", "float32", "bert_distill_losses", "E1", {"check": "C4"},
        "of_two_layers", eval_mode_forgotten,
    ),
    Defect(
        "another seed", "float32", "bert_distill_losses", "E1", {"check": "G10-projection"},
        "projection_gradient", another_seed,
    ),
    Defect(
        "a rate 1 % off in float64", "trained", "bert_distill_losses", "E1",
        {"check": "G13-margins"}, "correlation", a_rate_1_percent_off,
    ),
    Defect(
        "a weight 1 % off in float32", "trained", "bert_distill_losses", "E2", HINGE, "curve.",
        a_weight_1_percent_off,
    ),
]  # fmt: skip
# The same rate as in float64, in a cell whose bounds a weight of another size tests already.
TWICE = [
    Defect(
        "a rate 1 % off", "trained", "bert_distill_losses", "E2", HINGE, "curve.",
        a_rate_1_percent_off,
    ),
]  # fmt: skip


def published(paper: str, experiment: str) -> list[Record]:
    return [r for r in Store(PUBLISHED).records(paper, TIER) if r.experiment == experiment]


def cell_of(defect: Defect) -> Record:
    found = published(defect.paper, defect.experiment)
    (cell,) = [r for r in found if defect.cell.items() <= r.config.items()]
    return cell


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: Patch) -> None:
    """Models and the built-in collection as they lie; what is trained or scored would hide it."""
    load_pydocs(find_cache_dir())  # built where it is not yet
    (tmp_path / "cache").mkdir()
    for kept in ("models", "pydocs"):
        folder = (find_cache_dir() / kept).resolve()
        folder.mkdir(exist_ok=True)  # of models, where none was fetched yet
        (tmp_path / "cache" / kept).symlink_to(folder, target_is_directory=True)
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    "defect",
    [*DEFECTS, *(pytest.param(defect, marks=pytest.mark.slow) for defect in TWICE)],
    ids=lambda d: f"{d.kind}-{d.what.replace(' ', '-')}",
)
def test_a_planted_defect_is_red(defect: Defect, tmp_path: Path, monkeypatch: Patch) -> None:
    from ir_replications.bert_distill_losses.experiments import students
    from ir_replications.engine import context

    old = cell_of(defect)
    # How near a student's layers are to the teacher's shows no defect, and needs a second training.
    monkeypatch.setattr(students, "closeness", lambda *_: {})
    for cached in (context.cached_collection, context._tokens):
        cached.cache_clear()
    defect.plant(monkeypatch)
    cell = Cell(defect.paper, TIER, defect.experiment, old.config)
    new, reused = run_job(cell, tmp_path / "store")
    for cached in (context.cached_collection, context._tokens):
        cached.cache_clear()
    assert not reused and new.status == "ok", new.error
    folder = PAPERS_FOLDER / defect.paper
    evidence = Evidence(load_paper(folder), load_numbers(folder), TIER, [new])
    lines = evidence.comparison.disagreements
    assert [line for line in lines if defect.name in line], lines
    assert evidence.comparison.compared[defect.kind]


# ---- Sampled text has no number of its own: a defect shows in the verdict of a claim.


def rotated(paraphrases: list[list[str]]) -> list[list[str]]:
    return paraphrases[7:] + paraphrases[:7]


def other_words(paraphrases: list[list[str]]) -> list[list[str]]:
    return [["function array sparse matrix value"] * 20 for _ in paraphrases]


def unchanged(paraphrases: list[list[str]]) -> list[list[str]]:
    return paraphrases


@pytest.mark.parametrize(
    ("change", "changed"),
    [(unchanged, False), (rotated, True), (other_words, True)],
    ids=["as-published", "paraphrases-of-other-queries", "paraphrases-of-nothing"],
)
def test_a_defect_in_sampled_text_changes_a_verdict(
    change: Callable[[list[list[str]]], list[list[str]]],
    changed: bool,
    tmp_path: Path,
    monkeypatch: Patch,
) -> None:
    from ir_replications.bmx.experiments import e5_augmentation

    old = published("bmx", "E5")
    wanted = [r for r in old if r.config.get("augmentation") in ("none", "paper")]
    texts = dict(wanted[0].facts["examples"])
    model = next(iter(wanted[0].provenance["models"].values()))

    def paraphrase(queries: list[str], *_: Any) -> tuple[list[list[str]], str]:
        return change([texts[query] for query in queries]), model

    monkeypatch.setattr(e5_augmentation, "paraphrase", paraphrase)
    cells = [Cell("bmx", TIER, "E5", r.config) for r in wanted]
    fresh = [run_job(cell, tmp_path)[0] for cell in cells]
    folder = PAPERS_FOLDER / "bmx"
    evidence = Evidence(load_paper(folder), load_numbers(folder), TIER, fresh)
    assert evidence.comparison.disagreements == () and len(fresh) >= 4
    claims = [claim for claim in evidence.paper.claims if claim.id.startswith("C21")]
    lines = [line for claim in claims for line in evidence.problems(claim)]
    red = [line for line in lines if "verdict is now" in line]
    assert bool(red) == changed, lines
    assert np.isfinite([record.means["nDCG@10"] for record in fresh]).all()
