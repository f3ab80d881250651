"""The collections of each tier and the ways their text becomes tokens."""

from __future__ import annotations

# BEIR's public 15 in the order of the BM25 benchmark table; CQADupStack counts as the mean of 12.
CQADUPSTACK = tuple(
    f"beir/cqadupstack-{forum}"
    for forum in (
        "android",
        "english",
        "gaming",
        "gis",
        "mathematica",
        "physics",
        "programmers",
        "stats",
        "tex",
        "unix",
        "webmasters",
        "wordpress",
    )
)
BEIR = (
    "beir/arguana",
    *CQADUPSTACK,
    "beir/climate-fever",
    "beir/dbpedia",
    "beir/fiqa",
    "beir/fever",
    "beir/hotpotqa",
    "beir/msmarco",
    "beir/nfcorpus",
    "beir/nq",
    "beir/quora",
    "beir/scidocs",
    "beir/scifact",
    "beir/trec-covid",
    "beir/touche2020",
)
BRIGHT = tuple(
    f"bright/{subset}"
    for subset in (
        "biology",
        "earth_science",
        "economics",
        "psychology",
        "robotics",
        "stackoverflow",
        "sustainable_living",
        "leetcode",
        "pony",
        "aops",
        "theoremqa_questions",
        "theoremqa_theorems",
    )
)
SMALL = (
    "beir/scifact",
    "beir/nfcorpus",
    "classic/cranfield",
    "classic/cacm",
    "classic/npl-vaswani",
    "classic/adi",
)

# The five of the authors' multilingual table, and how each is cut into tokens: the announcement
# names no tokenizer, so what is written without blanks is cut in several ways.
JAPANESE = "multilingual/jaquad-mteb"
PRINTED_LANGUAGES: dict[str, tuple[str, ...]] = {
    "multilingual/mmarco-zh": ("characters", "bigrams"),
    JAPANESE: ("characters", "bigrams", "janome"),
    "multilingual/ko-strategyqa": ("characters", "bigrams"),
    "multilingual/germandpr": ("baguetter-german",),
    "multilingual/fquad": ("baguetter-french",),
}

# Beside them, four languages that have Snowball stemmers and stop words.
MULTILINGUAL = {
    "miracl/de": "german",
    "miracl/es": "spanish",
    "miracl/fr": "french",
    "miracl/ru": "russian",
}

# Asked beside SMALL where a mean over many collections is (E3): near a data set of the paper's
# (ArguAna rebuilt from its raw corpus; JaQuAD as mteb builds it), a proxy (bright-goldanswer:
# questions and their own answers), and pools of other retrievers' results in place of a corpus.
FURTHER = (
    "derived/arguana-rebuilt",
    JAPANESE,
    "derived/bright-goldanswer",
    "derived/msmarco-mini",
    "rerank/dl19",
    "rerank/dl21",
)

# Posts of BRIGHT's forums as the released TongSearch-QR models rewrote them.
REASONED = {"derived/bright-goldanswer": ("tongsearch-qr-1.5b", "tongsearch-qr-7b")}

COLLECTIONS = {
    "embedded": ("pydocs",),
    "small": SMALL,
    "paper": (*BEIR, *BRIGHT, *PRINTED_LANGUAGES, *MULTILINGUAL),
}

# Authors' preprocessing with and without titles (their scripts disagree on titles), then the two
# analyzers whose BM25 numbers others have published.
ANALYZERS = (
    ("baguetter", "newline"),
    ("baguetter", "omit"),
    ("bm25s", "space"),
    ("lucene", "space"),
)


def analyzers(collection: str) -> tuple[tuple[str, str], ...]:
    """(analyzer, title handling) pairs for a collection; other languages have no English ones."""
    if cut := PRINTED_LANGUAGES.get(collection):
        return tuple((analyzer, "newline") for analyzer in cut)
    if language := MULTILINGUAL.get(collection):
        return ((f"baguetter-{language}", "newline"), (f"baguetter-{language}", "omit"))
    return ANALYZERS


def reference_analyzer(collection: str) -> str:
    """The authors' preprocessing in the collection's language, where it has one.

    Japanese has none: there "lucene" takes every Han character and hiragana for a token.
    """
    return "lucene" if collection == JAPANESE else analyzers(collection)[0][0]


def is_english(collection: str) -> bool:
    """Whether the analyzers made for English read it."""
    return collection not in PRINTED_LANGUAGES and collection not in MULTILINGUAL
