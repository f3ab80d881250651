"""Random cross-encoders of three kinds and a word-level tokenizer, small enough for any test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", *(f"w{i}" for i in range(28)))
KINDS: dict[str, tuple[dict[str, Any], bool]] = {  # settings, whether tokens have types
    "Bert": ({"type_vocab_size": 2}, True),
    # Positions count from the padding's id on, as in bge-reranker-v2-m3.
    "XLMRoberta": ({"type_vocab_size": 1, "max_position_embeddings": 65}, False),
    # No absolute positions, and a pooler of its own, as in mxbai-rerank-large-v1.
    "DebertaV2": (
        {"relative_attention": True, "position_biased_input": False, "type_vocab_size": 0}, True
    ),
}  # fmt: skip


def tiny_tokenizer(types: bool, limit: int = 64) -> Any:
    """ "[CLS] query [SEP] document [SEP]" of the words in WORDS, at most `limit` tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        unk_token="[UNK]", model_max_length=limit, model_input_names=names,
    )  # fmt: skip


def tiny_model(kind: str, labels: int = 1) -> Any:
    """A model of 2 layers, 32 dimensions and 64 positions, in eval mode."""
    import torch
    import transformers

    torch.manual_seed(0)
    sizes = dict(
        vocab_size=len(WORDS), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=64, initializer_range=0.3, pad_token_id=0,
        num_labels=labels,
    )  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**sizes | KINDS[kind][0])
    return transformers.AutoModelForSequenceClassification.from_config(config).eval()


def save_tiny(folder: Path, kind: str) -> Path:
    """Write the model of this kind and its tokenizer to `folder`, and return it."""
    tiny_model(kind).save_pretrained(str(folder))
    tiny_tokenizer(KINDS[kind][1]).save_pretrained(str(folder))
    return folder
