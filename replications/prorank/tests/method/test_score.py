"""Scores: the fast path against all logits, adapters, other heads, ties, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.prorank.checks.prompt import CHECKS as PROMPT_CHECKS
from ir_replications.prorank.checks.prompt import ids_of
from ir_replications.prorank.checks.score import CHECKS
from ir_replications.prorank.checks.tiny_llama import byte_tokenizer, inputs, tiny_llama
from ir_replications.prorank.method import score as module
from ir_replications.prorank.method.prompt import PREFIX, PromptTokenizer
from ir_replications.prorank.method.score import (
    PairScorer,
    common_prefix,
    logit_difference,
    normalise,
    p_one,
    plan_batches,
    score_pairs_plain,
)
from ir_replications.prorank.tests.method.test_prompt import reference
from ir_replications.shared.errors import InputError

PAIRS = [(query, document) for query, document, _ in inputs(40, seed=5)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer("qwen")


@pytest.fixture
def model(tokenizer: Any) -> Any:
    return tiny_llama(len(tokenizer))


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("A3", {"effect_of_other_logits": 0.0, "sum_orders_otherwise": True}),
        ("A4", {"models": 3, "scores": 72, "violations": 0}),
        ("A8", {"violations": 0}),
        ("A9", {"saturates_from": 6.25, "last_below": 6.21875, "distinct_scores": 385,
                "distinct_p_one": 385}),
    ],
)  # fmt: skip
def test_golden_checks(check: str, expected: dict[str, Any]) -> None:
    facts: dict[str, Any] = CHECKS[check]()
    assert expected.items() <= facts.items()
    assert facts.get("max_error", 0) <= 1e-6
    if check == "A4":
        assert facts["spread"] > 0.1
    if check == "A8":
        assert facts["local_path_error_as_released"] > 0.2
    if check == "A9":
        assert facts["distinct_sigmoid_bfloat16"] < 0.7 * facts["scores"]


def test_rows_do_not_depend_on_their_batch_and_right_padding_breaks_them() -> None:
    facts: dict[str, Any] = PROMPT_CHECKS["A5"]()
    assert facts["violations"] == 0 and facts["spread"] > 0.1
    assert facts["moved_by_right_padding"] == facts["shorter_rows"] == 23


def test_no_vocabulary_projection_is_made(tokenizer: Any, model: Any) -> None:
    plain = score_pairs_plain(model, tokenizer, PAIRS)
    scorer = PairScorer(model, tokenizer)

    def refuse(*_: Any) -> None:
        raise AssertionError("the head was computed")

    model.lm_head.register_forward_pre_hook(refuse)
    assert np.abs(scorer.score(PAIRS) - plain).max() <= 1e-5
    with pytest.raises(AssertionError, match="the head was computed"):
        score_pairs_plain(model, tokenizer, PAIRS[:1])


@pytest.mark.filterwarnings("ignore:__array_wrap__")  # the package's own, from NumPy 2
def test_scores_are_those_of_the_released_package(tokenizer: Any, model: Any) -> None:
    """mxbai-rerank 0.1.6's own predict() around the same model, with and without an instruction."""
    model.resize_token_embeddings(len(tokenizer))
    released = reference(byte_tokenizer("qwen"), 120, model.config.max_position_embeddings)
    released.model = model
    queries, documents = zip(*PAIRS, strict=True)
    for instruction in (None, "prefer maps."):
        theirs = released.predict(queries, documents, instruction=instruction).numpy()
        ours = PairScorer(model, tokenizer, max_length=120).score(PAIRS, instruction)
        assert np.abs(ours - theirs).max() <= 1e-5
        released.estimated_max = 9.0
        theirs = released.predict(queries, documents, instruction=instruction, normalize=True)
        assert np.abs(normalise(ours, 4.5) - theirs.numpy()).max() <= 1e-5


