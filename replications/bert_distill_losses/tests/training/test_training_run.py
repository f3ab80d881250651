"""Teachers and students in their folders: found again, refused when altered, trained once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_ranker import save_tiny
from ir_replications.bert_distill_losses.checks.tiny_training import (
    scores_of,
    tiny_recipe,
    toy_data,
    toy_set,
)
from ir_replications.bert_distill_losses.ranker.files import load_ranker
from ir_replications.bert_distill_losses.training import fit as fit_module
from ir_replications.bert_distill_losses.training import run as training_run
from ir_replications.bert_distill_losses.training.arms import ARMS, Arm
from ir_replications.bert_distill_losses.training.label_changes import with_noise
from ir_replications.bert_distill_losses.training.recipe import Recipe
from ir_replications.bert_distill_losses.training.run import Teachers, train_student, train_teacher
from ir_replications.shared.errors import InputError
from ir_replications.shared.own_code import code_of
from tests.code_run import left_out, modules_of, modules_run

DATA = toy_data()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny(tmp_path_factory.mktemp("models") / "m", layers=2, width=16, heads=2)


@pytest.fixture
def recipe(model: str) -> Recipe:
    return tiny_recipe(model, student_layers=1)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, Any]]:
    """(kind, seed, data) of what was trained, in order; what is found finished is none of it."""
    runs: list[tuple[str, int, Any]] = []
    plain: Callable[..., Any] = fit_module.fit

    def noted(*a: Any) -> Any:
        runs.append((a[1], a[4], a[2]))
        return plain(*a)

    monkeypatch.setattr(fit_module, "fit", noted)
    return runs


def test_a_finished_run_is_found_and_another_request_is_another_run(
    recipe: Recipe, fitted: list[Any], tmp_path: Path
) -> None:
    first = train_student(recipe, ARMS["A2"], 1, DATA)
    assert len(first.log) == first.result["steps"] == 4
    again = train_student(replace(recipe, note="reworded"), ARMS["A2"], 1, DATA)
    assert again == first
    retitled = replace(ARMS["A2"], title="the hinge")
    assert train_student(recipe, retitled, 1, DATA) == first
    assert [kind for kind, *_ in fitted] == ["student"], "the hinge needs no teacher"
    other = save_tiny(tmp_path / "other", layers=2, width=16, heads=2, seed=5)
    for changes in (
        {"recipe": replace(recipe, max_length=12)},
        {"recipe": replace(recipe, teacher_model=other)},
        {"arm": ARMS["A1"]},
        {"seed": 2},
        {"learning_rate": 0.5},
        {"layers": 2},
        {"arm": replace(ARMS["A2"], hard_weight=2.0)},
        {"data": replace(DATA, groups=toy_set(seed=9))},
    ):
        asked: dict[str, Any] = {"recipe": recipe, "arm": ARMS["A2"], "seed": 1, "data": DATA}
        assert train_student(**(asked | changes)).weights != first.weights, changes
    assert len(fitted) == 9
    deeper = train_student(recipe, ARMS["A2"], 1, DATA, layers=2)
    assert (load_ranker(deeper.weights).layers, load_ranker(first.weights).layers) == (2, 1)


def test_what_a_run_records(recipe: Recipe) -> None:
    result = train_student(recipe, ARMS["A2"], 1, DATA).result
    assert (result["steps"], result["processes"]) == (4, 1)
    assert result["provenance"]["seed"] == 1
    assert list(result["provenance"]["models"]) == [Path(recipe.teacher_model).name]
    assert DATA.groups.sha256 in result["provenance"]["data"].values()
    assert "arm" not in result and set(result["weights_sha256"]) == {
        "encoder/model.safetensors", "head.safetensors",
    }  # fmt: skip
    frozen = 64 * 16  # word embeddings
    assert recipe.freeze_word_embeddings
    free = train_student(replace(recipe, freeze_word_embeddings=False), ARMS["A2"], 1, DATA)
    assert free.result["trainable_parameters"] - result["trainable_parameters"] == frozen


def test_the_recipe_says_how_many_threads(recipe: Recipe) -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    result = train_student(replace(recipe, threads=before + 1), ARMS["A2"], 1, DATA).result
    assert result["provenance"]["threads"]["torch"] == before + 1
    assert torch.get_num_threads() == before


def test_a_folder_of_another_request_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    done = train_student(recipe, ARMS["A2"], 1, DATA, output=tmp_path / "run")
    assert done.weights == tmp_path / "run" / "final"
    with pytest.raises(InputError, match="holds a run with another arm"):
        train_student(recipe, ARMS["A1"], 1, DATA, output=tmp_path / "run")
    with pytest.raises(InputError, match="holds a run with another seed"):
        train_student(recipe, ARMS["A2"], 2, DATA, output=tmp_path / "run")


def test_altered_weights_are_refused(recipe: Recipe) -> None:
    done = train_student(recipe, ARMS["A2"], 1, DATA)
    weights = done.weights / "head.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"final/head\.safetensors was altered; delete the folder"):
        train_student(recipe, ARMS["A2"], 1, DATA)


@pytest.mark.parametrize("name", ["ranker.json", "encoder/config.json", "encoder/tokenizer.json"])
def test_every_file_of_a_teacher_is_checked_before_its_students_learn(
    recipe: Recipe, name: str
) -> None:
    teacher = Teachers(recipe, DATA).single()
    path = teacher.weights / name
    path.write_text(path.read_text() + " ")
    with pytest.raises(InputError, match=rf"final/{name} was altered; delete the folder .*teacher"):
        train_student(recipe, ARMS["A8"], 1, DATA)


def test_other_code_is_another_run_and_other_scores(
    recipe: Recipe, fitted: list[Any], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_student(recipe, ARMS["A8"], 1, DATA)
    made = first.result["provenance"]["training_code_sha256"]
    assert made == code_of("ir_replications.bert_distill_losses.training.run")
    assert [kind for kind, *_ in fitted] == ["teacher", "student"]
    monkeypatch.setattr(training_run, "code_of", lambda *_: "0" * 64)
    other = train_student(recipe, ARMS["A8"], 1, DATA)
    assert [kind for kind, *_ in fitted] == ["teacher", "student"] * 2
    assert other.result["provenance"]["training_code_sha256"] == "0" * 64
    assert other.weights != first.weights and other.sha256 == first.sha256
    assert len(list((own_cache / "scores").glob("teacher-*.npz"))) == 2


def test_what_runs_in_a_training_is_in_its_digest(recipe: Recipe) -> None:
    def everything() -> None:
        train_student(recipe, ARMS["A13"], 1, DATA)
        train_student(recipe, ARMS["A16"], 1, DATA, init="teacher")

    run = modules_run(everything)
    assert {
        "ir_replications.bert_distill_losses.training.loop",
        "ir_replications.bert_distill_losses.ranker.scoring",
    } <= run
    assert run <= modules_of("ir_replications.bert_distill_losses.training.run") | left_out()


def test_an_unknown_start_is_one_line(recipe: Recipe) -> None:
    with pytest.raises(InputError, match="init 'random': expected one of pre-trained, teacher"):
        train_student(recipe, ARMS["A2"], 1, DATA, init="random")


def test_students_begin_as_they_are_asked_to(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    plain = fit_module.train_ranker

    def note(ranker: Any, *a: Any, **options: Any) -> Any:
        made.append(ranker.encoder.encoder.layer[0].attention.self.query.weight.detach().clone())
        return plain(ranker, *a, **options)

    monkeypatch.setattr(fit_module, "train_ranker", note)
    teacher = load_ranker(Teachers(recipe, DATA).single().weights)
    made.clear()
    train_student(recipe, ARMS["A2"], 1, DATA, init="teacher")
    train_student(recipe, ARMS["A2"], 1, DATA)
    from ir_replications.bert_distill_losses.ranker.model import pretrained_ranker

    untrained = pretrained_ranker(recipe.teacher_model, "cls")
    expected = [
        teacher.encoder.encoder.layer[1].attention.self.query.weight,
        untrained.encoder.encoder.layer[0].attention.self.query.weight,
    ]
    assert [bool((a == b).all()) for a, b in zip(made, expected, strict=True)] == [True, True]


# ---- Teachers


def test_teachers_are_trained_once_for_all_students(recipe: Recipe, fitted: list[Any]) -> None:
    for name in ("A5", "A8", "A13"):
        train_student(recipe, ARMS[name], 1, DATA)
    train_student(recipe, ARMS["A5"], 2, DATA.of_seed(2, recipe, "student"))
    train_student(recipe, ARMS["A2"], 1, DATA, init="teacher")
    assert [seed for kind, seed, _ in fitted if kind == "teacher"] == [11]
    train_student(recipe, replace(ARMS["A5"], teacher="ensemble"), 1, DATA)
    assert [seed for kind, seed, _ in fitted if kind == "teacher"] == [11, 12, 13]


def test_the_ensemble_is_the_mean(recipe: Recipe) -> None:
    teachers = Teachers(recipe, DATA)
    found, used = teachers.scores(replace(ARMS["A5"], teacher="ensemble"), 1)
    each = [scores_of(load_ranker(teachers.of(s).weights), DATA.groups) for s in (11, 12, 13)]
    assert found is not None and found.dtype == np.float32
    assert np.abs(found - np.mean(each, axis=0)).max() < 1e-6
    assert np.abs(each[0] - each[1]).max() > 1e-4, "three different teachers"
    assert used == [teachers.of(s).sha256 for s in (11, 12, 13)] and len(set(used)) == 3
    single, one = teachers.scores(ARMS["A5"], 1)
    assert single is not None and np.abs(single - each[0]).max() < 1e-6 and one == used[:1]


def test_a_cross_fitted_teacher_never_scores_its_own_half(
    recipe: Recipe, fitted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = []
    plain = Teachers._scores

    def note(self: Teachers, teacher: Any, rows: Any = None) -> Any:
        scored.append((teacher.sha256, rows))
        return plain(self, teacher, rows)

    monkeypatch.setattr(Teachers, "_scores", note)
    teachers = Teachers(recipe, DATA)
    found, used = teachers.scores(replace(ARMS["A5"], teacher="cross-fitted"), 1)
    half = DATA.half
    whole = DATA.of_seed(11, recipe, "teacher")
    for number, ((_, seed, data), (sha256, asked)) in enumerate(zip(fitted, scored, strict=True)):
        assert seed == 11 and sha256 == used[number]
        assert set(data.half) == {number} and len(data.groups) == (whole.half == number).sum()
        assert set(half[asked]) == {1 - number}, "and asked about the other"
    rankers = [load_ranker(teachers.of(11, h).weights) for h in (0, 1)]
    of_half = [scores_of(ranker, DATA.groups) for ranker in rankers]
    assert found is not None
    for number in (0, 1):
        here = half == number
        assert np.abs(found[here] - of_half[1 - number][here]).max() < 1e-6
        assert np.abs(found[here] - of_half[number][here]).max() > 1e-4


def test_scores_are_of_the_arms_own_groups(recipe: Recipe) -> None:
    teachers = Teachers(recipe, DATA)
    plain = teachers.scores(ARMS["A8"], 1)[0]
    shuffled = teachers.scores(ARMS["C1"], 1)[0]
    assert plain is not None and shuffled is not None
    assert sorted(plain.ravel().tolist()) == sorted(shuffled.ravel().tolist())
    assert not (plain == shuffled).all(axis=1).any(), "no group keeps its own"
    noisy = DATA.changed(replace(ARMS["A8"], swapped=1.0), 1)
    swapped = Teachers(recipe, noisy).scores(ARMS["A8"], 1)[0]
    assert swapped is not None and np.array_equal(swapped, plain[:, ::-1])
    assert teachers.scores(ARMS["A2"], 1) == (None, [])


def test_arms_that_change_labels_train_on_changed_groups(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    plain = fit_module.train_ranker

    def note(ranker: Any, groups: Any, tokens: Any, arm: Arm, *a: Any, **options: Any) -> Any:
        seen[arm.title] = groups, options["teacher_scores"]
        return plain(ranker, groups, tokens, arm, *a, **options)

    monkeypatch.setattr(fit_module, "train_ranker", note)
    few = replace(ARMS["A8"], title="few", labelled=0.5)
    for arm in (ARMS["A2"], ARMS["C3"], ARMS["A8"], ARMS["C1"], few):
        train_student(recipe, arm, 1, DATA)
    assert np.array_equal(seen[ARMS["A2"].title][0].groups, DATA.groups.groups)
    noisy, _ = seen[ARMS["C3"].title]
    assert np.array_equal(noisy.groups, with_noise(DATA.groups, 0.3, 1).groups)
    assert (noisy.groups != DATA.groups.groups).any(axis=1).sum() == round(0.3 * 16)
    assert 0 < seen["few"][0].labelled.sum() < 16
    assert np.array_equal(seen["few"][1], seen[ARMS["A8"].title][1])
    assert not np.array_equal(seen[ARMS["C1"].title][1], seen[ARMS["A8"].title][1])
    assert seen[ARMS["A2"].title][1] is None
    # The teacher has the labels as they are.
    assert np.array_equal(seen["teacher"][0].groups, toy_set(16, seed=11).groups)
    assert seen["teacher"][0].labelled.all()


def test_a_student_follows_the_layers_of_the_teacher_it_names(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = {}
    plain = fit_module.train_ranker

    def note(ranker: Any, groups: Any, tokens: Any, arm: Arm, *a: Any, **options: Any) -> Any:
        followed[arm.title] = options["layer_teacher"]
        return plain(ranker, groups, tokens, arm, *a, **options)

    monkeypatch.setattr(fit_module, "train_ranker", note)
    for name in ("A8", "A13", "C2"):
        train_student(recipe, ARMS[name], 1, DATA)

    def first(encoder: Any) -> Any:
        return encoder.encoder.layer[0].output.dense.weight

    from ir_replications.bert_distill_losses.ranker.model import pretrained_ranker

    assert followed[ARMS["A8"].title] is None
    teacher = load_ranker(Teachers(recipe, DATA).single().weights).encoder
    untrained = pretrained_ranker(recipe.teacher_model, "cls").encoder
    assert bool((first(followed[ARMS["A13"].title]) == first(teacher)).all())
    assert bool((first(followed[ARMS["C2"].title]) == first(untrained)).all())
    assert not bool((first(teacher) == first(untrained)).all())


def test_a_student_of_another_kind_follows_scores_and_states(
    recipe: Recipe, tmp_path: Path
) -> None:
    """An MPNet of twice the width: other ids, a separator more, a projection."""
    teacher = save_tiny(tmp_path / "mpnet", "MPNet", layers=2, width=32, heads=2)
    mixed = replace(recipe, teacher_model=teacher, student_model=recipe.teacher_model)
    for name, terms in (("A8", {"hard", "soft"}), ("A11", {"hard", "soft", "hidden"})):
        trained = train_student(mixed, ARMS[name], 1, DATA)
        assert all(terms <= entry.keys() for entry in trained.log), name
        assert all(np.isfinite(entry["loss"]) for entry in trained.log)
        assert load_ranker(trained.weights).encoder.config.model_type == "bert"
    with pytest.raises(InputError, match="bias of distances"):
        train_student(mixed, ARMS["A12"], 1, DATA)


def test_a_teacher_of_a_half_without_groups_is_one_line(recipe: Recipe) -> None:
    one_half = DATA.of_half(0)
    with pytest.raises(InputError, match="no query is in half 1; expected more queries"):
        train_teacher(recipe, 11, one_half, half=1)
