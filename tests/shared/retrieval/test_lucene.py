"""The analyzer "lucene" and BM25 "lucene" against Lucene itself, where pyserini is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

import ir_replications.shared.retrieval.lucene
from ir_replications.shared.analysis import tokenize, tokenize_queries
from ir_replications.shared.data import load_collection, load_pydocs, make_collection
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.retrieval.bm25 import BM25
from ir_replications.shared.retrieval.lucene import INSTALL, LuceneBM25, lucene_tokens
from ir_replications.shared.retrieval.search import search

needs_lucene = pytest.mark.skipif(
    importlib.util.find_spec("pyserini") is None, reason=f"needs pyserini: {INSTALL}"
)

ODD = [
    "",
    "the of and",
    "The quick brown fox's running quickly!",
    "don't O'Neil's U.S.A.'s dogs' DOG'S fox\u2019s it's The's",
    "3.14 1,000.5 2;3 1.2.3. v1.0 a:b C++ x,y me@site.org http://a.b/c_d?e=f#g",
    "snake_case __init__ _ ___ a_1_b 10\u202f000 \u00b5m",
    "geology psychology assembly as bs us y's",
    "caf\u00e9 na\u00efve \u00dcber \u0130stanbul \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "\u65e5\u672c\u8a9e \u30ab\u30bf\u30ab\u30ca \u3072\u3089 \ud55c\uad6d\uc5b4 \uff11\uff12",
    "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22",
    "\u05e6\u05d4\u05f4\u05dc \u0627\u0644\u0644\u063a\u0629",
    "\U0001f600 \U0001f1e9\U0001f1ea 1\ufe0f\u20e3 \u2764\ufe0f \u2605 x\u00b8y",
    "x" * 600 + " y",
    "a" * 254 + ".b " + "a" * 253 + ".b",
    "_" * 100 + "x " + "1." * 300,
]


def _agreement(texts: list[str]) -> tuple[float, list[str]]:
    """Share of texts with equal token streams, and the texts that differ."""
    ours = tokenize(texts, "lucene")
    differ = [text for text, mine in zip(texts, ours, strict=True) if lucene_tokens(text) != mine]
    return 1 - len(differ) / max(1, len(texts)), differ


def test_absence_is_told_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ir_replications.shared.retrieval.lucene._java.cache_clear()
    monkeypatch.setattr(ir_replications.shared.retrieval.lucene, "_jar", lambda: None)
    try:
        with pytest.raises(MissingDependencyError) as raised:
            LuceneBM25().index(_toy())
    finally:
        ir_replications.shared.retrieval.lucene._java.cache_clear()
    assert str(raised.value).endswith(INSTALL) and "\n" not in str(raised.value)


def test_bad_calls() -> None:
    with pytest.raises(InputError, match="k1 = -1"):
        LuceneBM25(k1=-1)
    with pytest.raises(InputError, match="nothing is indexed"):
        LuceneBM25().search({"q": "fox"})


def _toy():  # type: ignore[no-untyped-def]
    documents = {"d1": ("Foxes", "A fox runs."), "d2": ("", "Two dogs"), "d3": ("", "A fox runs.")}
    return make_collection("toy/fox", documents, {"q": "fox"}, {"test": {"q": {"d1": 1}}})


@needs_lucene
def test_odd_texts_have_equal_token_streams() -> None:
    assert [lucene_tokens(text) for text in ODD] == list(tokenize(ODD, "lucene"))


@needs_lucene
def test_embedded_collection_has_equal_token_streams() -> None:
    rate, differ = _agreement(load_pydocs().contents("newline"))
    assert rate == 1, differ[:3]


def _sample(data_root: Path) -> Iterator[str]:
    for name in ("beir/scifact", "beir/nfcorpus", "classic/cacm", "derived/bright-goldanswer"):
        collection = load_collection(name, data_root=data_root)
        yield from collection.contents("newline")
        yield from collection.queries.values()


@needs_lucene
def test_real_text_has_equal_token_streams(data_root: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    texts = list(_sample(data_root))
    plain = [text for text in texts if text.isascii()]
    other = [text for text in texts if not text.isascii()]
    assert len(plain) > 10_000 and len(other) > 1_000
    plain_rate, differ = _agreement(plain)
    other_rate, _ = _agreement(other)
    record_property("agreement_ascii", plain_rate)
    record_property("agreement_other", other_rate)
    print(f"\nequal streams: {plain_rate:.5f} of {len(plain)} ASCII texts, ", end="")
    print(f"{other_rate:.5f} of {len(other)} others")
    assert plain_rate == 1, differ[:3]
    assert other_rate >= 0.999


@needs_lucene
def test_lucene_ranks_in_canonical_order() -> None:
    model = LuceneBM25().index(_toy(), "omit")
    run = model.search({"q": "The fox", "none": "the of zebra", "empty": ""}, k=5)
    model.close()
    assert [docid for docid, _ in run["q"]] == ["d1", "d3"]
    assert run["q"][0][1] == pytest.approx(run["q"][1][1], abs=2e-6) and run["q"][1][1] > 0
    assert run["none"] == run["empty"] == []
    with pytest.raises(InputError, match="nothing is indexed"):
        model.search({"q": "fox"})


# Anserini's own numbers of its flat BEIR baselines: nDCG@10 and R@100.
ANSERINI = {"beir/scifact": (0.6789, 0.9253), "beir/nfcorpus": (0.3218, 0.2457)}


@needs_lucene
@pytest.mark.parametrize("name", ANSERINI)
def test_effectiveness_of_lucene(name: str, data_root: Path) -> None:
    """Ours keeps exact document lengths, Lucene one byte of each: hence not equal but close."""
    collection = load_collection(name, data_root=data_root)
    topics, measures = collection.topics("test"), ("nDCG@10", "R@100")
    lucene = LuceneBM25().index(collection)
    theirs = lucene.search(topics, k=100)
    lucene.close()
    means = evaluate(theirs, collection.qrels["test"], measures).means
    assert tuple(round(value, 4) for value in means.values()) == ANSERINI[name]

    model = BM25("lucene", 0.9, 0.4).index(tokenize(collection.contents("space"), "lucene"))
    queries = dict(zip(topics, tokenize_queries(list(topics.values()), "lucene"), strict=True))
    ours = search(model, collection.doc_ids, queries, k=100, drop_own_id=False)
    our_means = evaluate(ours, collection.qrels["test"], measures).means
    overlaps = [
        len({d for d, _ in theirs[qid][:10]} & {d for d, _ in ours[qid][:10]})
        / len(theirs[qid][:10])
        for qid in topics
        if theirs[qid]
    ]
    overlap = sum(overlaps) / len(overlaps)
    print(f"\n{name}: Lucene {means}, ours {our_means}, top-10 overlap {overlap:.4f}")
    assert our_means["nDCG@10"] == pytest.approx(means["nDCG@10"], abs=0.002)
    assert overlap >= 0.95
    assert {q for q in topics if theirs[q]} == {q for q in topics if ours[q]}
