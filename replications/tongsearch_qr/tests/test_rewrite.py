"""Rewriting: what is asked, what is taken, what is counted, and what survives a kill."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.generation import Row, generate
from ir_replications.shared.models.sampling import Sampling, text_seed
from ir_replications.shared.models.vllm_generation import VllmModel, produce_with_vllm
from ir_replications.tongsearch_qr.method.prompts import messages
from ir_replications.tongsearch_qr.rewriting.rewriter import (
    RELEASED,
    QueryRewriter,
    combine,
    make_rewriter,
    repeats_prompt,
)
from tests.shared.models.tiny_model import tiny_model, tiny_tokenizer

QUERIES = {"q1": "w1 w2", "q2": "w3", "q3": "w1 w2", "q4": "w5 w6 w7"}
SAMPLING = Sampling(max_new_tokens=8, temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)


def load_tiny() -> tuple[Any, Any]:
    return tiny_model(), tiny_tokenizer()


def tiny_rewriter(path: Path, load: Any = load_tiny, **options: Any) -> QueryRewriter:
    return QueryRewriter(load, "f" * 64, path, **({"sampling": SAMPLING} | options))


def saying(outputs: dict[str, str]) -> Any:
    """A way to produce texts that says what `outputs` has for the question in the prompt."""

    def produce(model: Any, tokenizer: Any, prompts: Any, rows: Any, *_: Any) -> Iterator[Any]:
        for row in rows:
            user = prompts[row.prompt][-1]["content"]
            (text,) = (said for question, said in outputs.items() if f": {question}\n" in user)
            yield row, text

    return produce


def test_the_released_sampling() -> None:
    assert RELEASED.identity() == {
        "max_new_tokens": 500,
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "repetition_penalty": 1.05,
        "seed": 0,
    }


def test_the_model_is_asked_in_the_variants_words_once_per_unique_query(tmp_path: Path) -> None:
    done = tiny_rewriter(tmp_path / "t.jsonl").rewrite(QUERIES)
    asked = [messages(text, "inference") for text in ("w1 w2", "w3", "w5 w6 w7")]
    options: dict[str, Any] = {"temperature": 0.7, "top_p": 0.8, "top_k": 20}
    texts = generate(*load_tiny(), asked, max_new_tokens=8, repetition_penalty=1.05, **options)
    one, two, three = (text.strip() for (text,) in texts)
    assert done.texts == {"q1": one, "q2": two, "q3": one, "q4": three}
    assert len({one, two, three}) == 3
    assert (done.counts["queries"], done.counts["unique"], done.counts["generated"]) == (4, 3, 3)
    other = tiny_rewriter(tmp_path / "t.jsonl", prompt="bright").rewrite(QUERIES)
    assert other.counts["generated"] == 3 and other.texts != done.texts


def test_a_failed_output_falls_back_to_the_query_and_is_counted(tmp_path: Path) -> None:
    outputs = {
        "w1": "# A thought\n",
        "w2": " \n",
        "w3": "1. Identify the essential\nproblem. 2. and so on",
        "w4 w5": "W4  w5 again",
    }
    queries = {"a": "w1", "b": "w2", "c": "w3", "d": "w4 w5", "e": "w2"}
    done = tiny_rewriter(tmp_path / "t.jsonl", produce=saying(outputs)).rewrite(queries)
    assert done.texts == {
        "a": "# A thought",
        "b": "w2",
        "c": outputs["w3"],
        "d": outputs["w4 w5"],
        "e": "w2",
    }
    assert done.failed == {"b", "e"}
    assert done.counts == {
        "queries": 5,
        "unique": 4,
        "generated": 4,
        "empty": 2,
        "no_tags": 0,
        "repeats_prompt": 2,
        "truncated_questions": 0,
    }


def test_think_mode_takes_the_answer_and_falls_back_without_tags(tmp_path: Path) -> None:
    outputs = {
        "w1": "<think>t</think>\n<answer> the answer </answer>",
        "w2": "<answer>no thought</answer>",
        "w3": "",
    }
    queries = {"a": "w1", "b": "w2", "c": "w3"}
    rewriter = tiny_rewriter(
        tmp_path / "t.jsonl", lambda: (SimpleNamespace(config=None), None), think=True,
        produce=saying(outputs),
    )  # fmt: skip
    done = rewriter.rewrite(queries)
    assert done.texts == {"a": "the answer", "b": "w2", "c": "w3"}
    assert (done.counts["no_tags"], done.counts["empty"]) == (1, 1)
    assert done.failed == {"b", "c"}


def test_a_question_too_long_loses_its_end(tmp_path: Path) -> None:
    model, tokenizer = load_tiny()

    def tokens(question: str) -> int:
        text = tokenizer.apply_chat_template(
            messages(question, "inference"), tokenize=False, add_generation_prompt=True
        )
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    room = model.config.max_position_embeddings - SAMPLING.max_new_tokens - tokens("")
    assert room > 1
    words = [f"w{i % 9}" for i in range(room + 5)]
    queries = {"fits": " ".join(words[:room]), "long": " ".join(words), "short": "w1"}
    done = tiny_rewriter(tmp_path / "t.jsonl").rewrite(queries)
    assert done.counts["truncated_questions"] == 1
    assert done.counts["generated"] == 2, "what is left of the long one is the one that fits"
    assert done.texts["long"] == done.texts["fits"]
    wordy = Sampling(max_new_tokens=60)
    with pytest.raises(InputError, match="a context of 64 tokens has no room"):
        tiny_rewriter(tmp_path / "t.jsonl", sampling=wordy).rewrite(queries)


def test_a_killed_rewriting_resumes_query_by_query(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"

    def dying(*arguments: Any) -> Iterator[Any]:
        from ir_replications.shared.models.generation import _generate_rows

        for count, found in enumerate(_generate_rows(*arguments)):
            if count == 2:
                raise KeyboardInterrupt
            yield found

    with pytest.raises(KeyboardInterrupt):
        tiny_rewriter(path, produce=dying, batch_size=1).rewrite(QUERIES)
    resumed = tiny_rewriter(path).rewrite(QUERIES)
    assert resumed.counts["generated"] == 1
    assert resumed.texts == tiny_rewriter(tmp_path / "fresh.jsonl").rewrite(QUERIES).texts
    assert tiny_rewriter(path).rewrite(QUERIES).counts["generated"] == 0


def test_bad_requests_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="query 'b': the text is empty"):
        tiny_rewriter(tmp_path / "t.jsonl").rewrite({"a": "w1", "b": " "})
    with pytest.raises(InputError, match="prompt variant 'own': expected one of"):
        tiny_rewriter(tmp_path / "t.jsonl", prompt="own")
    with pytest.raises(InputError, match="backend 'jax': expected one of"):
        make_rewriter("embedded:smollm2-135m-instruct", backend="jax")
    with pytest.raises(InputError, match="mode 'add': expected one of"):
        combine("a", "b", "add")


def test_replace_and_append() -> None:
    assert combine("why", "because") == "because"
    assert combine("why", "because", "append") == "why\nbecause"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("### Essential problem\nwhy light attracts", False),
        ("3. draft an  answer WITH as many thoughts as you have.", True),
        ("Why light?\nBecause", True),
        ("Asked is: why light?", False),
        ("", False),
    ],
)
def test_what_counts_as_repeating_the_prompt(output: str, expected: bool) -> None:
    assert repeats_prompt(output, "why  light?", "inference") is expected


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_an_adapter_changes_the_texts_and_their_keys(saved: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    options = {"target_modules": ["q_proj", "v_proj"], "init_lora_weights": False}
    peft.get_peft_model(tiny_model(), peft.LoraConfig(r=4, **options)).save_pretrained(
        tmp_path / "adapter"
    )
    common: dict[str, Any] = {"cache": tmp_path / "t.jsonl", "sampling": SAMPLING}
    base = make_rewriter(str(saved), **common).rewrite(QUERIES)
    adapted = make_rewriter(str(saved), adapter=tmp_path / "adapter", **common).rewrite(QUERIES)
    assert adapted.counts["generated"] == 3
    assert adapted.texts != base.texts
    assert make_rewriter(str(saved), **common).rewrite(QUERIES).counts["generated"] == 0
    with pytest.raises(InputError, match="expected a LoRA adapter"):
        make_rewriter(str(saved), adapter=saved, **common)


class FakeEngine:
    """Stands for vllm.LLM: keeps what it was given and says the number of tokens and the seed."""

    made: dict[str, Any]
    calls: list[tuple[Any, Any, Any]]

    def __init__(self, **options: Any) -> None:
        FakeEngine.made, FakeEngine.calls = options, []

    def get_tokenizer(self) -> Any:
        return tiny_tokenizer()

    def generate(
        self, inputs: list[dict[str, Any]], parameters: list[Any], use_tqdm: bool, lora_request: Any
    ) -> list[Any]:
        FakeEngine.calls.append((inputs, parameters, lora_request))
        texts = [
            f" {len(one['prompt_token_ids'])} {each.seed}"
            for one, each in zip(inputs, parameters, strict=True)
        ]
        return [SimpleNamespace(outputs=[SimpleNamespace(text=text)]) for text in texts]


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    fake, lora = ModuleType("vllm"), ModuleType("vllm.lora.request")
    fake.LLM, fake.SamplingParams = FakeEngine, SimpleNamespace  # type: ignore[attr-defined]
    lora.LoRARequest = lambda *arguments: arguments  # type: ignore[attr-defined]
    for name, each in {"vllm": fake, "vllm.lora": fake, "vllm.lora.request": lora}.items():
        monkeypatch.setitem(sys.modules, name, each)
    return FakeEngine


def test_vllm_gets_the_same_prompts_and_sampling(
    vllm: type[FakeEngine], saved: Path, tmp_path: Path
) -> None:
    rewriter = make_rewriter(
        str(saved), backend="vllm", cache=tmp_path / "t.jsonl", sampling=SAMPLING, batch_size=2
    )
    done = rewriter.rewrite(QUERIES)
    assert vllm.made == {
        "model": str(saved),
        "dtype": "bfloat16",
        "max_model_len": 64,
        "trust_remote_code": False,
    }
    assert [len(inputs) for inputs, _, _ in vllm.calls] == [2, 1]
    tokenizer = tiny_tokenizer()
    text = tokenizer.apply_chat_template(
        messages("w1 w2", "inference"), tokenize=False, add_generation_prompt=True
    )
    (first, *_), (parameters, *_), adapter = vllm.calls[0]
    assert first == {"prompt_token_ids": tokenizer(text, add_special_tokens=False)["input_ids"]}
    seed = text_seed(text, 0, SAMPLING) % 2**63
    assert vars(parameters) == {
        "max_tokens": 8,
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "repetition_penalty": 1.05,
        "seed": seed,
    }
    assert adapter is None
    assert done.texts["q1"] == f"{len(first['prompt_token_ids'])} {seed}"
    assert rewriter.rewrite(QUERIES).counts["generated"] == 0
    # The texts of transformers are kept apart in the same file.
    own = make_rewriter(str(saved), cache=tmp_path / "t.jsonl", sampling=SAMPLING)
    assert own.rewrite(QUERIES).counts["generated"] == 3


def test_vllm_gets_the_adapter_and_room_for_its_rank(
    vllm: type[FakeEngine], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="expected a LoRA adapter of rank <= 256"):
        VllmModel("model", adapter=tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"r": 12}')
    model = VllmModel("model", adapter=tmp_path, max_model_len=64, seed=1)
    assert vllm.made["max_lora_rank"] == 16 and vllm.made["enable_lora"] is True
    assert vllm.made["seed"] == 1
    sampling = Sampling(max_new_tokens=4)
    rows = [Row(0, 0)]
    list(produce_with_vllm(model, tiny_tokenizer(), ["w1"], rows, sampling, 8))
    (_, (parameters,), adapter), *_ = vllm.calls
    assert adapter == ("adapter", 1, str(tmp_path))
    assert parameters.top_k == -1, "none is -1 in every version of vLLM"


def test_without_vllm_the_install_line_is_said(
    monkeypatch: pytest.MonkeyPatch, saved: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    rewriter = make_rewriter(str(saved), backend="vllm", cache=tmp_path / "t.jsonl")
    with pytest.raises(InputError, match="pip install vllm"):
        rewriter.rewrite(QUERIES)
