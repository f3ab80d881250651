"""Checks of prompts (A5), of the data builder (A6), of BRIGHT's queries (A10) and of leaks (C10).

The golden digests and orders are outputs of the released code, run on the inputs given here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ir_replications.shared.data import (
    BRIGHT_SUBSETS,
    BrightQueries,
    load_bright_queries,
    read_qrels,
)
from ir_replications.shared.data.lines import json_lines, only_file
from ir_replications.shared.data.root import find_data_root
from ir_replications.tongsearch_qr.method.prompts import (
    SYSTEM,
    THINK_SYSTEM,
    VARIANTS,
    extract,
    instructed,
    messages,
)
from ir_replications.tongsearch_qr.rewriting.reasoned_files import read_released
from ir_replications.tongsearch_qr.training.data import (
    MAX_CHARACTERS,
    Row,
    drop_unusable,
    parse_answer,
    released_site_name,
    sample_per_domain,
    shuffled,
    site_name,
    training_record,
)
from ir_replications.tongsearch_qr.training.leakage import find_leaked_rows
from ir_replications.tongsearch_qr.training.qa_files import read_rows

if TYPE_CHECKING:
    from ir_replications.engine.context import Context

Facts = dict[str, float | int | str | bool | list]

QUESTION = "Why is the sky blue?\nAnd why is it red at dusk – physically?"  # noqa: RUF001 - not ASCII
PROMPT_SHA256 = {
    "training": "0bb5985c5420ffb8634cb8b431d19073531e2bc2f768c8f2a3f9c6ea8ae3b972",
    "inference": "64f2ca9b6b2f2e9448f4d92c35e280520f9654e781eb086e5fc49cae00528bb5",
    "earlier-inference": "53a18d0feef8f35d0660cf47923f97d82f0a0e9ed95f7e7491e101c80df57d3b",
    "readme": "64f2ca9b6b2f2e9448f4d92c35e280520f9654e781eb086e5fc49cae00528bb5",
    "bright": "e2dce3bce2cdb5ce2cb29dabb0d61dbed12f5c3a6d3085ac713921938964c613",
}
THINK_SHA256 = {
    "training": "e3c33b9fab873701ecc25c8aeed6e2676cc74f3a926ba33bbd1a8e829bf1e042",
    "inference": "579bcca33d7e795f0a91a46cb580737bbdf0e98c70cdc5ebb468ce6cd39fb41f",
    "earlier-inference": "e3c33b9fab873701ecc25c8aeed6e2676cc74f3a926ba33bbd1a8e829bf1e042",
}
SYSTEM_TURNS = {
    "training": "",
    "inference": "",
    "earlier-inference": "",
    "readme": None,
    "bright": "You are a helpful assistant",
}
DEFAULT_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
# The behaviour of Qwen2.5's chat template that matters here: a default where no system turn is.
TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n"
    + DEFAULT_SYSTEM
    + "<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def render(turns: list[dict[str, str]]) -> str:
    """Return chat messages as the text that a Qwen2.5-like template makes of them."""
    from jinja2 import Environment

    template = Environment(keep_trailing_newline=True, autoescape=False).from_string(TEMPLATE)
    return template.render(messages=turns)


def a5() -> Facts:
    """Prompts are exact to the byte, and an empty system turn is not the same as none."""
    wrong = [v for v in VARIANTS if sha256(instructed(QUESTION, v)) != PROMPT_SHA256[v]]
    wrong += [f"{v} think" for v, text in THINK_SYSTEM.items() if sha256(text) != THINK_SHA256[v]]
    for variant, system in SYSTEM_TURNS.items():
        turns = messages(QUESTION, variant)
        has = turns[0]["content"] if turns[0]["role"] == "system" else None
        if has != system or SYSTEM[variant] != system or turns[-1]["role"] != "user":
            wrong.append(f"{variant} system turn")
    rendered = {variant: render(messages(QUESTION, variant)) for variant in VARIANTS}
    if not rendered["inference"].startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user\n"):
        wrong.append("empty system turn")
    if not rendered["readme"].startswith(f"<|im_start|>system\n{DEFAULT_SYSTEM}<|im_end|>\n"):
        wrong.append("default system turn")
    outputs = {
        ("<|im_start|>assistant\n a \n", False): "a",
        ("<think>t</think> <answer>\nb\n</answer>", True): "b",
        ("<think>t</think> <answer>b</answer>", False): "<think>t</think> <answer>b</answer>",
        ("<answer>b</answer>", True): None,
        (" \n", False): None,
    }
    wrong += [
        f"extract {text!r}" for (text, t), q in outputs.items() if extract(text, think=t) != q
    ]
    return {
        "violations": len(wrong),
        "wrong": wrong,
        "distinct_user_messages": len({instructed(QUESTION, v) for v in VARIANTS}),
        "distinct_prompts": len(set(rendered.values())),
    }


def builder_rows() -> list[Row]:
    """The rows whose outcome in the released build_dataset.py is known: two of 16 are dropped."""
    rows = [Row(str(i), f"question {i}", (f"answer {i}",)) for i in range(12)]
    room = MAX_CHARACTERS - len(instructed("", "training"))
    return [
        *rows,
        Row("png", "see https://example.org/a.png", ("no",)),
        Row("fits", "x" * room, ("just fits",)),
        Row("long", "x" * (room + 1), ("too long",)),
        Row("two", "question “é”", ("one", "two")),
    ]


BUILT = (0, 8, 10, 1, "fits", 5, "two", 6, 3, 4, 9, 11, 2, 7)
BUILT_SHA256 = {
    False: "1d7b4af8f2afc6f19e26eb33810ae8326f2701ac5dc16bc1b34930b55c75b97d",
    True: "e250d3a343ac244af8ff056d1233c5bb88e6c6b356e624b2785ca5212566f2ce",
}
SITES = ("cs", "stackoverflow", "math", "physics", "biology")
SAMPLED = (32, 8, 16, 0, 11, 14, 22, 30, 7, 20, 12, 23)  # 4 each of cs, biology and math


def sampler_rows() -> list[Row]:
    """40 rows of five sites, eight each; four of the sites are among the sampled domains."""
    hosts = [f"{s}.com" if s == "stackoverflow" else f"{s}.stackexchange.com" for s in SITES]
    return [
        Row(str(i), f"question {i}", ("a",), f"https://{hosts[(i * 3 + i // 7) % 5]}/questions/{i}")
        for i in range(40)
    ]


def a6() -> Facts:
    """Filters, order and JSON of the builder; the sampler with its fault, and without."""
    wrong: list[str] = []
    built = shuffled(drop_unusable(builder_rows()))
    if [row.id for row in built] != [str(name) for name in BUILT]:
        wrong.append("filters or shuffle")
    for think, digest in BUILT_SHA256.items():
        records = [training_record(row, think=think) for row in built]
        if sha256(json.dumps(records, ensure_ascii=False, sort_keys=True)) != digest:
            wrong.append(f"records, think {think}")
        for row, record in zip(built, records, strict=True):
            expected = (instructed(row.query, "training"), row.positives, think)
            if parse_answer(record["answer"]) != expected:
                wrong.append(f"round trip of {row.id}")
    released = sample_per_domain(sampler_rows(), 4, released=True)
    if [int(row.id) for row in released] != list(SAMPLED):
        wrong.append("released sampler")
    fixed = {site_name(row.domain) for row in sample_per_domain(sampler_rows(), 4)}
    if fixed != {"cs", "stackoverflow", "math", "biology"}:
        wrong.append("fixed sampler")
    address = "https://stackoverflow.com/questions/1"
    if (released_site_name(address), site_name(address)) != ("ackoverflow", "stackoverflow"):
        wrong.append("site name")
    return {
        "violations": len(wrong),
        "wrong": wrong,
        "stackoverflow_rows_released": sum("stackoverflow" in row.domain for row in released),
        "sites_misread": sum(released_site_name(f"https://{s}.x") != s for s in SITES),
    }


# Queries, judged (query, document) pairs, largest set of distinct excluded documents. The aops
# lists repeat ids: 11,224 entries are 11,218 documents.
BRIGHT = {
    "biology": (103, 372, 0),
    "earth_science": (116, 585, 0),
    "economics": (103, 800, 0),
    "psychology": (101, 692, 0),
    "robotics": (101, 520, 0),
    "stackoverflow": (117, 478, 0),
    "sustainable_living": (108, 576, 0),
    "leetcode": (142, 262, 1119),
    "pony": (112, 2219, 0),
    "aops": (111, 524, 11218),
    "theoremqa_questions": (194, 439, 11206),
    "theoremqa_theorems": (76, 151, 0),
}
# The order in which question_rewriting.py goes through the subsets, so that of its output file.
RELEASED_ORDER = (
    "biology", "earth_science", "economics", "pony", "psychology", "sustainable_living", "aops",
    "theoremqa_theorems", "theoremqa_questions", "robotics", "stackoverflow", "leetcode",
)  # fmt: skip
RELEASED_MD5 = {
    "tongsearch-qr-7b": "962814f67e8f4d211d9ed9233ca9052c",
    "tongsearch-qr-1.5b": "36617e2a223703de52dfa1cfd683d65c",
}


def a10(context: Context) -> Facts:
    """BRIGHT's queries and judgements are the documented ones; released maps cover every query.

    The released files are built again from what was read, text for text, and their md5 compared.
    """
    root = find_data_root(context.data_root)
    found = {subset: load_bright_queries(subset, root) for subset in BRIGHT_SUBSETS}
    wrong = [s for s, queries in found.items() if _counts(queries) != BRIGHT[s]]
    wrong += [f"{s} judgements" for s in found if root and not _gold_is_judged(root / "bright" / s)]
    texts = [text for queries in found.values() for text in queries.queries.values()]
    theorems = set(found["theoremqa_theorems"].queries.values())
    if not theorems <= set(found["theoremqa_questions"].queries.values()):
        wrong.append("theoremqa_theorems queries outside theoremqa_questions")
    for name, md5 in RELEASED_MD5.items():
        reasoned: dict[str, str] = {}
        for subset in RELEASED_ORDER:
            topics = found[subset].queries
            by_id = read_released(f"bright/{subset}", topics, name, root)
            for query_id, text in topics.items():
                if reasoned.setdefault(text, by_id[query_id]) != by_id[query_id]:
                    wrong.append(f"{name} {subset}/{query_id}: two texts for one query")
        if hashlib.md5(json.dumps(reasoned, ensure_ascii=False).encode()).hexdigest() != md5:
            wrong.append(f"{name} md5")
    if (len(texts), len(set(texts))) != (1384, 1308):
        wrong.append("number of queries")
    return {
        "violations": len(wrong),
        "wrong": wrong,
        "queries": len(texts),
        "unique_queries": len(set(texts)),
        "queries_sha256": sha256("".join(found[s].sha256 for s in BRIGHT_SUBSETS)),
    }


def _gold_is_judged(folder: Path) -> bool:
    """Whether qrels/test.tsv judges exactly the gold_ids of the benchmark's examples relevant."""
    examples = only_file(folder, "examples.jsonl")
    if examples is None:
        return False
    gold = {
        record["id"]: dict.fromkeys(record["gold_ids"], 1) for _, record in json_lines(examples)
    }
    return read_qrels(folder / "qrels" / "test.tsv") == gold


