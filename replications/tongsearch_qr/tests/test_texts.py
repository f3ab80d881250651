"""`Rewriter`: lists and mappings, one by one or all at once, what stays as it is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.shared.errors import InputError, InputWarning
from ir_replications.tongsearch_qr import Rewriter
from ir_replications.tongsearch_qr.rewriting.rewriter import QueryRewriter, Rewritten
from tests.shared.models.tiny_model import tiny_model, tiny_tokenizer

QUERIES = ["w1 w2", "w3", "w1 w2", "w5 w6 w7", "w8 w9 w10 w11 w12"]


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("greedy", [True, False])
def test_one_by_one_and_all_at_once_agree(saved: str, tmp_path: Path, greedy: bool) -> None:
    options: dict[str, Any] = {"greedy": greedy, "max_new_tokens": 8}
    together = Rewriter(saved, cache=tmp_path / "a.jsonl", **options).rewrite(QUERIES)
    one = Rewriter(saved, cache=tmp_path / "b.jsonl", batch_size=1, **options)
    assert [one.rewrite([query])[0] for query in QUERIES] == together
    assert together[0] == together[2] and len(set(together)) == 4
    assert not set(together) & set(QUERIES)


def test_a_mapping_keeps_its_ids_and_append_keeps_the_query(saved: str) -> None:
    rewriter = Rewriter(saved, greedy=True, max_new_tokens=8)
    listed = rewriter.rewrite(QUERIES[:2])
    assert rewriter.rewrite({"b": QUERIES[0], "a": QUERIES[1]}) == {"b": listed[0], "a": listed[1]}
    both = Rewriter(saved, mode="append", greedy=True, max_new_tokens=8).rewrite(QUERIES[:2])
    assert both == [f"{q}\n{text}" for q, text in zip(QUERIES, listed, strict=False)]
    assert rewriter.rewrite([]) == [] and rewriter.rewrite({}) == {}


def test_what_stays_as_it_is_and_what_is_cut_is_counted(
    saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(self: QueryRewriter, queries: dict[str, str], *_: Any) -> Rewritten:
        return Rewritten(dict(queries), {"truncated_questions": 1}, frozenset(["0"]))

    with monkeypatch.context() as patch:
        patch.setattr(QueryRewriter, "rewrite", silent)
        with pytest.warns(InputWarning) as told:
            found = Rewriter(saved, mode="append").rewrite(["w1", "w2"])
    assert found == ["w1", "w2\nw2"], "what the model wrote nothing for is not said twice"
    assert [str(each.message).split(": ")[0] for each in told] == ["1 of 2 queries"] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Rewriter(saved, greedy=True, max_new_tokens=4).rewrite(["w1"])


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ("one query", "queries: str, expected a list of texts"),
        (7, "queries: int, expected a list of texts"),
        (["w1", 2], "query '1' is int, expected a text"),
        (["w1", " "], "query '1': the text is empty"),
    ],
)
def test_what_is_no_list_of_queries_is_refused(queries: Any, message: str, saved: str) -> None:
    with pytest.raises(InputError, match=message):
        Rewriter(saved).rewrite(queries)


def test_impossible_settings_are_refused_before_anything_is_loaded(saved: str) -> None:
    for options in ({"mode": "add"}, {"max_new_tokens": 0}, {"backend": "jax"}, {"prompt": "own"}):
        with pytest.raises(InputError):
            Rewriter(saved, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such folder"):
        Rewriter(saved + "x")
