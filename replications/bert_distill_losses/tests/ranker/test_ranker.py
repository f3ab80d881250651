"""Rankers: heads worked out by hand, layers copied, precision, freezing and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_ranker import (
    KINDS,
    save_tiny,
    tiny_ranker,
    tiny_texts,
)
from ir_replications.bert_distill_losses.ranker.files import (
    load_ranker,
    save_ranker,
    weights_sha256,
)
from ir_replications.bert_distill_losses.ranker.model import (
    HEADS,
    Ranker,
    attention_for_training,
    freeze_word_embeddings,
    pretrained_ranker,
    student_of,
)
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import check_model

MINILM = "embedded:minilm-l6"


def inputs_of(ranker: Ranker, n: int = 8, **options: Any) -> dict[str, Any]:
    """n pairs of random words, the last with an empty document."""
    queries, documents = tiny_texts(n, 6, seed=2), [*tiny_texts(n - 1, 20, seed=3), ""]
    tokens = PairTokens(ranker.tokenizer, queries, documents, **options)
    return tokens.batch(np.arange(n), np.arange(n))


def layer_list(ranker: Ranker) -> Any:
    encoder = ranker.encoder
    return (encoder.transformer if hasattr(encoder, "transformer") else encoder.encoder).layer


def equal_states(a: Any, b: Any) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", HEADS)
def test_scores_by_hand(kind: str, head: str) -> None:
    """Row by row and without padding, with the means taken over Python's own slices."""
    ranker = tiny_ranker(head, kind)
    with torch.no_grad():
        ranker.head.weight.normal_(generator=torch.Generator().manual_seed(1))
        ranker.head.bias.fill_(0.25)
    inputs = inputs_of(ranker)
    with torch.inference_mode():
        scores, states = ranker.forward_states(inputs)
        assert torch.equal(scores, ranker(inputs))
        for row in range(8):
            ids = [i for i in inputs["input_ids"][row].tolist() if i]
            hidden = ranker.encoder(torch.tensor([ids])).last_hidden_state[0].double().numpy()
            assert np.abs(states.hidden[-1][row, : len(ids)].numpy() - hidden).max() < 1e-5
            expected = float(hidden[0] @ ranker.head.weight.double().numpy()) + 0.25
            split, gap = ids.index(2), 2 if kind == "MPNet" else 1
            if head == "cls+cosine" and split + gap + 1 < len(ids):
                q, d = hidden[1:split].mean(0), hidden[split + gap : -1].mean(0)
                expected += 10 * float(q @ d) / float(np.linalg.norm(q) * np.linalg.norm(d))
            assert float(scores[row]) == pytest.approx(expected, abs=2e-5)
    assert len(states.hidden) == 7 and torch.equal(states.mask, inputs["attention_mask"])


def test_starting_heads() -> None:
    start = tiny_ranker("cls+cosine").head
    assert start.scale == 10 and not start.weight.any() and start.bias == 0
    fresh = [Ranker(tiny_ranker().encoder, "cls", seed=s).head.weight for s in (0, 0, 1)]
    assert torch.equal(fresh[0], fresh[1]) and not torch.equal(fresh[0], fresh[2])
    assert 0.01 < float(fresh[0].detach().std()) < 0.03
    for kind, name in (("Bert", "hidden_dropout_prob"), ("DistilBert", "dropout")):
        encoder = tiny_ranker(kind=kind, layers=1).encoder
        setattr(encoder.config, name, 0.3)
        assert Ranker(encoder, "cls").head.dropout.p == 0.3
    before = torch.random.get_rng_state()
    Ranker(tiny_ranker().encoder, "cls", seed=5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_empty_document_has_finite_gradients() -> None:
    ranker = tiny_ranker().train()
    ranker(inputs_of(ranker)).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in ranker.parameters() if p.grad is not None)
    assert ranker.head.scale.grad is not None and float(ranker.head.scale.grad) != 0


@pytest.mark.parametrize("head", HEADS)
def test_padding_moves_no_score(head: str) -> None:
    ranker = tiny_ranker(head)
    inputs = inputs_of(ranker)
    longer = {k: torch.nn.functional.pad(v, (0, 11)) for k, v in inputs.items()}
    with torch.inference_mode():
        assert (ranker(inputs) - ranker(longer)).abs().max() < 1e-5


@pytest.mark.parametrize("head", HEADS)
def test_the_head_is_float32_under_autocast(head: str) -> None:
    ranker = tiny_ranker(head)
    inputs = inputs_of(ranker)
    seen: list[Any] = []
    ranker.head.register_forward_hook(lambda _, given, out: seen.append((given[0].clone(), out)))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        scores = ranker(inputs)
        other, _ = ranker.forward_states(inputs)
    assert scores.dtype == other.dtype == torch.float32 and torch.equal(scores, other)
    with torch.inference_mode():
        assert torch.equal(scores, ranker.head(seen[0][0], inputs)), "as outside of autocast"
        assert not torch.equal(scores, ranker(inputs)), "the states were in bfloat16"
    assert seen[0][0].dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("layers", "taken"), [(2, [3, 6]), (3, [2, 4, 6]), (1, [6])])
