"""Random encoders of three kinds with a word-level tokenizer, as folders small enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", *(f"w{i}" for i in range(60)))
KINDS = ("Bert", "DistilBert", "MPNet")


def tiny_tokenizer(words: tuple[str, ...] = WORDS, types: bool = True, gap: int = 1) -> Any:
    """Words between spaces, each a token of `words` or [UNK]; pairs with `gap` [SEP] between."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    cut = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    cut.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    cut.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A {'[SEP] ' * gap}$B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=cut, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        unk_token="[UNK]", model_max_length=64, model_input_names=names,
    )  # fmt: skip


def tiny_encoder(
    kind: str = "Bert", layers: int = 6, width: int = 32, heads: int = 4, seed: int = 0
) -> Any:
    """A random encoder of 64 positions, in eval mode; torch's generator is left as it was."""
    import torch
    import transformers

    sizes: dict[str, Any] = {"vocab_size": len(WORDS), "max_position_embeddings": 64}
    if kind == "DistilBert":
        sizes |= {"dim": width, "hidden_dim": 2 * width, "n_layers": layers, "n_heads": heads}
    else:
        sizes["max_position_embeddings"] += kind == "MPNet"  # it numbers them from 1 here
        sizes |= {
            "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers,
            "num_attention_heads": heads,
        }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(initializer_range=0.3, pad_token_id=0, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.AutoModel.from_config(config).eval()


def save_tiny(folder: Path, kind: str = "Bert", layers: int = 6, **options: Any) -> str:
    """Write a tiny encoder and its tokenizer to `folder`; return the reference of the model."""
    tiny_encoder(kind, layers, **options).save_pretrained(str(folder))
    _tokenizer_of(kind).save_pretrained(str(folder))
    return str(folder)


def tiny_ranker(
    head: str = "cls+cosine", kind: str = "Bert", layers: int = 6, **options: Any
) -> Any:
    """A ranker of a random encoder, in eval mode."""
    from ir_replications.bert_distill_losses.ranker.model import Ranker

    return Ranker(tiny_encoder(kind, layers, **options), head, _tokenizer_of(kind)).eval()


def _tokenizer_of(kind: str) -> Any:
    return tiny_tokenizer(types=kind == "Bert", gap=2 if kind == "MPNet" else 1)


def tiny_texts(n: int, longest: int, seed: int = 0) -> list[str]:
    """n texts of 1 to `longest` words of WORDS."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return [" ".join(f"w{w}" for w in rng.integers(0, 60, rng.integers(1, longest + 1)))
            for _ in range(n)]  # fmt: skip
