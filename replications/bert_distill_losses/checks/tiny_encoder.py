"""Random BERT and DistilBERT encoders and their inputs, small enough for any test."""

from __future__ import annotations

from typing import Any

VOCABULARY = 40


def tiny_encoder(
    kind: str = "Bert",
    *,
    layers: int = 2,
    width: int = 16,
    heads: int = 4,
    attention: str = "sdpa",
    dropout: float = 0.0,
    seed: int = 0,
) -> Any:
    """A "Bert" or "DistilBert" model in eval mode, float32, with weights large enough to matter."""
    import torch
    import transformers

    sizes: dict[str, Any] = dict(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=32, initializer_range=0.3,
        attn_implementation=attention,
    )  # fmt: skip
    if kind == "Bert":
        sizes |= dict(intermediate_size=2 * width, hidden_dropout_prob=dropout)
        sizes |= dict(attention_probs_dropout_prob=dropout)
    else:
        sizes |= dict(hidden_dim=2 * width, dropout=dropout, attention_dropout=dropout)
    config = getattr(transformers, f"{kind}Config")(**sizes)
    options = dict(add_pooling_layer=False) if kind == "Bert" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return getattr(transformers, f"{kind}Model")(config, **options).eval()


def tiny_inputs(lengths: tuple[int, ...] = (7, 4, 5), pad: int = 0, seed: int = 0) -> dict:
    """input_ids and attention_mask of random tokens, `pad` positions longer than the longest."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    size = max(lengths) + pad
    ids = torch.zeros(len(lengths), size, dtype=torch.long)
    for row, length in zip(ids, lengths, strict=True):
        row[:length] = torch.randint(1, VOCABULARY, (length,), generator=generator)
    mask = (torch.arange(size) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask}
