"""The cache of teacher scores: right couples, no work twice, resumption, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_replications.bert_distill_losses.tests.training.toy_collections import toy_source
from ir_replications.bert_distill_losses.training.label_changes import with_fraction, with_noise
from ir_replications.bert_distill_losses.training.teacher_cache import cross_fitted, teacher_scores
from ir_replications.bert_distill_losses.training.training_set import TrainingSet, training_set
from ir_replications.shared.errors import InputError


class Teacher:
    """Score = 1000 * query + document; counts its work and can stop after some calls."""

    def __init__(self, calls: int | None = None, value: float | None = None) -> None:
        self.couples = 0
        self.calls, self.value = calls, value

    def __call__(self, query: np.ndarray, document: np.ndarray) -> np.ndarray:
        assert query.dtype == document.dtype == np.int64
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls = None if self.calls is None else self.calls - 1
        self.couples += len(query)
        scores = (1000 * query + document).astype(np.float32)
        if self.value is not None:
            scores[-1] = self.value
        return scores


def expected(set: TrainingSet) -> np.ndarray:
    return (1000 * set.query[:, None] + set.groups).astype(np.float32)


@pytest.fixture
def toy() -> TrainingSet:
    return training_set([toy_source(queries=12)], groups=60, negatives=2, seed=3, unlabelled=0.1)


def ask(score: Teacher, set: TrainingSet, folder: Path, **changes: Any) -> np.ndarray:
    wanted: dict[str, Any] = {"teacher_sha256": "t", "settings": {"max_length": 96}} | changes
    return teacher_scores(score, set, folder=folder, **wanted)


def test_each_couple_is_scored_once_and_then_read(toy: TrainingSet, tmp_path: Path) -> None:
    teacher = Teacher()
    scores = ask(teacher, toy, tmp_path)
    assert scores.dtype == np.float32 and (scores == expected(toy)).all()
    assert teacher.couples == len(toy.couples) < toy.groups.size
    idle = Teacher()
    assert (ask(idle, toy, tmp_path) == scores).all() and idle.couples == 0


def test_sets_with_other_labels_share_the_scores(toy: TrainingSet, tmp_path: Path) -> None:
    ask(Teacher(), toy, tmp_path)
    idle = Teacher()
    noisy = with_noise(toy, 0.5, 1)
    assert (ask(idle, noisy, tmp_path) == expected(noisy)).all()
    assert (expected(noisy) != expected(toy)).any()
    ask(idle, with_fraction(toy, 0.5, 1), tmp_path)
    assert idle.couples == 0


def test_the_file_is_in_the_cache_by_default(
    toy: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path))
    teacher_scores(Teacher(), toy, teacher_sha256="t", settings={})
    assert len(list((tmp_path / "scores").glob("teacher-*.npz"))) == 1


def test_interrupted_work_goes_on(toy: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(Teacher(calls=3), toy, tmp_path, chunk=10)
    rest = Teacher()
    assert (ask(rest, toy, tmp_path, chunk=7) == expected(toy)).all()
    assert rest.couples == len(toy.couples) - 30


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(
    toy: TrainingSet, tmp_path: Path, value: float
) -> None:
    query, document = toy.couples[-1]
    with pytest.raises(InputError, match=f"of query {query}, document {document}"):
        ask(Teacher(value=value), toy, tmp_path)
    assert (ask(Teacher(), toy, tmp_path) == expected(toy)).all()  # nothing wrong was kept


def test_scores_of_a_wrong_shape_are_refused(toy: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scores \(1,\)"):
        teacher_scores(
            lambda q, d: np.zeros(1, np.float32), toy, teacher_sha256="t", settings={},
            folder=tmp_path,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher_sha256": "other"}, "another teacher;"),
        ({"settings": {"max_length": 64, "head": "cls"}}, r"another settings \(head, max_length\)"),
        ({"teacher_sha256": "u", "settings": {}}, r"another teacher and settings \(max_length\)"),
    ],
)
def test_a_file_of_another_request_is_refused(
    toy: TrainingSet, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "here" / "scores.npz"
    ask(Teacher(), toy, tmp_path, path=path)
    with pytest.raises(InputError, match=message) as caught:
        ask(Teacher(), toy, tmp_path, path=path, **changes)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    # In a folder they are simply other files.
    assert (ask(Teacher(), toy, tmp_path, **changes) == expected(toy)).all()


def test_a_file_of_another_set_is_refused(toy: TrainingSet, tmp_path: Path) -> None:
    ask(Teacher(), toy, tmp_path, path=tmp_path / "a.npz")
    with pytest.raises(InputError, match="another training set;"):
        ask(Teacher(), toy.subset(np.arange(30)), tmp_path, path=tmp_path / "a.npz")


def test_damaged_files_are_refused(toy: TrainingSet, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    ask(Teacher(), toy, tmp_path, path=path)
    with np.load(path) as stored:
        fields = dict(stored)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], np.zeros(3).tobytes()):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            ask(Teacher(), toy, tmp_path, path=path)
    for key, value in (
        ("scores", fields["scores"][:-1]),
        ("scores", fields["scores"] * np.float32("nan")),
        ("done", np.array(len(toy.couples) + 1)),
        ("done", np.array(-1)),
        ("done", np.array(1.5)),
        ("done", np.array(True)),
        ("done", np.array([1, 2])),
        ("request", np.array("[1]")),
        ("request", np.array("null")),
    ):
        np.savez(path, **(fields | {key: value}))
        with pytest.raises(InputError, match="damaged"):
            ask(Teacher(), toy, tmp_path, path=path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": NaN}', '{"a": 1, "a": 2}', f'{{"a": {"9" * 5000}}}', ""]
)
def test_a_request_that_is_no_json_is_one_line(toy: TrainingSet, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, request=np.array(text), scores=np.zeros(1, np.float32), done=0)
    with pytest.raises(InputError, match="cannot be read") as caught:
        ask(Teacher(), toy, tmp_path, path=path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_one_line(toy: TrainingSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        ask(Teacher(), toy, tmp_path, path=tmp_path / "file" / "a.npz")


def test_pickled_objects_are_not_read(toy: TrainingSet, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, request=np.array([{}], object), scores=np.zeros(1), done=0)
    with pytest.raises(InputError, match="cannot be read"):
        ask(Teacher(), toy, tmp_path, path=path)


def test_settings_are_compared_as_json(toy: TrainingSet, tmp_path: Path) -> None:
    for layers in ((1, 2), [1, 2]):
        ask(Teacher(), toy, tmp_path, settings={"layers": layers}, path=tmp_path / "a.npz")


# ---- Cross-fitted teachers


def test_each_half_is_scored_by_the_teacher_of_the_other(toy: TrainingSet, tmp_path: Path) -> None:
    own = (toy.query % 2).astype(np.int8)
    of_first = ask(Teacher(), toy, tmp_path, rows=own == 1)
    assert np.isnan(of_first[own == 0]).all()
    assert (of_first[own == 1] == expected(toy)[own == 1]).all()
    of_second = -ask(Teacher(), toy, tmp_path, rows=own == 0, teacher_sha256="u")
    scores = cross_fitted(own, (of_first, of_second))
    sign = np.where(own == 1, 1, -1)[:, None]
    assert (scores == sign * expected(toy)).all() and scores.dtype == np.float32
    with pytest.raises(InputError, match="no finite score of group"):
        cross_fitted(own, (of_second, of_first))
    with pytest.raises(InputError, match="expected two of"):
        cross_fitted(own, (of_first, of_second[1:]))
    with pytest.raises(InputError, match="expected two of"):
        cross_fitted(own, [of_first])


def test_no_row_wanted_is_no_work(toy: TrainingSet, tmp_path: Path) -> None:
    teacher = Teacher()
    scores = ask(teacher, toy, tmp_path, rows=np.zeros(len(toy), bool))
    assert np.isnan(scores).all() and scores.shape == toy.groups.shape and not teacher.couples