@pytest.mark.parametrize("share", [True, False])
def test_order_and_batch_size_do_not_matter(tokenizer: Any, model: Any, share: bool) -> None:
    expected = PairScorer(model, tokenizer, batch_size=1).score(PAIRS)
    for size in (2, 7, 64):
        scorer = PairScorer(model, tokenizer, batch_size=size, share_prefix=share)
        assert scorer.share_prefix is share
        assert np.abs(scorer.score(PAIRS) - expected).max() <= 1e-5
        assert np.abs(scorer.score(PAIRS[::-1])[::-1] - expected).max() <= 1e-5
    assert PairScorer(model, tokenizer).score([]).shape == (0,)
    assert expected.dtype == np.float32


def test_one_query_with_many_documents(tokenizer: Any, model: Any) -> None:
    """As in reranking: the batch's prefix reaches into the query."""
    pairs = [("who wrote the novel of a sea", document) for _, document in PAIRS]
    scorer = PairScorer(model, tokenizer, batch_size=8)
    plain = score_pairs_plain(model, tokenizer, pairs)
    assert np.abs(scorer.score(pairs) - plain).max() <= 1e-5
    rows = scorer.prompts.encode_pairs(pairs[:8])
    assert common_prefix(rows) >= len(ids_of(tokenizer, f"{PREFIX}query: {pairs[0][0]}")) > 30


def test_bfloat16_keeps_the_order_of_clear_differences(tokenizer: Any) -> None:
    """Both logits large, as in trained models: their bfloat16 difference is coarse, ours is not."""
    half = tiny_llama(len(tokenizer), tied=False).to(torch.bfloat16)
    with torch.no_grad():
        half.lm_head.weight[list(PairScorer(half, tokenizer).ids)] += 4 * torch.ones(32)
    model = tiny_llama(len(tokenizer), tied=False)
    model.load_state_dict(half.state_dict())  # the same weights in float32
    exact = PairScorer(model, tokenizer).score(PAIRS)
    apart = exact[:, None] - exact[None, :] > 0.1
    assert apart.sum() > 500
    for scorer in (PairScorer(model, tokenizer, bf16=True), PairScorer(half, tokenizer)):
        assert scorer.path == "row" and scorer.share_prefix
        found = scorer.score(PAIRS)
        assert found.dtype == np.float32 and len(np.unique(found)) == len(PAIRS)
        assert (found[:, None] > found[None, :])[apart].all()
        assert 0 < np.abs(found - exact).max() < 0.05
    plain = score_pairs_plain(half, tokenizer, PAIRS)
    assert len(np.unique(plain)) < 0.7 * len(PAIRS)
    assert np.abs(plain - exact).mean() > 3 * np.abs(found - exact).mean()


def test_a_scorer_follows_the_weights_and_leaves_the_mode(tokenizer: Any, model: Any) -> None:
    scorer = PairScorer(model, tokenizer)
    before = scorer.score(PAIRS[:4])
    with torch.no_grad():
        model.lm_head.weight[list(scorer.ids)] += torch.randn(2, 32)
    after = scorer.score(PAIRS[:4])
    assert np.abs(after - before).min() > 1e-3
    assert np.abs(after - score_pairs_plain(model, tokenizer, PAIRS[:4])).max() <= 1e-5
    model.train()
    model.lm_head.eval()
    scorer.score(PAIRS[:1])
    assert model.training and model.model.layers[0].training and not model.lm_head.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_texts_beyond_the_context(tokenizer: Any) -> None:
    model = tiny_llama(len(tokenizer))
    model.config.max_position_embeddings = 128
    scorer = PairScorer(model, tokenizer)
    assert scorer.prompts.max_length == 128 - scorer.prompts.template_length
    long = [("q", "word " * 400), ("word " * 400, "d"), ("", "")]
    found = scorer.score(long)
    assert np.isfinite(found).all()
    assert np.abs(found - score_pairs_plain(model, tokenizer, long)).max() <= 1e-5
    model.config.max_position_embeddings = 80
    for call in (PairScorer, lambda m, t: score_pairs_plain(m, t, long)):
        with pytest.raises(InputError, match="a context of 80 leaves 0 tokens"):
            call(model, tokenizer)


