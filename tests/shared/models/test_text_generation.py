"""Generation: the right tokens, the same ones in any batch, and a cache that survives a kill."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.generation import (
    CachedGenerator,
    Prompt,
    Row,
    Sampling,
    full_attention,
    generate,
    shared_prefix,
)

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.shared.models.tiny_model import WORDS, tiny_model, tiny_tokenizer

PROMPTS: list[Prompt] = [
    "w1 w2",
    "w3",
    "w4 w5 w6 w7 w8 w9",
    [{"role": "user", "content": "w1"}, {"role": "user", "content": "w2 w3"}],
    "w10 w11 w12",
]


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


def greedy_by_transformers(
    model: Any, tokenizer: Any, prompt: Prompt, n: int, **options: Any
) -> str:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, do_sample=False, **options
    )
    return tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_greedy_text_equals_that_of_transformers_prompt_by_prompt(
    model: Any, tokenizer: Any, batch_size: int
) -> None:
    expected = [[greedy_by_transformers(model, tokenizer, prompt, 12)] for prompt in PROMPTS]
    texts = generate(model, tokenizer, PROMPTS, max_new_tokens=12, batch_size=batch_size)
    assert texts == expected
    assert len({text for (text,) in texts}) > 1, "the prompts must matter"


LONG: list[Prompt] = [f"w1 w2 w3 w4 w5 w6 w7 w8 {rest}" for rest in ("w9", "w10 w11 w12", "w13 w1")]


def computed(model: Any, tokenizer: Any, prompts: list[Prompt]) -> tuple[list[list[str]], int]:
    """Greedy texts of one batch, and how many prompt positions went through the model."""
    sizes: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda module, args, options: sizes.append(args[0].numel()), with_kwargs=True
    )
    texts = generate(model, tokenizer, prompts, max_new_tokens=12, batch_size=16)
    hook.remove()
    return texts, sum(size for size in sizes if size > len(prompts))


def test_what_prompts_begin_with_is_computed_once(model: Any, tokenizer: Any) -> None:
    expected = [[greedy_by_transformers(model, tokenizer, prompt, 12)] for prompt in LONG]
    texts, positions = computed(model, tokenizer, LONG)
    assert texts == expected and len({text for (text,) in texts}) > 1
    # <user> and eight words once, then up to three words, <end> and <assistant> of each.
    assert positions == 9 + 3 * 5
    assert sample(model, tokenizer, LONG, batch_size=16) == [
        sample(model, tokenizer, [prompt], batch_size=1)[0] for prompt in LONG
    ]


def test_a_prompt_that_begins_others_keeps_its_last_token(model: Any, tokenizer: Any) -> None:
    assert shared_prefix([[1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 5]]) == 2
    assert shared_prefix([[1, 2, 3], [1, 2, 3]]) == 2
    assert shared_prefix([[1, 2, 3]]) == 0, "nothing is saved"
    assert shared_prefix([[1, *range(9, 20)], [1, *range(30, 40)]]) == 0, "nearly nothing is"
    assert shared_prefix([[1, 2], [2, 2]]) == 0


def test_layers_that_see_a_window_share_no_prefix(tokenizer: Any) -> None:
    """Padding between prefix and rest would count as part of the window."""
    windowed = tiny_model()
    windowed.config.sliding_window = 4
    assert computed(windowed, tokenizer, LONG)[1] == 3 * (9 + 5)
    mixed = tiny_model()
    mixed.config.layer_types = ["full_attention", "sliding_attention"]
    assert not full_attention(mixed) and full_attention(tiny_model())


def test_an_end_token_ends_its_text_and_no_other(model: Any, tokenizer: Any) -> None:
    free = [texts[0].split() for texts in generate(model, tokenizer, PROMPTS, max_new_tokens=12)]
    # Let a word that occurs inside some texts be the end.
    stop = next(w for w in free[0][1:] if any(w not in words for words in free))
    ending = tiny_model()
    ending.generation_config.eos_token_id = [WORDS.index(stop), WORDS.index("<end>")]
    cut = generate(ending, tokenizer, PROMPTS, max_new_tokens=12, batch_size=5)
    expected = [w[: w.index(stop)] if stop in w else w for w in free]
    assert [texts[0].split() for texts in cut] == expected
    assert len({len(words) for words in expected}) > 1


def sample(model: Any, tokenizer: Any, prompts: list[Prompt], **options: Any) -> list[list[str]]:
    settings = {"max_new_tokens": 10, "temperature": 1.0, "num_return_sequences": 3} | options
    return generate(model, tokenizer, prompts, **settings)


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_sampled_texts_do_not_depend_on_the_batch(model: Any, tokenizer: Any, top_p: float) -> None:
    together = sample(model, tokenizer, PROMPTS, top_p=top_p, batch_size=16)
    assert sample(model, tokenizer, PROMPTS, top_p=top_p, batch_size=4) == together
    alone = [sample(model, tokenizer, [prompt], top_p=top_p, batch_size=1)[0] for prompt in PROMPTS]
    assert alone == together
    backwards = sample(model, tokenizer, PROMPTS[::-1], top_p=top_p, batch_size=7)
    assert backwards[::-1] == together


def test_samples_and_seeds_differ_and_equal_prompts_do_not(model: Any, tokenizer: Any) -> None:
    texts = sample(model, tokenizer, ["w1 w2", "w1 w2"])
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 3
    assert not set(texts[0]) & set(sample(model, tokenizer, ["w1 w2"], seed=1)[0])


def test_the_global_random_state_is_neither_used_nor_moved(model: Any, tokenizer: Any) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = sample(model, tokenizer, PROMPTS)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert sample(model, tokenizer, PROMPTS) == first


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_penalised_greedy_text_equals_that_of_transformers(
    model: Any, tokenizer: Any, batch_size: int
) -> None:
    expected = [
        [greedy_by_transformers(model, tokenizer, prompt, 12, repetition_penalty=1.4)]
        for prompt in PROMPTS
    ]
    options: dict[str, Any] = {"max_new_tokens": 12, "repetition_penalty": 1.4}
    assert generate(model, tokenizer, PROMPTS, batch_size=batch_size, **options) == expected
    assert generate(model, tokenizer, PROMPTS, max_new_tokens=12) != expected


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_penalised_samples_do_not_depend_on_the_batch(
    model: Any, tokenizer: Any, batch_size: int
) -> None:
    options = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.3}
    together = sample(model, tokenizer, PROMPTS, **options)
    assert sample(model, tokenizer, PROMPTS, batch_size=batch_size, **options) == together
    assert together != sample(model, tokenizer, PROMPTS, temperature=0.7, top_p=0.8, top_k=20)


def test_the_key_of_a_text_names_all_that_it_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sampling of texts without the two filters is written as before they came."""

    def key(sampling: Sampling, prompt: Prompt, number: int) -> str:
        return cached(tmp_path / "no.jsonl", Loader(), sampling=sampling)._key(prompt, number)

    used: dict[str, Any] = {"max_new_tokens": 32, "temperature": 0.7, "top_p": 0.9, "seed": 0}
    monkeypatch.setattr("ir_replications.shared.models.generation.code_of", lambda *_: "c" * 64)
    first = key(Sampling(**used), "w1 w2", 0)
    message = [{"content": "w1 w2", "role": "user"}]
    whole = json.dumps(["f" * 64, "float32", used, "c" * 64, message, 0], sort_keys=True)
    assert first == hashlib.sha256(whole.encode()).hexdigest()
    changed: list[dict[str, Any]] = [{"top_k": 20}, {"repetition_penalty": 1.05}, {"top_k": 19}]
    keys = {key(Sampling(**(used | more)), "w1 w2", 0) for more in changed}
    assert len(keys | {first}) == 4
    monkeypatch.undo()
    assert key(Sampling(**used), "w1 w2", 0) != first, "other code"


