"""`replicate bench` with the user's own models in every role, tiny and random."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ir_replications.bench.models import size_of
from ir_replications.bench.systems import PRESETS, Request, first_jobs, rerank_jobs, weight
from ir_replications.reports.records.store import Store
from tests.bench.tiny import own_collection, tiny_models
from tests.cli import Replicate

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return own_collection(tmp_path / "own")


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    return tiny_models(tmp_path)


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "systems.csv").open(newline="") as handle:
        return {row["system"]: row for row in csv.DictReader(handle)}


def test_a_users_models_are_told_by_their_files_and_take_their_roles(
    own: Path, models: dict[str, Path], replicate: Replicate
) -> None:
    given = {
        "embedder": models["embedder"], "teacher": models["cross"], "student": models["student"],
        "reranker": models["embedder"], "prorank": models["causal"], "rewriter": models["causal"],
        "paraphraser": models["causal"],
    }  # fmt: skip
    options = [part for role, path in given.items() for part in ("--models", f"{role}={path}")]
    names = ("dense-own", "bmx-augmented", "rewritten", "expanded", "rerank-teacher",
             "rerank-student", "rerank-own", "rerank-prorank")  # fmt: skip
    done = replicate("bench", own, *options, "--systems", ",".join(names), "--depth", "4")
    assert done.status == 0, done
    found = rows(Path("bench/own"))
    assert list(found) == ["bm25", *names]
    assert all(float(row["query_ms"]) > 0 for row in found.values())
    assert all(0 <= float(row["nDCG@10"]) <= 100 for row in found.values())
    records = {r.config["system"]: r for r in Store("bench/own/records").records()}
    kinds = {name: records[name].config.get("kind") for name in names}
    assert kinds == {
        "dense-own": "embedder", "bmx-augmented": None, "rewritten": None, "expanded": None,
        "rerank-teacher": "cross-encoder", "rerank-student": "distilled",
        "rerank-own": "embedder", "rerank-prorank": "causal",
    }  # fmt: skip
    assert str(own.parent) not in json.dumps([vars(r) for r in records.values()], default=str)
    for name in ("bench.html", "bench.json", "systems.csv"):
        assert str(own.parent) not in Path("bench/own", name).read_text()
    again = replicate("bench", own, *options, "--systems", ",".join(names), "--depth", "4")
    assert again.err.count("kept from before") == 9


def test_the_time_left_grows_with_the_size_of_the_model(models: dict[str, Path]) -> None:
    place = models["causal"] / "config.json"
    stated = json.loads(place.read_text())
    stated |= {"num_hidden_layers": 24, "hidden_size": 896, "intermediate_size": 4864}
    place.write_text(json.dumps(stated))
    assert size_of(str(place.parent)) == pytest.approx(286.2, abs=0.1)  # Qwen2.5-0.5B's
    place.write_text(json.dumps(stated | {"hidden_size": "896"}))
    assert size_of(str(place.parent)) is None
    assert size_of(f"hub:nobody/nothing@{'0' * 40}") is None

    request = Request(
        "pydocs", PRESETS["full"], ("dense-minilm", "dense-mpnet", "rerank-minilm"), {}, "lucene"
    )
    small, large = first_jobs(request)
    assert weight(large, 1000, 10) > 7 * weight(small, 1000, 10)
    (behind,) = rerank_jobs(request, small)
    assert weight(behind, 1000, 20) > weight(behind, 1000, 10)
    unknown = replace(large, size=None)
    assert weight(unknown, 1000, 10) == weight(small, 1000, 10)


def test_another_model_in_the_same_folder_is_another_cell(
    own: Path, models: dict[str, Path], replicate: Replicate
) -> None:
    options = ("--systems", "rerank-own", "--depth", "4")
    replicate("bench", own, *options, "--models", f"reranker={models['embedder']}")
    (models["embedder"] / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    changed = replicate("bench", own, *options, "--models", f"reranker={models['embedder']}")
    assert changed.err.count("kept from before") == 1  # the baseline


def test_a_reranker_permutes_the_first_documents_alone(
    own: Path, models: dict[str, Path], replicate: Replicate
) -> None:
    from ir_replications.shared.retrieval.runs import read_run

    replicate("bench", own, "--systems", "rerank-teacher", "--depth", "3", "--models",
              f"teacher={models['cross']}")  # fmt: skip
    store = Store("bench/own/records")
    runs = {r.config["system"]: read_run(store.check_run(r) or "") for r in store.records()}
    for qid, first in runs["bm25"].items():
        before, after = ([d for d, _ in run[qid]] for run in (runs["bm25"], runs["rerank-teacher"]))
        assert set(before[:3]) == set(after[:3]) and before[3:] == after[3:], first


@pytest.mark.parametrize(
    ("role", "kind", "said"),
    [
        ("prorank", "embedder", "its files say embedder; rerank-prorank needs causal"),
        ("embedder", "causal", "its files say causal; dense-own needs embedder or static"),
    ],
)
def test_a_model_that_cannot_do_the_work_is_refused_before_any(
    role: str, kind: str, said: str, own: Path, models: dict[str, Path], replicate: Replicate
) -> None:
    line = replicate.refused("bench", own, "--models", f"{role}={models[kind]}", "--no-download")
    assert f"--models {role}={kind}: {said}" in line and not Path("bench").exists()


def test_a_damaged_model_costs_its_system_alone(
    own: Path, models: dict[str, Path], replicate: Replicate
) -> None:
    (models["student"] / "head.safetensors").write_bytes(b"no weights")
    done = replicate("bench", own, "--systems", "bmx,rerank-student", "--depth", "3", "--models",
                     f"student={models['student']}")  # fmt: skip
    assert done.status == 1 and "rerank-student could not be run:" in done.out, done
    found = rows(Path("bench/own"))
    assert found["bmx"]["nDCG@10"] and not found["rerank-student"]["nDCG@10"]
    assert "not this head" in found["rerank-student"]["error"]
