"""Near-duplicates by hand, against brute force over sets, and on the data at hand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.training.overlap import MEASURES, NearDuplicate
from ir_replications.tongsearch_qr.checks.prompts import c10
from ir_replications.tongsearch_qr.training.data import Row
from ir_replications.tongsearch_qr.training.leakage import (
    drop_leaked,
    find_leaked_rows,
    find_leaks,
    separated,
    shingles,
)


def test_shingles() -> None:
    assert shingles("Why, WHY is it?", 2) == {("why", "why"), ("why", "is"), ("is", "it")}
    assert shingles("a b a b", 2) == {("a", "b"), ("b", "a")}
    assert shingles("two words", 5) == {("two", "words")}
    assert shingles("\ufb01ne Stra\u00dfe", 1) == {("fine",), ("strasse",)}
    assert shingles("?! ...") == shingles("") == set()


def test_similarities_by_hand() -> None:
    """2-grams: {ab, bc, cd} and {bc, cd, de, ef}: 2 in common of 5, of the smaller 3."""
    training, evaluation = {"t": "a b c d"}, {"e": "b c d e f", "f": "x y"}
    assert find_leaks(training, evaluation, n=2, threshold=0.4) == [NearDuplicate("t", "e", 2 / 5)]
    assert find_leaks(training, evaluation, n=2, threshold=0.41) == []
    contained = find_leaks(training, evaluation, n=2, threshold=0.6, measure="containment")
    assert contained == [NearDuplicate("t", "e", 2 / 3)]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_equals_brute_force(measure: str, n: int) -> None:
    source = random.Random(n)

    def texts(name: str) -> dict[str, str]:
        return {
            f"{name}{i}": " ".join(source.choices("abcd", k=source.randint(0, 9)))
            for i in range(40)
        }

    training, evaluation = texts("t"), texts("e")
    expected = []
    for t, left in training.items():
        for e, right in evaluation.items():
            a, b = shingles(left, n), shingles(right, n)
            whole = len(a | b) if measure == "jaccard" else min(len(a), len(b))
            if whole and len(a & b) / whole >= 0.3:
                expected.append(NearDuplicate(t, e, len(a & b) / whole))
    found = find_leaks(training, evaluation, n=n, threshold=0.3, measure=measure)
    assert (
        sorted(found, key=lambda leak: (-leak.similarity, leak.train_id, leak.held_out_id)) == found
    )
    assert set(found) == set(expected)
    assert len(found) == len(expected) > 5


def test_no_texts() -> None:
    assert find_leaks({}, {"e": "a b"}) == find_leaks({"t": "a b"}, {}) == find_leaks({}, {}) == []
    assert find_leaks({"t": "?"}, {"e": "?"}) == []


@pytest.mark.parametrize(
    "options", [{"n": 0}, {"threshold": 0.0}, {"threshold": 1.1}, {"measure": "cosine"}]
)
def test_refusals(options: dict) -> None:
    with pytest.raises(InputError, match="expected"):
        find_leaks({"t": "a"}, {"e": "a"}, **options)


def test_leaked_rows_are_removable() -> None:
    text = "how long does it take for green tea to brew at eighty degrees"
    rows = [Row("1", text, ("a",)), Row("2", "something else entirely", ("a",))]
    rows.append(Row("3", text.replace("green", "white") + " or more", ("a",)))
    leaks = find_leaked_rows(rows, {"q": text.upper() + "?", "r": text})
    assert [(leak.train_id, leak.held_out_id) for leak in leaks] == [("1", "q"), ("1", "r")]
    assert [row.id for row in drop_leaked(rows, leaks)] == ["2", "3"]
    assert [row.id for row in separated(rows, [Row("h", text, ("a",))])] == ["2", "3"]
    with pytest.raises(InputError, match="all 1 are near-duplicates"):
        drop_leaked(rows[:1], leaks)


def test_no_bright_query_among_the_training_questions(data_root: Path) -> None:
    """C10, with planted near-duplicates that must be found."""
    if not (data_root / "qa" / "stackexchange").is_dir() or not (data_root / "bright").is_dir():
        pytest.skip("no qa/stackexchange or no bright in the data root")
    from ir_replications.engine.context import Context

    facts = c10(Context(data_root))
    assert (facts["near_duplicates"], facts["plants_missed"]) == (0, 0)
    assert facts["largest_containment"] == pytest.approx(1 / 6)
    assert (facts["rows"], facts["queries"], facts["plants"]) == (3047, 1384, 70)