def test_bad_requests_are_one_line(model: Any, tokenizer: Any) -> None:
    with pytest.raises(InputError, match="temperature above 0 for more than one"):
        generate(model, tokenizer, ["w1"], num_return_sequences=2)
    with pytest.raises(InputError, match=r"prompt 1: 54 tokens and 20 new ones exceed .* of 64"):
        generate(model, tokenizer, ["w1", "w1 " * 51], max_new_tokens=20)
    bare = tiny_tokenizer()
    bare.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        generate(model, bare, ["w1"])


class Loader:
    """Counts loads and, when told, fails in the middle of generating like a killed process."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.loads = 0
        self.dies_after = dies_after

    def __call__(self) -> tuple[Any, Any]:
        self.loads += 1
        model = tiny_model()
        if self.dies_after is not None:
            prefills, forward = 0, model.forward

            def dying(ids: Any, *args: Any, **kwargs: Any) -> Any:
                nonlocal prefills
                prefills += ids.shape[1] > 1
                if prefills > (self.dies_after or 0):
                    raise KeyboardInterrupt
                return forward(ids, *args, **kwargs)

            model.forward = dying
        return model, tiny_tokenizer()


SAMPLING = Sampling(max_new_tokens=8, temperature=1.0, seed=3)


def cached(path: Path, load: Loader, **options: Any) -> CachedGenerator:
    settings: dict[str, Any] = {"model_sha256": "f" * 64, "sampling": SAMPLING, "batch_size": 2}
    return CachedGenerator(path, load, **(settings | options))


def expected_texts(n: int = 2) -> list[list[str]]:
    return sample(
        tiny_model(), tiny_tokenizer(), PROMPTS, max_new_tokens=8, seed=3, num_return_sequences=n
    )


def test_the_second_run_loads_nothing_and_returns_the_same(tmp_path: Path) -> None:
    path, loader = tmp_path / "new" / "texts.jsonl", Loader()
    first = cached(path, loader)
    assert first.generate(PROMPTS, 2) == expected_texts()
    assert (loader.loads, first.generated) == (1, 10)
    content = path.read_bytes()
    second = cached(path, loader)
    assert second.generate(PROMPTS, 2) == expected_texts()
    assert (loader.loads, second.generated) == (1, 0)
    assert path.read_bytes() == content


def test_a_killed_run_resumes_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    with pytest.raises(KeyboardInterrupt):
        cached(path, Loader(dies_after=2)).generate(PROMPTS, 2)
    assert len(path.read_text().splitlines()) == 4, "two batches of two were finished"
    resumed = cached(path, Loader())
    assert resumed.generate(PROMPTS, 2) == expected_texts()
    assert resumed.generated == 6
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 10


@pytest.mark.parametrize("lost", [1, 10, 60])
def test_a_last_line_cut_off_is_dropped_and_done_again(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "texts.jsonl"
    cached(path, Loader()).generate(PROMPTS, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    again = cached(path, Loader())
    assert again.generate(PROMPTS, 2) == expected_texts()
    assert again.generated == 1
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


@pytest.mark.parametrize("content", ["a note of mine", "first\nsecond", '{"text": "x"'])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=r"notes\.txt.*generated text"):
        cached(path, Loader()).generate(PROMPTS)
    assert path.read_text() == content


def test_damage_inside_the_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    cached(path, Loader()).generate(PROMPTS)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1][:20] + "\n", *lines[2:]]))
    with pytest.raises(InputError, match=r"texts\.jsonl:2: not a generated text"):
        cached(path, Loader())


@pytest.mark.parametrize(
    "entry",
    [
        b'{"key": "b", "text": [1]}',
        b'{"key": "b", "text": null}',
        b'{"key": "b", "text": 1}',
        b'{"key": 2, "text": "x"}',
        b'{"key": "b", "text": "x", "text": "y"}',
        b'{"key": "b", "text": "\\ud800"}',
        b'{"key": "b", "text": NaN}',
        b'{"key": "b", "text": "\xff"}',
        b'["key", "text"]',
        b'{"key": "b"}',
        b"[" * 100_000,
        b"9" * 5000,
        b"",
    ],
    ids=range(13),
)
def test_an_entry_that_is_no_text_is_named_with_its_line(tmp_path: Path, entry: bytes) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_bytes(b'{"key": "a", "text": "x\xc2\x85y"}\n' + entry + b"\n")
    with pytest.raises(InputError, match=r"texts\.jsonl:2: not a generated text; delete this line"):
        cached(path, Loader())


def test_a_key_has_one_text(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    line = '{"key": "a", "text": "x"}\n'
    path.write_text(line + line)  # two processes at once may leave this
    cached(path, Loader())
    path.write_text(line + line.replace('"x"', '"y"'))
    with pytest.raises(InputError, match=r"texts\.jsonl:2: another text than an earlier line"):
        cached(path, Loader())


def test_texts_are_kept_in_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="is no regular file"):
            cached(path, Loader())


@pytest.mark.parametrize(
    "change",
    [
        {"model_sha256": "0" * 64},
        {"dtype": "bfloat16"},
        {"sampling": Sampling(max_new_tokens=8, temperature=1.0, seed=4)},
        {"sampling": Sampling(max_new_tokens=8, temperature=0.5, seed=3)},
        {"sampling": Sampling(max_new_tokens=7, temperature=1.0, seed=3)},
        {"sampling": Sampling(max_new_tokens=8, temperature=1.0, top_p=0.5, seed=3)},
    ],
)
def test_a_changed_setting_is_another_key(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "texts.jsonl"
    cached(path, Loader()).generate(PROMPTS[:2])
    changed = cached(path, Loader(), **change)
    changed.generate(PROMPTS[:2])
    assert changed.generated == 2


def test_more_samples_and_equal_prompts_use_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    cached(path, Loader()).generate(PROMPTS, 2)
    more = cached(path, Loader())
    assert more.generate([*PROMPTS, PROMPTS[0]], 3) == [*expected_texts(3), expected_texts(3)[0]]
    assert more.generated == 5


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Any]:
    from ir_replications.shared.models.references import load_causal_lm

    pytest.importorskip("gguf")
    try:
        return load_causal_lm("embedded:smollm2-135m-instruct")
    except InputError as error:
        pytest.skip(f"no SmolLM2 weights: {error}")


def test_smollm2_answers(smollm2: tuple[Any, Any]) -> None:
    prompts: list[Prompt] = ["What is the capital of France?", "Repeat after me: hello"]
    texts = generate(*smollm2, prompts, max_new_tokens=16, batch_size=2)
    assert "Paris" in texts[0][0]
    assert texts[1] == generate(*smollm2, prompts[1:], max_new_tokens=16)[0]


def test_a_batch_of_long_prompts_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows times (longest prompt + new tokens) stays within the bound; one row always goes."""
    from ir_replications.shared.models import generation as text_generation

    monkeypatch.setattr(text_generation, "_BATCH_TOKENS", 100)
    rows = [Row(i, 0) for i in range(6)]
    lengths = [190, 40, 30, 20, 10, 10]
    encoded = {i: [0] * length for i, length in enumerate(lengths)}
    batches = list(text_generation._batches(rows, encoded, 10, 4))
    assert [[row.prompt for row in batch] for batch in batches] == [[0], [1, 2], [3, 4, 5]]
    assert [len(b) for b in text_generation._batches(rows[3:], encoded, 10, 2)] == [2, 1]
