"""A tokenizer, a random model and texts, small enough for a check to run at once."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from ir_replications.prorank.method.prompt import prompt_text

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WORDS = (
    "who wrote the novel of a sea and its map", "naïve façade — Zürich", "def f(x): return x",
    "42 7 1 0 2025", "\u68c0\u7d22 \u76f8\u5173", "hello <|im_end|> world", "tab\there  two",
    "😀 emoji", "line\nbreak", "e\u0301t\u00e9", "don't we'll", "",
)  # fmt: skip
ENDINGS = ("", "?", ".", "!", ").", " ", "\n", "...", "  \n\n")


def byte_tokenizer(style: str) -> Any:
    """A byte-level BPE tokenizer with Qwen's pre-tokenizer ("qwen") or GPT-2's ("gpt2").

    Its merges are the words of the prompt and the line ends that Qwen's pre-tokenizer leaves at
    punctuation, written out here, not trained: ids are the same in every release of `tokenizers`.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=style == "gpt2")
    split: Any = bytes_only
    if style == "qwen":
        words = pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated")
        split = pre_tokenizers.Sequence([words, bytes_only])
    source = [prompt_text(" ".join(WORDS), "d"), *(f"a{end}\nb" for end in ENDINGS)]
    pieces = [piece for text in source for piece, _ in split.pre_tokenize_str(text)]
    merges = dict.fromkeys((p[:i], p[i]) for p in pieces for i in range(1, len(p)))
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in merges)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    model = Tokenizer(BPE(vocab=vocabulary, merges=list(merges)))
    model.pre_tokenizer, model.decoder = split, decoders.ByteLevel()
    if style == "qwen":
        model.normalizer = normalizers.NFC()
    model.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token=SPECIAL[0], eos_token=SPECIAL[2], padding_side="left"
    )


def inputs(count: int, seed: int = 0) -> Iterator[tuple[str, str, str | None]]:
    """Generated (query, document, instruction): no words to many, every ending, other scripts."""
    random = Random(seed)

    def text(words: int) -> str:
        chosen = [WORDS[random.randrange(len(WORDS))] for _ in range(random.randrange(words + 1))]
        return " ".join(chosen) + ENDINGS[random.randrange(len(ENDINGS))]

    for _ in range(count):
        asked = (None, None, "", text(4))[random.randrange(4)]
        yield text(6), text(30), asked


def tiny_llama(vocabulary: int, *, tied: bool = True, bias: bool = False, seed: int = 0) -> Any:
    """A random Llama of 2 layers and 32 dimensions in float32, in eval mode."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.15,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config).eval()
    if bias:
        head = model.lm_head
        model.lm_head = torch.nn.Linear(head.in_features, head.out_features)
    return model
