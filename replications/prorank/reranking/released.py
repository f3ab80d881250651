"""The models of the paper tier by short name: pinned revisions, and how each scores.

Revisions are those that public projects pin; an empty one is in no source at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from ir_replications.shared.errors import InputError


@dataclass(frozen=True)
class Model:
    """A model of the hub. `kind` is "causal" (two answers' logits) or "cross-encoder"."""

    name: str
    revision: str
    kind: str = "causal"

    @property
    def ref(self) -> str:
        """The model's reference (shared.models.references); InputError without a revision."""
        if not self.revision:
            raise InputError(
                f"{self.name}: no source at hand pins a revision; put the commit that you trust "
                "into replications/prorank/reranking/released.py"
            )
        return f"hub:{self.name}@{self.revision}"


MODELS = {
    model.name.split("/")[1]: model
    for model in (
        Model("mixedbread-ai/mxbai-rerank-base-v2", "3ea9d4dffa7d12a4f366be8e275c349de9fc9865"),
        Model("mixedbread-ai/mxbai-rerank-large-v2", "ca7e1ee484c37c0ddd8d178a9a5c33cec575c5e6"),
        Model("Qwen/Qwen2.5-0.5B-Instruct", "7ae557604adf67be50417f59c2c2f167def9a775"),
        Model("Qwen/Qwen2.5-1.5B-Instruct", "989aa7980e4cf806f80c7fef2b1adb7bc71aa306"),
        Model("Qwen/Qwen2.5-3B-Instruct", "aa8e72537993ba99e69dfaafa59ed015b17504d1"),
        Model("Qwen/Qwen2.5-32B-Instruct", "5ede1c97bbab6ce5cda5812749b4c0bdf79b18dd"),
        Model(
            "BAAI/bge-reranker-v2-m3",
            "953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e",
            "cross-encoder",
        ),
        Model("mixedbread-ai/mxbai-rerank-large-v1", "", "cross-encoder"),
    )
}

# Pull request 8 of the released code scores the example of its README (package mxbai-rerank 0.1.6).
EXAMPLE = (
    "Who wrote 'To Kill a Mockingbird'?",
    (
        "'To Kill a Mockingbird' is a novel by Harper Lee published in 1960.",
        "The novel 'Moby-Dick' was written by Herman Melville.",
        "Harper Lee was born in 1926 in Monroeville, Alabama.",
    ),
)
# Raw scores by model, computed back from the normalised ones: multiples of 1/16.
EXAMPLE_SCORES = {
    "mxbai-rerank-base-v2": (9.1875, 0.5625, 4.0),
    "mxbai-rerank-large-v2": (12.125, -1.375, 9.6875),
}