def test_scores_that_are_not_finite_name_the_pair(tokenizer: Any, model: Any) -> None:
    word = tokenizer.convert_tokens_to_ids("a")
    scorer = PairScorer(model, tokenizer)
    pairs = [("q", "map"), ("who", "zzz"), ("q", "novel")]
    bad = scorer.prompts.encode_pairs([("who", "zzz")])[0]
    only = (set(bad) - {i for p in (pairs[0], pairs[2]) for i in scorer.prompts.encode(*p)}).pop()
    assert only != word
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with torch.no_grad():
        model.model.embed_tokens.weight[only] = float("nan")
    for call in (scorer.score, lambda p: score_pairs_plain(model, tokenizer, p)):
        with pytest.raises(InputError, match=r"pair 2 \(query 'who'\): the score is nan") as caught:
            call(pairs)
        assert "\n" not in str(caught.value)


def test_batches_hold_like_lengths() -> None:
    rows = [[0] * n for n in (5, 9, 7, 9, 1, 8)]
    assert list(plan_batches(rows, ["q"] * 6, 4)) == [[1, 3, 5, 2], [0, 4]]
    queries = ["a", "b", "a", "b", "a", "a"]
    assert list(plan_batches(rows, queries, 4)) == [[5, 2, 0, 4], [1, 3]]
    assert list(plan_batches(rows, list("abcdef"), 4)) == [[1, 3, 5, 2], [0, 4]]
    assert list(plan_batches(rows, ["q"] * 6, 1)) == [[1], [3], [5], [2], [0], [4]]
    assert list(plan_batches([], [], 4)) == []
    long = [[0] * (module.BATCH_TOKENS // 2)] * 3 + [[0]] * 3
    assert list(plan_batches(long, ["q"] * 6, 32)) == [[0, 1], [2, 3], [4, 5]]


def test_the_common_prefix_leaves_a_token_and_must_pay() -> None:
    assert common_prefix([[1, 2, 3, 4], [1, 2, 5]]) == 2
    assert common_prefix([[1, 2], [1, 2, 3]]) == common_prefix([[1, 2], [1, 2]]) == 1
    assert common_prefix([[1, 2, 3]]) == common_prefix([[1, 2], [3, 2]]) == 0
    assert common_prefix([[1, *range(9, 17)], [1, 5]]) == 0
    assert common_prefix([[1, *range(9, 16)], [1, 5]]) == 1


def test_normalise_and_p_one() -> None:
    assert normalise([4.5, 6.0], "mixedbread-ai/mxbai-rerank-base-v2")[0] == 0.5
    assert normalise([4.5, 6.0], "mixedbread-ai/mxbai-rerank-large-v2")[1] == 0.5
    assert normalise(np.array([[1.5]], dtype=np.float32), 1.5).tolist() == [[0.5]]
    assert p_one([0.0, -800.0]).tolist() == [0.5, 0.0]
    for path in ("models/mxbai-rerank-base-v2", "mixedbread-ai/mxbai-rerank-base-v2/"):
        with pytest.raises(InputError, match=r"no midpoint is known for .*; pass the score") as e:
            normalise([1.0], path)
        assert "\n" not in str(e.value)


def test_the_difference_is_taken_in_float32() -> None:
    logits = torch.tensor([[12.0625, 3.015625]], dtype=torch.bfloat16, requires_grad=True)
    found = logit_difference(logits, 1, 0)
    assert found.dtype == torch.float32 and found.item() == 9.046875
    assert (logits[:, 0] - logits[:, 1]).item() == 9.0625  # what bfloat16 makes of it
    found.sum().backward()
    assert logits.grad is not None and logits.grad.tolist() == [[1.0, -1.0]]


def test_bad_sizes(tokenizer: Any, model: Any) -> None:
    with pytest.raises(InputError, match="batch_size 0: expected a positive number"):
        PairScorer(model, tokenizer, batch_size=0)
    make: Callable[..., Any] = PromptTokenizer
    with pytest.raises(InputError, match="max_length -1"):
        make(tokenizer, -1)
