"""Words and sentences, the same in every process, for collections and for tokenizers to learn."""

from __future__ import annotations

from random import Random

SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "pra", "sto", "ter", "vin", "wex", "yol", "zud")
WORDS = tuple(a + b for a in SYLLABLES for b in SYLLABLES if a != b)


def sentence(random: Random, words: int) -> str:
    """So many of WORDS, drawn one by one."""
    return " ".join(random.choices(WORDS, k=words))


def corpus(lines: int = 200) -> list[str]:
    """Sentences for a tokenizer to learn from."""
    random = Random(0)
    return [sentence(random, 8) for _ in range(lines)]
