"""Pairs of ids against the tokenizer's own encoding of the pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_ranker import (
    WORDS,
    tiny_texts,
    tiny_tokenizer,
)
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens, same_tokenizer
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import check_model, load_encoder

MINILM = "embedded:minilm-l6"
QUERIES = tiny_texts(9, 12)
DOCUMENTS = [*tiny_texts(20, 40, seed=1), "", "unknown words w1"]


def own_encoding(tokenizer: object, query: str, document: str, q: int, length: int) -> dict:
    """The tokenizer's own pair, of the query's first q tokens' words.

    As lists: a lone "" for a document would be taken for none.
    """
    cut, options = [" ".join(query.split()[:q])], {"truncation": "only_second"}
    made = tokenizer(cut, [document], max_length=length, **options)  # type: ignore[operator]
    return {name: rows[0] for name, rows in made.items()}


@pytest.mark.parametrize("types", ["zero", "pair"])
@pytest.mark.parametrize("gap", [1, 2])
def test_pairs_are_the_tokenizers_own(gap: int, types: str) -> None:
    tokenizer, longest = tiny_tokenizer(gap=gap), 23 + gap
    tokens = PairTokens(tokenizer, QUERIES, DOCUMENTS, query_length=7, max_length=24, types=types)
    query, document = (x.ravel() for x in np.mgrid[: len(QUERIES), : len(DOCUMENTS)])
    batch = tokens.batch(query, document)
    assert ("token_type_ids" in batch) == (types == "pair")
    cut = 0
    for row, (q, d) in enumerate(zip(query, document, strict=True)):
        own = own_encoding(tokenizer, QUERIES[q], DOCUMENTS[d], 7, longest)
        n = len(own["input_ids"])
        cut += n == longest
        padding = [0] * (longest - n)
        assert tokens.length(q, d) == n
        assert batch["input_ids"][row].tolist() == own["input_ids"] + padding
        assert batch["attention_mask"][row].tolist() == [1] * n + padding
        if types == "pair":
            assert batch["token_type_ids"][row].tolist() == own["token_type_ids"] + padding
        inner = np.array([*(token > 2 for token in own["input_ids"]), *padding])
        second = np.array([*own["token_type_ids"], *padding])
        assert batch["document_mask"][row].tolist() == (inner * second).tolist()
        assert batch["query_mask"][row].tolist() == (inner * (1 - second)).tolist()
    assert cut > 20 and min(tokens.lengths(query, document)) < 10
    assert tokens.empty_documents == 1


def test_a_second_separator_takes_no_token_from_the_document() -> None:
    """So a student and a teacher of another kind read the same words."""
    first, second = (
        PairTokens(tiny_tokenizer(gap=gap), QUERIES, DOCUMENTS, 7, 24) for gap in (1, 2)
    )
    query, document = (x.ravel() for x in np.mgrid[: len(QUERIES), : len(DOCUMENTS)])
    for mask in ("query_mask", "document_mask"):
        words = [
            [ids[kept > 0].tolist() for ids, kept in zip(b["input_ids"], b[mask], strict=True)]
            for b in (tokens.batch(query, document) for tokens in (first, second))
        ]
        assert words[0] == words[1]
    assert (second.special, first.special) == (4, 3)


def test_a_batch_is_as_long_as_its_longest_pair() -> None:
    tokens = PairTokens(tiny_tokenizer(), ["w1 w2"], ["w3", "w4 w5 w6", ""])
    batch = tokens.batch(np.array([0, 0]), np.array([0, 2]))
    words = [WORDS.index(w) for w in ("w1", "w2", "w3")]
    assert batch["input_ids"].tolist() == [
        [1, *words[:2], 2, words[2], 2],
        [1, *words[:2], 2, 2, 0],
    ]
    assert {v.dtype for v in batch.values()} == {torch.int64}
    assert batch["document_mask"].tolist() == [[0, 0, 0, 0, 1, 0], [0] * 6]


def test_word_pieces_of_the_real_tokenizer() -> None:
    """Texts cut within words, case, accents and signs: as the tokenizer cuts the whole pair."""
    if problems := check_model(MINILM):
        pytest.skip(problems[0])
    _, tokenizer = load_encoder(MINILM)
    queries = ["What is Übermässig dihydroxyphenylalanine?", "flow past a flat plate " * 12]
    documents = ["Hydro-dynamics: \u00e9tude, 1958\u2014" * n for n in (0, 1, 5, 40)]
    tokens = PairTokens(tokenizer, queries, documents, 40, 96)
    for q, query in enumerate(queries):
        for d, document in enumerate(documents):
            found = tokens.batch(np.array([q]), np.array([d]))["input_ids"][0].tolist()
            first = tokenizer(query, add_special_tokens=False)["input_ids"][:40]
            whole = tokenizer([query], [document], truncation=False)["input_ids"][0]
            second = whole[whole.index(102) + 1 : -1]
            assert found == [101, *first, 102, *second[: 96 - 3 - len(first)], 102]
            if len(first) < 40:
                own = tokenizer([query], [document], truncation="only_second", max_length=96)
                assert [found] == own["input_ids"]


def test_errors_are_one_line() -> None:
    tokenizer = tiny_tokenizer()
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: PairTokens(tokenizer, ["w1"], ["w2", None]), "document 1 is NoneType"),  # type: ignore[list-item]
        (lambda: PairTokens(tokenizer, ["w1", 3], ["w2"]), "query 1 is int"),  # type: ignore[list-item]
        (lambda: PairTokens(tokenizer, ["w1"], ["w2"], 40, 43), "max_length 43"),
        (lambda: PairTokens(tokenizer, ["w1"], ["w2"], 0), "query_length 0"),
        (lambda: PairTokens(tokenizer, ["w1"], ["w2"], types="both"), "'both'"),
        (lambda: PairTokens(tokenizer, ["\ud800"], ["w2"]), "not valid Unicode"),
    ]
    tokens = PairTokens(tokenizer, ["w1"], ["w2"])
    cases += [
        (lambda: tokens.batch(np.array([], dtype=int), np.array([], dtype=int)), "(0,)"),
        (lambda: tokens.batch(np.array([0]), np.array([0, 0])), "(2,)"),
    ]
    for make, said in cases:
        with pytest.raises(InputError) as error:
            make()
        assert said in str(error.value) and "\n" not in str(error.value)


def test_tokenizers_of_another_form_are_refused() -> None:
    from tokenizers import processors

    other = tiny_tokenizer()
    other.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A $B [SEP]",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    with pytest.raises(InputError, match="encodes a pair neither as"):
        PairTokens(other, ["w1"], ["w2"])
    other.pad_token = None
    with pytest.raises(InputError, match="padding token"):
        PairTokens(other, ["w1"], ["w2"])


def test_teacher_and_student_must_read_the_same_pieces() -> None:
    from tokenizers import normalizers

    assert same_tokenizer(tiny_tokenizer(), tiny_tokenizer(types=False))
    assert not same_tokenizer(tiny_tokenizer(), tiny_tokenizer(tuple(reversed(WORDS))))
    with pytest.raises(InputError, match="vocabularies differ"):
        same_tokenizer(tiny_tokenizer(), tiny_tokenizer((*WORDS, "w60")))
    lower = tiny_tokenizer()
    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(InputError, match="normalising"):
        same_tokenizer(tiny_tokenizer(), lower)
    unpadded = tiny_tokenizer()
    unpadded.pad_token = "[UNK]"
    assert not same_tokenizer(tiny_tokenizer(), unpadded)
