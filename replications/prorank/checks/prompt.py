"""Golden checks A1, A2 and A5 to A7: the prompt's bytes, its tokens, its lengths, its padding.

The sha256 of texts are of the released template; the digest of ids is of mxbai-rerank 0.1.6 run
with transformers 4.57 on the inputs and tokenizers made here (test_prompt.py runs it again).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from ir_replications.prorank.checks.tiny_llama import byte_tokenizer, inputs, tiny_llama
from ir_replications.prorank.method.prompt import (
    PREFIX,
    SUFFIX,
    TASK,
    PromptTokenizer,
    answer_ids,
    document_text,
    prompt_text,
    query_text,
)
from ir_replications.shared.errors import InputError

Facts = dict[str, float | int | str | bool | list]

TASK_SHA256 = "a6f054307a1715148c61fa49f54911627fab835523657c4b0de7ccb293b26a13"
PROMPT_SHA256 = {  # instruction: sha256 of the prompt for the query "Q" and the document "D"
    None: "12101dc5fd8d4ca905d7e0bedd22e3e64f0e227647eb637695fe4da1c91473cb",
    "I": "50f7a97957d80041f5d2a9f48d10d51db92ab96e77ed94a8b776af5e37140e14",
}
STYLES = ("qwen", "gpt2")
IDS_SHA256 = "feb494e161c4d391b7b64d3d7fee54449e79bc98222c5a732eb76ea011e52703"


def settings(template: int) -> list[tuple[int, int]]:
    """(max_length, model_max): the first, the second or neither cuts; `template` in tokens."""
    return [(5, 4096), (17, 4096), (64, 4096), (200, 4096), (8192, 32768), (8192, template + 40),
            (60, template + 59)]  # fmt: skip


def a1() -> Facts:
    """The template byte by byte: task after the document, answer's turn last."""
    found = {asked: prompt_text("Q", "D", asked) for asked in PROMPT_SHA256}
    wrong = [str(a) for a, text in found.items() if sha256(text) != PROMPT_SHA256[a]]
    wrong += ["task"] if sha256(TASK) != TASK_SHA256 else []
    for text in found.values():
        if not text.endswith(f"document: D\n{TASK}{SUFFIX}") or not text.startswith(PREFIX):
            wrong.append("order")
    if prompt_text("Q", "D", "") != found[None]:
        wrong.append("empty instruction")
    lengths = [len(found[None]), len(found["I"])]
    return {"violations": len(wrong), "wrong": wrong, "characters": lengths}


class TableTokenizer:
    """A tokenizer that looks texts up, to stand for ones that cannot give the answers."""

    def __init__(self, zero: list[int], one: list[int]) -> None:
        self.table, self.unk_token_id = {"0": zero, "1": one}, 9

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        """The ids of "0" or "1"."""
        return {"input_ids": self.table[text]}


def a2() -> Facts:
    """The answers are a token each; tokenizers that split, merge or lack them are refused."""
    distinct = sum(len(set(answer_ids(byte_tokenizer(style)))) == 2 for style in STYLES)
    refused = 0
    # A space in front (the released code would score every pair 0), unknown, equal.
    for zero, one in (([5, 3], [5, 4]), ([9], [4]), ([4], [4])):
        try:
            answer_ids(TableTokenizer(zero, one))
        except InputError:
            refused += 1
    return {"tokenizers": distinct, "refused": refused}


def a5() -> Facts:
    """A row's score alone and among others; what right padding does to the shorter rows."""
    import torch

    from ir_replications.prorank.method.score import PairScorer, logit_difference

    tokenizer = byte_tokenizer("qwen")
    model = tiny_llama(len(tokenizer))
    pairs = [(query, document) for query, document, _ in inputs(24)]
    scorers = [PairScorer(model, tokenizer, share_prefix=share) for share in (False, True)]
    alone = np.concatenate([scorers[0].score([pair]) for pair in pairs])
    together = [scorer.score(pairs) for scorer in scorers]
    rows = scorers[0].prompts.encode_pairs(pairs)
    longest = max(map(len, rows))
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
    with torch.inference_mode():
        logits = model(ids, attention_mask=mask).logits[:, -1]
    right = logit_difference(logits, *scorers[0].ids).numpy()
    shorter = np.array([len(row) < longest for row in rows])
    return {
        "violations": sum(int((np.abs(found - alone) > 1e-5).sum()) for found in together),
        "spread": round(float(alone.std()), 3),
        "shorter_rows": int(shorter.sum()),
        "moved_by_right_padding": int((np.abs(right - alone)[shorter] > 1e-3).sum()),
    }


def a6(count: int = 1400) -> Facts:
    """Ids of generated inputs: equal to the released code's, template whole, only texts cut."""
    tokenizer = byte_tokenizer("qwen")
    template = PromptTokenizer(tokenizer).template_length
    makers = [PromptTokenizer(tokenizer, *setting) for setting in settings(template)]
    prefix, separator, task, suffix = (ids_of(tokenizer, t) for t in (PREFIX, "\n", TASK, SUFFIX))
    end, digest = separator + task + suffix, hashlib.sha256()
    facts: Facts = {"inputs": count}
    counts = {"queries_cut": 0, "documents_cut": 0, "violations": 0}
    for i, (query, document, asked) in enumerate(inputs(count)):
        maker = makers[i % len(makers)]
        found = maker.encode(query, document, asked)
        digest.update(json.dumps(found).encode())
        whole = ids_of(tokenizer, query_text(query, asked))
        first = whole[: maker.max_length * 3 // 4]
        second = separator + ids_of(tokenizer, document_text(document))
        texts = found[len(prefix) : len(found) - len(end)]
        counts["queries_cut"] += len(first) < len(whole)
        counts["documents_cut"] += len(texts) < len(first) + len(second)
        fits = min(len(first) + len(second), maker.max_length)
        good = found == prefix + texts + end and texts == (first + second)[:fits]
        counts["violations"] += not good
    return facts | counts | {"as_released": digest.hexdigest() == IDS_SHA256}


def a7() -> Facts:
    """Pieces tokenised apart against the whole string, by pre-tokenizer and by ending."""
    facts: Facts = {}
    for style in STYLES:
        tokenizer = byte_tokenizer(style)
        maker = PromptTokenizer(tokenizer, 100_000)
        marked, differ, otherwise = 0, 0, 0
        for query, document, _ in inputs(300, seed=1):
            same = maker.encode(query, document) == ids_of(tokenizer, prompt_text(query, document))
            if query.endswith((".", "?", "!")) or document.endswith((".", "?", "!")):
                marked, differ = marked + 1, differ + (not same)
            elif (query[-1:] + "a").isalnum() and (document[-1:] + "a").isalnum():
                otherwise += bool(query) and bool(document) and not same
        facts |= {f"{style}_differ": differ, f"{style}_differ_otherwise": otherwise}
        facts["end_in_punctuation"] = marked
    return facts


def ids_of(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text, nothing added."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def sha256(text: str) -> str:
    """Hex sha256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


CHECKS: dict[str, Callable[[], Facts]] = {"A1": a1, "A2": a2, "A5": a5, "A6": a6, "A7": a7}
