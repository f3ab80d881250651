"""Near-duplicate queries by hand, against brute force over sets, and on the data at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_replications.shared.data import load_collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.training.near_duplicates import (
    NearDuplicate,
    leaked_queries,
    near_duplicates,
)


def test_near_duplicates_by_hand() -> None:
    """Stems {plant, base, diet} and {plant, base, diet, diabet}: 3 of 4 in common."""
    training = {"1": "Plant-Based Diets and Diabetes", "2": "walnuts", "3": "Not this!", "4": "?"}
    held_out = {"x": "plant-based diet", "y": "the Walnut", "z": "not THIS"}
    found = near_duplicates(training, held_out, 0.75)
    assert found == [
        NearDuplicate("2", "y", 1.0), NearDuplicate("3", "z", 1.0), NearDuplicate("1", "x", 0.75)
    ]  # fmt: skip
    assert near_duplicates(training, held_out, 0.76) == found[:2]
    assert leaked_queries(training, [{"y": "walnut"}, {"x": "plant-based diet"}]) == {"1", "2"}
    assert near_duplicates({}, held_out) == near_duplicates(training, {}) == []


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1])
def test_thresholds_refused(threshold: float) -> None:
    with pytest.raises(InputError, match=r"expected a number in \(0, 1\]"):
        near_duplicates({"a": "b"}, {"c": "d"}, threshold)


texts = st.lists(st.sampled_from(["iron", "zinc", "salt", "milk"]), max_size=5).map(" ".join)


@given(st.lists(texts, max_size=8), st.lists(texts, max_size=8), st.sampled_from([0.3, 0.5, 1.0]))
def test_near_duplicates_equal_brute_force(a: list[str], b: list[str], threshold: float) -> None:
    expected = set()
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            x, y = set(left.split()), set(right.split())
            if x | y and len(x & y) / len(x | y) >= threshold:
                expected.add(NearDuplicate(str(i), str(j), len(x & y) / len(x | y)))
    training, held_out = ({str(i): text for i, text in enumerate(side)} for side in (a, b))
    found = near_duplicates(training, held_out, threshold)
    assert set(found) == expected
    assert len(found) == len(expected)


LEAKS = {  # training queries near a test query, and those with exactly its stems
    "beir/nfcorpus": (179, 5),
    "beir/scifact": (159, 8),
}


@pytest.mark.parametrize("name", LEAKS)
def test_training_queries_near_test_queries(data_root: Path, name: str) -> None:
    """In SciFact one split negates claims of the other: a fifth of the training claims."""
    if not (data_root / name).is_dir():
        pytest.skip(f"no {name} in the data root")
    collection = load_collection(name, data_root=data_root)
    found = near_duplicates(collection.topics("train"), collection.topics("test"))
    equal = {pair.train_id for pair in found if pair.similarity == 1.0}
    assert (len({pair.train_id for pair in found}), len(equal)) == LEAKS[name]
