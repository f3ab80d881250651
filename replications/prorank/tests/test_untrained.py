"""E8 on a tiny model: its numbers by other means, and its calibration by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Outcome, Plan
from ir_replications.prorank.checks.tiny_reranker import save_tiny, tiny_collection, tiny_root
from ir_replications.prorank.experiments import e8_untrained as e8
from ir_replications.prorank.experiments.systems import Task
from ir_replications.prorank.method.prompt import PromptTokenizer, answer_ids
from ir_replications.shared.models.references import load_causal_lm

MINE = "local/mine"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny Qwen2 to be computed in float32, and a cache of its own; the model's folder."""
    monkeypatch.setattr(e8, "PRECISION", "float32")
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    return str(save_tiny(tmp_path / "lm"))


def outcome(model: str, prompt: str) -> Outcome:
    at = {"collection": MINE, "depth": 5, "system": "zero-shot", "model": model, "length": 64}
    root = tiny_root(Path(model).with_name("root"))
    return e8.run(at | {"prompt": prompt}, Context(root))


def test_numbers_are_those_of_whole_logits(tiny: str) -> None:
    model, tokenizer = load_causal_lm(tiny)
    zero, one = answer_ids(tokenizer)
    collection = tiny_collection()
    texts = dict(zip(collection.doc_ids, collection.contents("space"), strict=True))
    query = collection.queries["q-fox"]
    pairs = [(query, texts[docid]) for docid in ("a-fox", "b-fox", "a-sea")]
    found = {}
    for prompt in ("released", "short"):
        scores, numbers = e8.Asker(tiny, prompt, 64).ask(pairs)
        task = {"task": e8.PROMPTS[prompt]} if e8.PROMPTS[prompt] else {}
        rows = PromptTokenizer(tokenizer, 64, **task).encode_pairs(pairs)
        with torch.inference_mode():
            logits = [model(torch.tensor([row])).logits[0, -1].double() for row in rows]
        expected = [float(z[one] - z[zero]) for z in logits]
        assert scores == pytest.approx(expected, abs=1e-4)
        both = [float(z.softmax(-1)[[zero, one]].sum()) for z in logits]
        assert numbers["answer probability"] == pytest.approx(sum(both) / 3, rel=1e-4)
        right = [int(z.argmax()) in (zero, one) for z in logits]
        assert numbers["format success"] == sum(right) / 3
        found[prompt] = scores
    assert found["released"] != found["short"], "the wording reaches the model"


def test_a_cell_is_resumed_and_says_what_it_asked(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = outcome(tiny, "strict")
    assert first.scores is not None
    assert set(first.scores.means) == {
        "nDCG@10", "tied pairs", "format success", "answer probability"
    }  # fmt: skip
    assert first.facts["pairs"] == 20 and first.facts["queries"] == 4
    assert 0 < first.facts["relevant pairs"] < 20
    assert first.run is None and list(first.models) == [tiny]
    monkeypatch.setattr(e8.Asker, "ask", lambda *_: pytest.fail("asked again"))
    again = outcome(tiny, "strict")
    assert again.scores == first.scores and again.facts == first.facts


def test_calibration_by_hand() -> None:
    qrels = {"q": {"a": 2, "b": 1, "c": 0}}
    task = Task("rerank/dl19", "test", {}, qrels)
    # P("1") .5, .5, .1 (two bins) and .5 of an unjudged document; from grade 2 one is relevant.
    tenth = -2.1972245773362196
    found = e8.calibration(task, {"q": {"a": 0.0, "b": 0.0, "c": tenth, "d": 0.0}}, 2)
    assert (found["pairs"], found["relevant pairs"], found["says one"]) == (4, 1, 0.0)
    assert found["calibration error"] == pytest.approx((abs(1 - 1.5) + 0.1) / 4)
    assert found["p1 relevant"] == 0.5
    assert found["p1 irrelevant"] == pytest.approx((0.5 + 0.1 + 0.5) / 3)
    assert found["AUC"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    alone = e8.calibration(task, {"q": {"a": 0.0}}, 2)
    assert "AUC" not in alone and alone["calibration error"] == 0.5


def test_models_and_prompts_on_the_same_queries() -> None:
    cells = e8.cells(Plan("small", (), False))
    assert len(cells) == 3 * (1 + 2) + 2 * 2, "other words on one collection"
    assert len(e8.cells(Plan("small", (MINE,), True))) == 1 + 2 * 3
    assert all("queries" not in c for c in cells if c["collection"] == "rerank/dl19")
    for name in e8.COLLECTIONS:
        few = [c for c in cells if c["collection"] == name]
        assert len({(c["depth"], c.get("queries")) for c in few}) == 1
    assert "Relevance:" not in e8.PROMPTS["strict"]
