"""Losses on scores against those of sentence-transformers, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ir_replications.bert_distill_losses.method import ranking_losses as R

B, M = 4, 3


@cache
def peers() -> Any:
    """Their losses; imported for seconds, by the one worker whose tests these are."""
    return pytest.importorskip("sentence_transformers.cross_encoder.losses")


def table(scores: Any) -> Any:
    """A cross-encoder whose score of a document, named by its number, is an entry of a table."""

    class Table(pytest.importorskip("sentence_transformers").CrossEncoder):  # type: ignore[misc]
        num_labels = 1
        device = torch.device("cpu")

        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.scores = scores.view(-1)

        def preprocess(self, pairs: Any, **_: Any) -> dict[str, Any]:
            return {"index": torch.tensor([int(document) for _, document in pairs])}

        def forward(self, inputs: Any, **_: Any) -> dict[str, Any]:
            return {"scores": self.scores[inputs["index"]].unsqueeze(1)}

    return Table()


NAMES = [[str(M * i + j) for j in range(M)] for i in range(B)]  # of documents, by query
COLUMNS = [[row[j] for row in NAMES] for j in range(M)]
QUERIES = ["q"] * B
FLAT = [["q"] * (B * M), [name for row in NAMES for name in row]]


def one_by_one(model: Any, _: Any) -> Any:
    """In-batch negatives left out: each query is a batch of its own."""
    loss = peers().MultipleNegativesRankingLoss(model, scale=1.0, activation_fn=torch.nn.Identity())
    rows = [[["q"], *([name] for name in row)] for row in NAMES]
    return torch.stack([loss(row, torch.ones(1)) for row in rows]).mean()


def labels() -> Any:
    return torch.eye(M)[:1].expand(B, M)


def ranknet(model: Any, _: Any) -> Any:
    loss = peers().RankNetLoss(model, reduction_log="natural")
    return loss([QUERIES, NAMES], list(labels()))


def distilled(model: Any, teacher: Any) -> Any:
    theirs = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    loss = theirs.DistillKLDivLoss(torch.nn.Identity(), temperature=2.0)
    columns = [torch.ones(B, 1), *(model.scores.view(B, M, 1).unbind(1))]
    return loss.compute_loss_from_embeddings(columns, teacher)


CASES: dict[str, tuple[Callable[..., Any], Callable[[Any, Any], Any]]] = {
    "bce": (
        lambda s, t: R.bce(s),
        lambda m, t: peers().BinaryCrossEntropyLoss(m)(FLAT, labels().reshape(-1)),
    ),
    "ranknet": (lambda s, t: R.ranknet(s), ranknet),
    "lce": (lambda s, t: R.lce(s), one_by_one),
    "pointwise-mse": (R.pointwise_mse, lambda m, t: peers().MSELoss(m)(FLAT, t.reshape(-1))),
    "margin-mse": (R.margin_mse, lambda m, t: peers().MarginMSELoss(m)([QUERIES, *COLUMNS], t)),
    "soft-ce": (R.soft_ce, lambda m, t: peers().ListNetLoss(m)([QUERIES, NAMES], list(t))),
    "list-kl": (lambda s, t: R.list_kl(s, t, 2.0), distilled),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    start, teacher = 2 * torch.randn(2, B, M, generator=generator)
    values, slopes = [], []
    for which in (0, 1):
        scores = start.clone().requires_grad_()
        loss = CASES[name][which](scores if which == 0 else table(scores), teacher)
        loss.backward()
        assert scores.grad is not None
        values.append(float(loss.detach()))
        slopes.append(scores.grad)
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-6)