def _counts(queries: BrightQueries) -> tuple[int, int, int]:
    judged = sum(len(grades) for grades in queries.qrels["test"].values())
    most = max((len(ids) for ids in queries.excluded.values()), default=0)
    return len(queries.queries), judged, most


PLANTS = 20  # every so many-th evaluation query is planted among the training questions


def c10(context: Context, source: str = "qa/stackexchange") -> Facts:
    """Count the training questions close to a query of BRIGHT, and the planted ones not found.

    Similarity: see leakage.py, by default common word 5-grams are half of all. A plant is a
    query without every twentieth of its words.
    """
    training = read_rows(source, data_root=context.data_root, download=context.download)
    queries = {
        f"{subset}/{query_id}": text
        for subset in BRIGHT_SUBSETS
        for query_id, text in load_bright_queries(subset, context.data_root).queries.items()
    }
    leaks = find_leaked_rows(training.rows, queries)
    low = find_leaked_rows(training.rows, queries, threshold=0.01, measure="containment")
    plants = [
        Row(query_id, " ".join(w for i, w in enumerate(text.split(), 1) if i % 20), ("a",))
        for query_id, text in list(queries.items())[::PLANTS]
    ]
    found = {
        leak.train_id
        for leak in find_leaked_rows(plants, queries)
        if leak.train_id == leak.held_out_id
    }
    return {
        "near_duplicates": len(leaks),
        "rows": len(training.rows),
        "queries": len(queries),
        "largest_containment": low[0].similarity if low else 0.0,
        "closest": [low[0].train_id, low[0].held_out_id] if low else [],
        "plants": len(plants),
        "plants_missed": len(plants) - len(found),
        "training_sha256": training.sha256,
    }


def sha256(text: str) -> str:
    """Hex sha256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


CHECKS: dict[str, Callable[[], Facts]] = {"A5": a5, "A6": a6}
DATA_CHECKS: dict[str, Callable[[Context], Facts]] = {"A10": a10, "C10": c10}
