"""ir_datasets: a dataset registered here, with exclusions as its BRIGHT has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ir_replications.shared.data import load_collection
from ir_replications.shared.errors import InputError

ir_datasets = pytest.importorskip("ir_datasets")


class Doc(NamedTuple):
    doc_id: str
    text: str
    title: str


class Query(NamedTuple):
    query_id: str
    title: str

    def default_text(self) -> str:
        return self.title


class Qrel(NamedTuple):
    query_id: str
    doc_id: str
    relevance: int
    iteration: str


class Fake:
    """The part of an ir_datasets dataset that is read."""

    def __init__(self, *, qrels: bool = True, broken: bool = False) -> None:
        self.qrels, self.broken = qrels, broken

    def has_docs(self) -> bool:
        return True

    has_queries = has_docs

    def has_qrels(self) -> bool:
        return self.qrels

    def docs_iter(self) -> Iterator[Doc]:
        yield Doc("d2", "lift", "Wings")
        if self.broken:
            raise OSError("archive\ncut short")
        yield Doc("d1", "heat", "")

    def queries_iter(self) -> Iterator[Query]:
        yield Query("q1", "a wing")

    def qrels_iter(self) -> Iterator[Qrel]:
        yield Qrel("q1", "d2", 1, "0")
        yield Qrel("q1", "d1", -100, "0")

    def qrels_defs(self) -> dict[int, str]:
        return {1: "Relevant", -100: "Excluded from evaluation"}


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    known: dict[str, Any] = {}
    monkeypatch.setattr(ir_datasets, "load", known.__getitem__)
    return known


@pytest.mark.parametrize(("name", "split"), [("fake/x/dev", "dev"), ("fake/x", "test")])
def test_same_collection(registered: dict[str, Any], name: str, split: str) -> None:
    registered[name] = Fake()
    collection = load_collection(f"ir-datasets:{name}")
    assert collection.id == f"ir-datasets/{name}"
    assert collection.contents("space") == ["heat", "Wings lift"]
    assert collection.topics(split) == {"q1": "a wing"}
    assert collection.qrels == {split: {"q1": {"d2": 1}}}
    assert collection.excluded == {"q1": frozenset({"d1"})}


def test_refused(registered: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="ir-datasets:none: ir_datasets does not know it"):
        load_collection("ir-datasets:none")
    registered["half"] = Fake(qrels=False)
    with pytest.raises(InputError, match="no documents, queries or qrels; name a split"):
        load_collection("ir-datasets:half")
    registered["cut"] = Fake(broken=True)
    with pytest.raises(InputError, match=r"could not be loaded \(OSError: archive\); connect"):
        load_collection("ir-datasets:cut")


def test_pin_without_a_hub_dataset_is_checked(registered: dict[str, Any]) -> None:
    registered["miracl/sw/dev"] = Fake()
    with pytest.raises(InputError, match="miracl/sw: 2 documents, pinned 131924"):
        load_collection("miracl/sw")