def test_students_copy_the_teachers_layers(kind: str, layers: int, taken: list[int]) -> None:
    teacher = tiny_ranker(kind=kind)
    with torch.no_grad():
        teacher.head.weight.fill_(0.5)
    teacher.requires_grad_(False)
    student = student_of(teacher, layers)
    assert student.layers == layers == student.encoder.config.num_hidden_layers
    assert teacher.layers == 6 == teacher.encoder.config.num_hidden_layers
    for mine, number in zip(layer_list(student), taken, strict=True):
        assert equal_states(mine, layer_list(teacher)[number - 1])
    assert equal_states(student.encoder.embeddings, teacher.encoder.embeddings)
    assert equal_states(student.head, teacher.head)
    assert student.tokenizer is teacher.tokenizer
    assert all(p.requires_grad for p in student.parameters())
    before = weights_sha256(teacher)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    assert weights_sha256(teacher) == before != weights_sha256(student)
    assert not any(p.requires_grad for p in teacher.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_of_all_layers_scores_as_the_teacher(kind: str) -> None:
    """Control C4: the same bits, states included."""
    teacher = tiny_ranker(kind=kind)
    inputs = inputs_of(teacher)
    with torch.inference_mode():
        scores, states = teacher.forward_states(inputs)
        own, own_states = student_of(teacher, 6).forward_states(inputs)
        other = student_of(teacher, 3)(inputs)
    assert torch.equal(scores, own) and not torch.allclose(scores, other, atol=1e-3)
    assert all(torch.equal(a, b) for a, b in zip(states.hidden, own_states.hidden, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_pretrained_rankers_take_the_first_layers(kind: str, tmp_path: Path) -> None:
    ref = save_tiny(tmp_path / "model", kind)
    whole, part = pretrained_ranker(ref, "cls"), pretrained_ranker(ref, "cls+cosine", 2)
    assert whole.layers == 6 and part.layers == 2 and not part.training
    for mine, other in zip(layer_list(part), layer_list(whole), strict=False):
        assert equal_states(mine, other)
    inputs = inputs_of(part)
    with torch.inference_mode():
        found, states = part.forward_states(inputs)
        expected = whole.forward_states(inputs)[1].hidden
    assert all(torch.equal(a, b) for a, b in zip(states.hidden, expected, strict=False))
    assert found.std() > 0.1
    for layers in (0, 7):
        with pytest.raises(InputError, match="1 to 6"):
            pretrained_ranker(ref, "cls", layers)


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_word_embeddings_stay_bit_equal(kind: str) -> None:
    for frozen in (True, False):
        ranker = tiny_ranker(kind=kind, layers=2).train()
        if frozen:
            assert freeze_word_embeddings(ranker) is ranker
        before = {k: v.clone() for k, v in ranker.state_dict().items()}
        trained = [p for p in ranker.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=0.01, weight_decay=0.1)
        ranker(inputs_of(ranker)).sum().backward()
        optimiser.step()
        words = "encoder.embeddings.word_embeddings.weight"
        after = ranker.state_dict()
        assert torch.equal(after[words], before[words]) == frozen
        positions = "encoder.embeddings.position_embeddings.weight"
        assert not torch.equal(after[positions], before[positions])


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_tokens_as_there_are_positions(kind: str) -> None:
    ranker = tiny_ranker(kind=kind, layers=2)
    text = " ".join(["w1"] * 80)
    for length, fits in ((64, True), (65, False)):
        tokens = PairTokens(ranker.tokenizer, ["w2"], [text], max_length=80)
        inputs = {
            k: v[:, :length] for k, v in tokens.batch(np.zeros(1, int), np.zeros(1, int)).items()
        }
        if fits:
            with torch.inference_mode():
                assert torch.isfinite(ranker(inputs)).all()
        else:
            with pytest.raises(InputError, match="65 tokens for a model of 64 positions"):
                ranker(inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_for_training_is_undone(kind: str) -> None:
    ranker = tiny_ranker(kind=kind, layers=2)
    inputs, usual = inputs_of(ranker), ranker.encoder.config._attn_implementation
    assert usual == ("eager" if kind == "MPNet" else "sdpa"), "MPNet has no fused kernel"
    with torch.inference_mode():
        before = ranker(inputs)
    with pytest.raises(KeyError), attention_for_training(ranker):
        kept = ranker.encoder(input_ids=inputs["input_ids"], output_attentions=True).attentions
        assert len(kept) == 2 and kept[0].ndim == 4, "which the fused kernel does not give"
        with torch.inference_mode():
            assert (ranker(inputs) - before).abs().max() < 1e-5
        assert ranker.encoder.config._attn_implementation == "eager"
        raise KeyError
    assert ranker.encoder.config._attn_implementation == usual
    with torch.inference_mode():
        assert torch.equal(ranker(inputs), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", HEADS)
def test_saved_rankers_come_back(kind: str, head: str, tmp_path: Path) -> None:
    ranker = student_of(tiny_ranker(head, kind), 2)
    with torch.no_grad():
        for parameter in ranker.head.parameters():
            parameter.add_(0.5)
    folder = save_ranker(ranker, tmp_path / "deep" / "ranker")
    names = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert names <= {".json", ".safetensors", ".txt"}, "nothing pickled"
    again = load_ranker(folder)
    assert weights_sha256(again) == weights_sha256(ranker) and again.layers == 2
    assert again.head_name == head and not again.training
    inputs = inputs_of(again)
    with torch.inference_mode():
        assert torch.equal(again(inputs), ranker(inputs))
    save_ranker(tiny_ranker("cls", kind), folder)  # an older ranker is replaced
    assert load_ranker(folder).layers == 6
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["ranker"]


def test_folders_of_something_else_are_refused(tmp_path: Path) -> None:
    ranker = tiny_ranker(layers=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something else than a ranker"):
        save_ranker(ranker, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(InputError, match=r"no ranker\.json"):
        load_ranker(tmp_path)
    folder = save_ranker(ranker, tmp_path / "ranker")
    good = json.loads((folder / "ranker.json").read_text())
    for change, said in (
        ("{", "malformed JSON"),
        ("[]", "expected the format"),
        (json.dumps(good | {"format": "other"}), "expected the format"),
        (json.dumps(good | {"version": 2}), "version 2"),
        (json.dumps(good | {"version": True}), "version True"),
        (json.dumps(good | {"head": "sum"}), "head 'sum'"),
        (json.dumps(good | {"head": ["cls"]}), r"head \['cls'\]"),
        ("[" * 100_000, "nested too deeply"),
        (json.dumps(good | {"head": "cls"}), "not this head's weights"),
    ):
        (folder / "ranker.json").write_text(change)
        with pytest.raises(InputError, match=said) as error:
            load_ranker(folder)
        assert "\n" not in str(error.value)
    (folder / "ranker.json").write_text(json.dumps(good))
    head = (folder / "head.safetensors").read_bytes()
    (folder / "head.safetensors").write_bytes(head[:-4] + b"\xff\xff\xff\x7f")
    with pytest.raises(InputError, match=r"head\.safetensors: .* holds NaN"):
        load_ranker(folder)
    (folder / "head.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not this head's weights"):
        load_ranker(folder)
    ranker.tokenizer = None
    with pytest.raises(InputError, match="no tokenizer"):
        save_ranker(ranker, tmp_path / "other")


def test_errors_are_one_line() -> None:
    from transformers import GPT2Config, GPT2Model

    ranker = tiny_ranker(layers=6)
    inputs = inputs_of(ranker)
    long = {k: v.repeat(1, 4) for k, v in inputs.items()}
    unmasked = {k: v for k, v in inputs.items() if k != "attention_mask"}
    headless = {k: v for k, v in inputs.items() if k != "document_mask"}
    typed = inputs_of(tiny_ranker(kind="DistilBert"), types="pair")
    other = GPT2Model(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=9))
    for make, said in (
        (lambda: ranker(unmasked), "attention_mask"),
        (lambda: ranker(headless), "document_mask"),
        (lambda: ranker(long), "64 positions"),
        (lambda: tiny_ranker(kind="DistilBert")(typed), "no token types"),
        (lambda: student_of(ranker, 4), "divisor of 6"),
        (lambda: student_of(ranker, 0), "divisor of 6"),
        (lambda: Ranker(ranker.encoder, "pooler"), "'pooler'"),
        (lambda: Ranker(other, "cls"), "GPT2Model"),
    ):
        with pytest.raises(InputError, match=said) as error:
            make()
        assert "\n" not in str(error.value)


def test_the_real_encoder_puts_the_answer_first() -> None:
    """Before any training the cosine head of the sentence embedder tells relevant documents."""
    if problems := check_model(MINILM):
        pytest.skip(problems[0])
    ranker = pretrained_ranker(MINILM, "cls+cosine")
    assert ranker.layers == 6 and ranker.encoder.pooler is None
    queries = ["how do tides arise", "lift of a wing in supersonic flow"]
    documents = ["The moon's gravity raises the tides of the sea.",
                 "Experiments on wing lift at supersonic speed."]  # fmt: skip
    tokens = PairTokens(ranker.tokenizer, queries, documents)
    with torch.inference_mode():
        found = ranker(tokens.batch(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))).view(2, 2)
    assert found[0, 0] > found[0, 1] and found[1, 1] > found[1, 0]
