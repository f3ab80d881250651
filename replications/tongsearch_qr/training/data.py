"""Training rows of the query reasoner: a question and the documents that answer it.

The rules are those of the released sample_stackexchange.py and build_dataset.py
(bigai-nlco/TongSearch-QR at 1cdf6a4). How the authors chose the answers is not released.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import parse_json
from ir_replications.tongsearch_qr.method.prompts import instructed, messages

DOMAINS = (
    "Stackoverflow", "biology", "chemistry", "codereview", "cs", "earthscience", "economics",
    "math", "robotics",
)  # fmt: skip
PER_DOMAIN = 1200
MAX_CHARACTERS = 16_000
POSITIVES = ("accepted", "best", "all")


@dataclass(frozen=True)
class Row:
    """A question, the documents that answer it, and the site or collection it is from."""

    id: str
    query: str
    positives: tuple[str, ...]
    domain: str = ""


def why_unusable(row: Row, *, variant: str = "training") -> str | None:
    """Say why a row cannot be trained on, in words fit for counting; None when it can.

    The authors filter the string that they train on: the question within its instructions, here
    in the words of `variant`. It may not hold ".png" nor be longer than 16,000 characters.
    """
    if not row.query.strip():
        return "empty question"
    if not any(text.strip() for text in row.positives):
        return "no answer"
    if ".png" in row.query:
        return "question with .png"
    if len(instructed(row.query, variant)) > MAX_CHARACTERS:
        return f"question longer than {MAX_CHARACTERS} characters"
    return None


def count_unusable(rows: Iterable[Row], *, variant: str = "training") -> dict[str, int]:
    """Count the rows that `drop_unusable` drops, reason -> number, most frequent first."""
    rows = list(rows)
    reasons = Counter(why for row in rows if (why := why_unusable(row, variant=variant)))
    usable = [row.query for row in rows if why_unusable(row, variant=variant) is None]
    if repeats := len(usable) - len(set(usable)):
        reasons["repeated question"] = repeats
    return dict(reasons.most_common())


def drop_unusable(rows: Iterable[Row], *, variant: str = "training") -> list[Row]:
    """Return the rows that can be trained on, in order, without their empty positives.

    Of rows with the same question one is left, at the place of the first with the positives of
    the last, because the authors' file is a mapping from question to answers. Raises InputError
    when no row is left.
    """
    rows = list(rows)
    kept: dict[str, Row] = {}
    for row in rows:
        if why_unusable(row, variant=variant) is None:
            texts = tuple(text for text in row.positives if text.strip())
            kept[row.query] = Row(row.id, row.query, texts, row.domain)
    if not kept:
        why = ", ".join(f"{n} {what}" for what, n in count_unusable(rows).items()) or "none given"
        raise InputError(f"training rows: none of {len(rows)} is usable ({why}); give others")
    return list(kept.values())


def site_name(address: str) -> str:
    """Return the first label of a site's host: "https://cs.stackexchange.com/q/1" -> "cs"."""
    return address.split("://", 1)[-1].split("/", 1)[0].split(".", 1)[0]


def released_site_name(address: str) -> str:
    """Return the site name as the released sampler finds it, with its fault.

    str.strip takes a set of characters, so letters of "https://" go from the name as well:
    stackoverflow becomes "ackoverflow", which is no domain, and physics "ysics".
    """
    return address.strip("https://").split(".")[0]  # noqa: B005 - the fault to reproduce


def sample_per_domain(
    rows: Iterable[Row],
    per_domain: int = PER_DOMAIN,
    seed: int = 2025,
    domains: Sequence[str] | None = DOMAINS,
    *,
    released: bool = False,
) -> list[Row]:
    """Return at most `per_domain` random rows of each domain, domain by domain.

    Domains are taken in the order of their first rows and drawn from one random stream, as in
    the released script. None for `domains` takes every domain. `released` reproduces its fault:
    names are parsed by `released_site_name` and compared with their case, so that StackOverflow
    is never sampled. Raises InputError when no row is of any of the domains.
    """
    if per_domain < 1:
        raise InputError(f"rows per domain: expected 1 or more, got {per_domain}")
    named: Callable[[str], str] = (
        released_site_name if released else lambda address: site_name(address).casefold()
    )
    wanted = None
    if domains is not None:
        wanted = {name if released else name.casefold() for name in domains}
    groups: dict[str, list[Row]] = {}
    seen: set[str] = set()
    for row in rows:
        name = named(row.domain)
        seen.add(name)
        if row.query and (wanted is None or name in wanted):
            groups.setdefault(name, []).append(row)
    if not groups:
        raise InputError(
            f"no rows of the domains {', '.join(domains or ())}; the rows are of "
            f"{', '.join(sorted(seen)) or 'none'}"
        )
    stream = random.Random(seed)
    chosen: list[Row] = []
    for group in groups.values():
        stream.shuffle(group)
        chosen += group[:per_domain]
    return chosen


