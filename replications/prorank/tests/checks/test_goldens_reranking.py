"""A14 and A15 hold, and fail where the method is broken."""

from __future__ import annotations

from typing import Any

import pytest

from ir_replications.prorank.checks import reranking as goldens_reranking
from ir_replications.prorank.checks.reranking import CHECKS
from ir_replications.shared.retrieval.reranking import oracle, rerank


def test_a14() -> None:
    facts: dict[str, Any] = dict(CHECKS["A14"]())
    assert (facts["violations"], facts["broken"]) == (0, [])
    assert facts["max_error"] < 1e-9
    assert facts["max_error_by_hand"] < 1e-9
    assert facts["golden_error"] < 1e-9
    assert (facts["values"], facts["cases"]) == (180, 432)


def test_a15() -> None:
    assert CHECKS["A15"]() == {"violations": 0, "cases": 6, "broken": []}


def last_first(run: Any, scores: Any, k: int) -> Any:
    """A reranking whose ties are in reverse first-stage order."""
    turned = {qid: list(reversed(results[:k])) for qid, results in run.items()}
    order = {
        qid: [(d, -float(i)) for i, (d, _) in enumerate(found)] for qid, found in turned.items()
    }
    head = rerank(order, scores, k)
    return {
        qid: head[qid] + [(d, -1e9 - i) for i, (d, _) in enumerate(run[qid][k:])] for qid in run
    }


@pytest.mark.parametrize(
    ("name", "broken", "expected"),
    [
        ("rerank", last_first, "all tied: nothing moves"),
        ("rerank", lambda run, scores, k: rerank(run, scores, 99), "below k unchanged"),
        ("oracle", lambda run, qrels, k: run, "no reranking beats the oracle"),
        ("oracle", lambda run, qrels, k: oracle(run, qrels, 99), "oracle of 4"),
    ],
)
def test_a14_finds_a_broken_method(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Any, expected: str
) -> None:
    monkeypatch.setattr(goldens_reranking, name, broken)
    found = CHECKS["A14"]()["broken"]
    assert isinstance(found, list) and expected in found


def test_a15_finds_a_broken_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goldens_reranking, "without_own", lambda run: run)
    assert CHECKS["A15"]()["broken"] == ["removal from a run that has them"]
