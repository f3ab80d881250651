"""Shrunk collections under the real ids: a few documents in the layout that each source has."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from ir_replications.shared.data.beir import write_beir
from ir_replications.shared.data.collection import make_collection
from tests.rehearsal.texts import WORDS, sentence

Rows = list[dict[str, Any]]
# Splits beside the tested one, as mteb publishes them.
SPLITS: Mapping[str, Sequence[str]] = {
    "beir/msmarco": ("train", "dev", "test"),
    "beir/nfcorpus": ("train", "dev", "test"),
    "beir/fiqa": ("train", "dev", "test"),
    "beir/hotpotqa": ("train", "dev", "test"),
    "beir/fever": ("train", "dev", "test"),
    "beir/scifact": ("train", "test"),
    "beir/quora": ("dev", "test"),
    "beir/dbpedia": ("dev", "test"),
    "multilingual/ko-strategyqa": ("dev",),
    "multilingual/mmarco-zh": ("dev",),
    "multilingual/jaquad-mteb": ("validation",),
}
TRAINING = {"beir/msmarco": 440}  # queries: enough that some are set aside for choices
REASONED = (
    "gpt4_reason", "claude-3-opus_reason", "llama3-70b_reason", "Gemini-1.0_reason", "grit_reason",
)  # fmt: skip


def mteb(id: str, documents: int = 30, queries: int = 4) -> tuple[Rows, Rows, dict[str, Rows]]:
    """(documents, queries, split -> judgements) of a collection of BEIR in mteb's columns.

    Every query's words are in its relevant document. Some of what real collections hold is here
    too: an empty title and an empty document, grades of 0, 2 and -1, queries that are documents.
    """
    random = Random(id)
    sizes = {split: queries for split in SPLITS.get(id, ("test",))}
    if "train" in sizes:
        sizes["train"] = TRAINING.get(id, 2 * queries)
    wanted = sum(sizes.values())
    names = [f"d{i}" for i in range(max(documents, wanted // 2))]
    texts = [sentence(random, 12) for _ in names]
    rows: Rows = [
        {"_id": name, "title": sentence(random, 2) if i % 5 else "", "text": text}
        for i, (name, text) in enumerate(zip(names, texts, strict=True))
    ]
    rows.append({"_id": "empty", "title": "", "text": ""})
    asked: Rows = []
    qrels: dict[str, Rows] = {split: [] for split in sizes}
    number = 0
    for split, size in sizes.items():
        for _ in range(size):
            place = number % len(names)
            own = id == "beir/arguana"  # its queries are documents
            qid = names[place] if own else f"q{number}"
            other = names[(place + 1) % len(names)]
            kept = random.sample(texts[place].split(), 4)
            asked.append({"_id": qid, "text": " ".join([*kept, random.choice(WORDS)])})
            relevant = other if own else names[place]
            grades = [(relevant, 1.0)]
            if id in ("beir/trec-covid", "beir/dbpedia", "beir/touche2020"):
                grades = [(relevant, 2.0), (other, 0.0)]
            if id == "beir/trec-covid":
                grades.append((names[(place + 2) % len(names)], -1.0))
            qrels[split] += [{"query-id": qid, "corpus-id": d, "score": g} for d, g in grades]
            number += 1
    return rows, asked, qrels


def bright(subset: str, documents: int = 25, queries: int = 3) -> tuple[Rows, Rows]:
    """(documents, examples) of a subset of BRIGHT with all the columns that it publishes."""
    random = Random(subset)
    names = [f"{subset}/{i}.txt" for i in range(documents)]
    texts = [sentence(random, 14) for _ in names]
    found = [{"id": name, "content": text} for name, text in zip(names, texts, strict=True)]
    examples: Rows = []
    for i in range(queries):
        asked = " ".join([*random.sample(texts[i].split(), 4), random.choice(WORDS)])
        barred = [names[i + queries]] if i % 2 else ["N/A"]
        examples.append(
            {
                "query": f"{asked}\n{sentence(random, 5)}",
                "reasoning": sentence(random, 6),
                "id": str(i),
                "excluded_ids": barred,
                "gold_ids_long": ["N/A"],
                "gold_ids": [names[i], names[i + 2 * queries]],
                "gold_answer": sentence(random, 6),
            }
        )
    return found, examples


def reasoned(examples: Rows, name: str) -> Rows:
    """The examples with other queries in their place, as a configuration of BRIGHT has them."""
    random = Random(name)
    return [
        row | {"query": f"{row['query'].split()[0]} {sentence(random, 20)}"} for row in examples
    ]


def write_reasoned_map(path: Path, examples: Rows) -> Path:
    """The authors' file of reasoned queries: original text -> reasoned text, all subsets."""
    random = Random(path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({row["query"]: sentence(random, 25) for row in examples}))
    return path


def write_fixed_qrels(path: Path, examples: Rows) -> Path:
    """Corrected judgements as anserini-tools has them: one gold document fewer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{row['id']} 0 {row['gold_ids'][0]} 1\n" for row in examples]
    path.write_text("".join(lines))
    return path


def write_root(folder: Path, id: str, documents: int = 40, **splits: int) -> Path:
    """A BEIR folder of the data root with so many queries a split; returns the root.

    A query has one document of grade 3 and, in the pools of TREC, others that are judged 0.
    """
    random = Random(id)
    docs = {f"d{i}": (sentence(random, 2), sentence(random, 12)) for i in range(documents)}
    texts, qrels = {}, {}
    for split, size in splits.items():
        for i in range(size):
            qid, place = f"{split}{i}", (i * 7) % documents
            words = docs[f"d{place}"][1].split()
            texts[qid] = " ".join([*random.sample(words, 4), random.choice(WORDS)])
            pooled = range(1, 30 if id.startswith("rerank/") else 1)
            judged = {f"d{(place + k) % documents}": 0 for k in pooled}
            qrels.setdefault(split, {})[qid] = {f"d{place}": 3, **judged}
    write_beir(make_collection(id, docs, texts, qrels), folder / id)
    return folder


def write_stack_exchange(folder: Path, questions: int = 40) -> Path:
    """Records of questions and answers (JSON lines, packed) of two sites; returns the folder."""
    random = Random("stack exchange")
    folder.mkdir(parents=True)
    for site in ("https://biology.stackexchange.com", "https://cs.stackexchange.com"):
        rows = [
            {
                "site": site,
                "id": i,
                "title": sentence(random, 5),
                "body": sentence(random, 10),
                "answers": [
                    {"text": sentence(random, 12), "score": k, "accepted": k == i % 2}
                    for k in range(2)
                ],
            }
            for i in range(questions // 2)
        ]
        name = hashlib.sha256(site.encode()).hexdigest()[:8]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return folder