def shuffled(rows: Iterable[Row], seed: int = 2024) -> list[Row]:
    """Return the rows in the order of the released builder: random.shuffle after this seed."""
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    return rows


def positives_of(record: Mapping[str, Any], which: str = "best") -> tuple[str, ...]:
    """Return the texts of a Stack Exchange question's answers that serve as its positives.

    "accepted": the answer that the asker accepted, if there is one; "best": that, else the one
    with the highest score (the first of equals); "all": every answer, in the record's order.
    """
    if which not in POSITIVES:
        raise InputError(f"positives {which!r}: expected one of {', '.join(POSITIVES)}")
    answers = [answer for answer in record.get("answers") or () if answer["text"].strip()]
    accepted = [answer for answer in answers if answer.get("accepted")]
    if which == "best" and answers and not accepted:
        accepted = [max(answers, key=lambda answer: answer.get("score") or 0)]
    chosen = answers if which == "all" else accepted[:1]
    return tuple(answer["text"] for answer in chosen)


def question_of(record: Mapping[str, Any]) -> str:
    """Return a Stack Exchange question: title, newline, body (our choice; theirs is not known)."""
    parts = [str(record.get("title") or "").strip(), str(record.get("body") or "").strip()]
    return "\n".join(part for part in parts if part)


def split_rows(
    rows: Iterable[Row], held_out: float | int, seed: int = 0
) -> tuple[list[Row], list[Row]]:
    """Return (training rows, held-out rows), each in the given order, chosen by a hash of the id.

    `held_out` is a share (float, 0 to 1) or a number of rows (int). Neither the order of the
    rows nor, for a share, the other rows change the side of a row. Raises InputError when a side
    would be empty or `held_out` is out of range; 0 holds out nothing.
    """
    rows = list(rows)
    places = [_place(row.id, seed) for row in rows]
    if isinstance(held_out, int):
        if not 0 <= held_out < len(rows):
            raise InputError(f"held-out rows: expected 0 to {len(rows) - 1}, got {held_out}")
        bound = sorted(places)[held_out]
    elif 0 <= held_out < 1:
        bound = held_out
    else:
        raise InputError(f"held-out share: expected 0 or more and less than 1, got {held_out}")
    train = [row for row, place in zip(rows, places, strict=True) if place >= bound]
    held = [row for row, place in zip(rows, places, strict=True) if place < bound]
    if not train or (held_out and not held):
        raise InputError(
            f"held-out {held_out}: leaves {len(train)} of {len(rows)} rows to train on and "
            f"{len(held)} held out; give more rows or another share"
        )
    return train, held


def _place(id: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}\n{id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def shorter_than(
    rows: Iterable[Row], query_words: int, positive_words: int | None = None
) -> list[Row]:
    """Return the rows whose query, and each positive if given, has at most so many words.

    Words are what white space separates. Raises InputError when no row is left.
    """
    rows = list(rows)
    kept = [
        row
        for row in rows
        if len(row.query.split()) <= query_words
        and (
            positive_words is None
            or all(len(text.split()) <= positive_words for text in row.positives)
        )
    ]
    if not kept:
        raise InputError(
            f"training rows: none of {len(rows)} has a question of at most {query_words} words"
            + (f" and answers of at most {positive_words}" if positive_words is not None else "")
        )
    return kept


def training_record(row: Row, variant: str = "training", *, think: bool = False) -> dict[str, Any]:
    """Return the row as the released builder writes it: chat prompt and a JSON answer.

    The "query" of the answer is the question within its instructions: in the released code the
    key of the data file is both the user message and the query of the reward.
    """
    answer = {
        "query": instructed(row.query, variant),
        "pos_docs_list": list(row.positives),
        "think_flag": think,
    }
    return {
        "prompt": messages(row.query, variant, think=think),
        "answer": json.dumps(answer, ensure_ascii=False),
    }


def parse_answer(answer: str) -> tuple[str, tuple[str, ...], bool]:
    """Return (query, positives, think) of a training record's "answer"; a lone text is a list.

    Raises InputError when it is not such JSON.
    """
    fields = parse_json(answer, "training record")
    if not isinstance(fields, dict) or not {"query", "pos_docs_list"} <= set(fields):
        raise InputError(
            "training record: answer is not a JSON object with query and pos_docs_list"
        )
    query, texts = fields["query"], fields["pos_docs_list"]
    texts = [texts] if isinstance(texts, str) else texts
    listed = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    if not isinstance(query, str) or not listed:
        raise InputError("training record: query and pos_docs_list must hold texts")
    think = fields.get("think_flag", False)
    if type(think) is not bool:
        raise InputError("training record: think_flag must be true or false")
    return query, tuple(texts), think
