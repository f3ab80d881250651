"""Dense retrieval against plain sums by hand, and its cache of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.embedder import TransformerEmbedder
from ir_replications.shared.retrieval.dense import (
    GROUP,
    DenseRetriever,
    count_cut,
    dense_search,
    embed,
    load_dense,
)

LETTERS = "abc"


class Letters(TransformerEmbedder):
    """Embeds a text as its counts of a, b and c, of length one; counts what it was asked for."""

    asked: list[str]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.array([unit(text) for text in texts], dtype=np.float32)


def unit(text: str) -> list[float]:
    counts = [text.count(letter) for letter in LETTERS]
    length = math.sqrt(sum(count * count for count in counts))
    return [count / length for count in counts]


def words(texts: list[str], **_: Any) -> dict[str, list[list[str]]]:
    return {"input_ids": [["[CLS]", *text.split(), "[SEP]"] for text in texts]}


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Letters:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    model = SimpleNamespace(config=SimpleNamespace(hidden_size=3), dtype="float32")
    made = Letters("toy", "0" * 64, "mean", 4, 8, "cpu", model, words)
    made.asked = []
    return made


DOCUMENTS = {"d1": "a b", "d2": "a a a b", "d3": "c", "d4": "a b", "d5": "a"}


def test_all_documents_are_ranked_by_cosine_and_ties_by_number(letters: Letters) -> None:
    found = dense_search(
        letters, list(DOCUMENTS.values()), list(DOCUMENTS), {"q": "a", "d3": "c b"}, 10,
        excluded={"q": ["d2"]},
    )  # fmt: skip
    assert [docid for docid, _ in found["q"]] == ["d5", "d1", "d4", "d3"]
    assert [docid for docid, _ in found["d3"]] == ["d1", "d4", "d2", "d5"], "its own id is dropped"
    for qid, query in (("q", "a"), ("d3", "c b")):
        for docid, score in found[qid]:
            by_hand = sum(x * y for x, y in zip(unit(query), unit(DOCUMENTS[docid]), strict=True))
            assert score == pytest.approx(by_hand, abs=1e-6)
    kept = dense_search(
        letters, list(DOCUMENTS.values()), list(DOCUMENTS), {"d3": "c"}, 1, drop_own_id=False
    )
    assert [docid for docid, _ in kept["d3"]] == ["d3"]


def test_slots_beyond_the_documents_are_empty(letters: Letters) -> None:
    retriever = DenseRetriever(letters).index([["a"], ["b"]])
    numbers, scores = retriever.retrieve([["b"]], k=4)
    assert numbers.tolist() == [[1, 0, -1, -1]]
    assert scores.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert retriever.get_scores(["b"]).tolist() == [0.0, 1.0]


def test_vectors_come_in_the_order_of_the_texts_and_only_once(letters: Letters) -> None:
    texts = ["a " * (1 + n * 7 % 150) + "b" for n in range(2 * GROUP + 5)]
    expected = [unit(text) for text in texts]
    assert np.allclose(embed(letters, texts), expected, atol=1e-6)
    assert sorted(letters.asked) == sorted(texts)
    letters.asked.clear()
    assert np.allclose(embed(letters, texts), expected, atol=1e-6)
    assert letters.asked == [], "all of it lies in the cache"


@pytest.mark.parametrize("damage", ["cut", "a bit", "empty", "another shape"])
def test_a_damaged_file_of_the_cache_is_made_again(
    letters: Letters, tmp_path: Path, damage: str
) -> None:
    texts = [f"a {'b ' * n}" for n in range(3)]
    right = embed(letters, texts)
    (path,) = (tmp_path / "cache" / "embeddings").iterdir()
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[-40:]
    elif damage == "a bit":
        content[content.index(right[2].tobytes()) + 3] ^= 1
    elif damage == "empty":
        content.clear()
    path.write_bytes(content)
    if damage == "another shape":
        with open(path, "wb") as handle:
            np.savez(handle, vectors=right[:2])
    letters.asked.clear()
    assert np.array_equal(embed(letters, texts), right)
    assert sorted(letters.asked) == sorted(texts)


def test_what_changes_the_vectors_changes_their_place(letters: Letters, tmp_path: Path) -> None:
    embed(letters, ["a"])
    for name, value in (("sha256", "1" * 64), ("pooling", "cls"), ("max_length", 5)):
        before = len(list((tmp_path / "cache" / "embeddings").iterdir()))
        setattr(letters, name, value)
        embed(letters, ["a"])
        assert len(list((tmp_path / "cache" / "embeddings").iterdir())) == before + 1


def test_a_cache_that_cannot_be_written_costs_time_alone(letters: Letters, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        assert embed(letters, ["a", "b"], tmp_path / "file").tolist() == [[1, 0, 0], [0, 1, 0]]
    assert len(letters.asked) == 4


def test_texts_longer_than_the_embedder_reads_are_counted(letters: Letters) -> None:
    assert count_cut(letters, ["a b", "a b c", "a b c d", "a"]) == 2, "two of four are its marks"


def test_static_vectors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ir_replications.shared.retrieval.dense.load_embedder", lambda ref, **_: object()
    )
    with pytest.raises(InputError, match="toy: static token vectors; expected a transformer"):
        load_dense("toy")
