"""Training pairs: labels by hand, balance and determinism for any input, real counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_replications.shared.data import Collection, load_collection, make_collection
from ir_replications.shared.data.pools import pools
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.reranking import first_stage
from ir_replications.shared.retrieval.runs import Run
from ir_replications.shared.training.near_duplicates import near_duplicates
from ir_replications.shared.training.pairs import (
    SOURCES,
    Pair,
    Source,
    balanced,
    groups,
    labelled_pairs,
    training_pairs,
)


@pytest.fixture
def graded() -> Collection:
    """Query q: a is relevant, b related, c not; d and e unjudged, f without a text."""
    return make_collection(
        "toy",
        {**{docid: (f"title {docid}", f"text {docid}") for docid in "abcde"}, "f": ("", " ")},
        {"q": "which one", "e": "another thing", "t": "held out"},
        {
            "train": {"q": {"a": 2, "b": 1, "c": 0, "f": 2}, "e": {"e": 2, "a": 2}},
            "test": {"t": {"a": 1}},
        },
    )


RUN: Run = {"q": [(docid, -float(i)) for i, docid in enumerate("abcdef")], "e": [("e", 2.0)]}


def labels(pairs: list[Pair]) -> dict[tuple[str, str], int]:
    return {(pair.qid, pair.docid): pair.label for pair in pairs}


# ---- Labels


def test_unjudged_candidates_are_negatives(graded: Collection) -> None:
    notes: list[str] = []
    pairs = labelled_pairs(graded, RUN, Source(), notes=notes)
    assert labels(pairs) == {("q", "a"): 1, ("q", "b"): 1, ("q", "d"): 0, ("q", "e"): 0}
    assert pairs[0] == Pair("q", "a", "which one", "title a text a", 1)
    assert notes == [
        "toy train: 2 queries, 0 left out, 1 with both labels; 2 of 5 relevant documents "
        "(grade 1 and above, retrieved), 2 negatives (unjudged candidates); 0 documents of lower "
        "grades and 1 without text passed over"
    ]


def test_judged_negatives_and_a_threshold(graded: Collection) -> None:
    """Grade 1 is neither: TREC's related passages."""
    notes: list[str] = []
    source = Source(positive_from=2, negatives="judged")
    assert labels(labelled_pairs(graded, RUN, source, notes=notes)) == {
        ("q", "a"): 1,
        ("q", "c"): 0,
    }
    assert "1 documents of lower grades" in notes[0]


def test_relevant_documents_that_the_first_stage_missed(graded: Collection) -> None:
    few: Run = {"q": [("d", 1.0), ("b", 0.5)]}
    assert labels(labelled_pairs(graded, few, Source())) == {("q", "b"): 1, ("q", "d"): 0}
    everything = labels(labelled_pairs(graded, few, Source(), positives="judged"))
    # The document that is the query's own is no pair, though it is judged relevant.
    assert everything == {("q", "a"): 1, ("q", "b"): 1, ("q", "d"): 0, ("e", "a"): 1}


def test_queries_left_out(graded: Collection) -> None:
    run: Run = {**RUN, "e": [("a", 2.0), ("b", 1.0)]}
    pairs = labelled_pairs(graded, run, Source(), leave_out={"q"})
    assert labels(pairs) == {("e", "a"): 1, ("e", "b"): 0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": Source(negatives="random")}, "negatives 'random', positives 'retrieved'"),
        ({"positives": "some"}, "positives 'some': expected one of unjudged, judged and one of"),
        ({"source": Source(positive_from=0)}, "relevant from grade 0: expected 1 or more"),
        ({"source": Source(split="dev")}, "toy: no split 'dev'"),
        ({"run": {}}, "toy train: no query has both a relevant and an irrelevant candidate"),
        ({"leave_out": {"q", "e"}}, "no query has both"),
    ],
)
def test_refusals(graded: Collection, changes: dict, message: str) -> None:
    options = {"run": RUN, "source": Source()} | changes
    with pytest.raises(InputError, match=message):
        labelled_pairs(graded, options.pop("run"), options.pop("source"), **options)


@pytest.mark.parametrize("label", [2, -1, True, 0.5, "1"])
def test_other_labels_are_refused(label: int) -> None:
    with pytest.raises(InputError, match="expected 0 or 1; graded judgements need a threshold"):
        Pair("q", "d", "query", "document", label)


# ---- Samples

pair_sets = st.dictionaries(
    st.tuples(st.sampled_from("pqr"), st.integers(0, 9).map(str)),
    st.integers(0, 1),
    min_size=1,
    max_size=30,
).map(lambda found: [Pair(q, d, f"query {q}", f"text {d}", y) for (q, d), y in found.items()])


def couples_of(pairs: list[Pair], per_query: int | None = None) -> Counter[str]:
    """Couples that each query can give."""
    counts = Counter((pair.qid, pair.label) for pair in pairs)
    most = {q: min(counts[q, 0], counts[q, 1], per_query or 99) for q in "pqr"}
    return Counter({q: n for q, n in most.items() if n})


@given(pair_sets, st.integers(0, 5), st.none() | st.integers(1, 3), st.randoms())
def test_balanced_for_any_pairs(pairs: list[Pair], seed: int, most: int | None, mix) -> None:  # type: ignore[no-untyped-def]
    possible = couples_of(pairs, most)
    if not possible:
        with pytest.raises(InputError, match="1 couples wanted, 0 can be made"):
            balanced(pairs, seed, per_query=most)
        return
    chosen = balanced(pairs, seed, per_query=most)
    for relevant, negative in zip(chosen[::2], chosen[1::2], strict=True):
        assert (relevant.label, negative.label) == (1, 0)
        assert relevant.qid == negative.qid
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(pairs)
    assert Counter(pair.qid for pair in chosen[::2]) == possible
    shuffled = list(pairs)
    mix.shuffle(shuffled)
    assert balanced(shuffled, seed, per_query=most) == chosen


def many() -> list[Pair]:
    """50 queries of 4 relevant documents and 10 others, and one of 1 and 2."""
    found = [Pair(f"q{i:02}", f"d{j}", "", "", int(j < 4)) for i in range(50) for j in range(14)]
    return [*found, *(Pair("small", f"d{j}", "", "", int(j < 1)) for j in range(3))]


def test_every_query_gives_one_couple_before_any_gives_two() -> None:
    assert max(Counter(p.qid for p in balanced(many(), 1, size=102)).values()) == 2
    notes: list[str] = []
    chosen = balanced(many(), 1, size=160, notes=notes)
    counts = Counter(pair.qid for pair in chosen)
    assert len(chosen) == 160
    assert (counts.pop("small"), set(counts.values())) == (2, {2, 4})
    assert notes == ["80 pairs of each label, from 51 queries, seed 1"]
    assert chosen != balanced(many(), 2, size=160)
    assert [pair.qid for pair in chosen] != sorted(pair.qid for pair in chosen), "random order"


def test_groups_by_hand() -> None:
    notes: list[str] = []
    made = groups(many(), 3, negatives=7, notes=notes)
    assert len(made) == 50 * 4
    for group in made:
        assert [pair.label for pair in group] == [1] + [0] * 7
        assert len(set(group)) == 8
        assert len({pair.qid for pair in group}) == 1
    assert len({group[0] for group in made}) == 200, "every relevant document once"
    assert len({frozenset(group[1:]) for group in made if group[0].qid == "q00"}) > 1
    assert notes == [
        "200 groups of 1 + 7, from 50 queries, seed 3; 1 queries have fewer than 7 negatives"
    ]
    assert len(groups(many(), 3, negatives=2)) == 201
    assert len({g[0].qid for g in groups(many(), 3, negatives=7, size=50)}) == 50
    assert len(groups(many(), 3, per_query=1)) == 50
    assert groups(list(reversed(many())), 3) == made != groups(many(), 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: balanced(many(), 0, size=3), "size 3: expected an even number"),
        (lambda: balanced(many(), 0, size=0), "size 0: expected an even number"),
        (lambda: balanced(many(), 0, size=404), "202 couples wanted, 201 can be made; ask for"),
        (lambda: balanced(many(), 0, per_query=0), "couples per query: expected at least 1, got 0"),
        (lambda: groups(many(), 0, negatives=0), "negatives 0, size None: expected at least 1"),
        (lambda: groups(many(), 0, size=0), "size 0: expected at least 1"),
        (lambda: groups(many(), 0, size=201), "201 groups wanted, 200 can be made; ask for fewer"),
        (lambda: groups(many(), 0, negatives=11), "1 groups wanted, 0 can be made"),
    ],
)
def test_sizes_that_cannot_be(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        make()


# ---- Near-duplicates are left out


def test_training_pairs_leave_near_duplicates_out(graded: Collection) -> None:
    run: Run = {**RUN, "e": [("a", 2.0), ("b", 1.0)]}
    assert {pair.qid for pair in training_pairs(graded, run)} == {"q", "e"}
    elsewhere = [{"1": "nothing alike"}, {"2": "Other things"}]
    assert {pair.qid for pair in training_pairs(graded, run, held_out=elsewhere)} == {"q", "e"}
    notes: list[str] = []
    pairs = training_pairs(graded, run, held_out=[{"1": "another thing!"}], notes=notes)
    assert {pair.qid for pair in pairs} == {"q"}
    assert "2 queries, 1 left out" in notes[0]


def test_the_collections_own_other_splits_are_held_out() -> None:
    documents = {docid: ("", f"text {docid}") for docid in "ab"}
    qrels = {name: {name: {"a": 1}} for name in ("one", "two", "three")}
    queries = {"one": "iron and milk", "two": "zinc in salt", "three": "Salt in zinc?"}
    collection = make_collection(
        "toy", documents, queries,
        {"train": qrels["one"] | qrels["two"], "test": qrels["three"]},
    )  # fmt: skip
    run: Run = {qid: [("a", 2.0), ("b", 1.0)] for qid in queries}
    assert {pair.qid for pair in training_pairs(collection, run)} == {"one"}
    # Two splits of the same queries are one set judged twice, as in a pool.
    again = make_collection("toy", documents, queries, {"test": qrels["one"], "full": qrels["one"]})
    assert len(training_pairs(again, run, source=Source(split="test"))) == 2


# ---- The data at hand

EXPECTED = {  # queries left out, queries with both labels, relevant documents taken, negatives
    "beir/nfcorpus": (311, 1697, 13469, 137604),
    "beir/scifact": (159, 611, 684, 64243),
    "rerank/dl21": (0, 49, 879, 976),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_counts_of_the_collections(data_root: Path, name: str) -> None:
    """A fifth of SciFact's training claims are reworded or negated test claims."""
    if not (data_root / name).is_dir() or not (data_root / "rerank" / "dl19").is_dir():
        pytest.skip(f"no {name} or no rerank/dl19 in the data root")
    collection = load_collection(name, data_root=data_root)
    test = load_collection("rerank/dl19", data_root=data_root).topics("test")
    if name.startswith("rerank"):
        run = pools(data_root / name)["BM25"]
    else:
        run = first_stage(collection, "train", "bm25", 100, k1=0.9, b=0.4)
    notes: list[str] = []
    pairs = training_pairs(collection, run, held_out=[test], notes=notes)
    left_out, both, relevant, negatives = EXPECTED[name]
    assert f", {left_out} left out, {both} with both labels; {relevant} of" in notes[0]
    assert Counter(pair.label for pair in pairs) == {1: relevant, 0: negatives}
    judged = collection.qrels[SOURCES[name].split]
    grades = Counter((pair.label, judged[pair.qid].get(pair.docid)) for pair in pairs)
    expected = {(0, 0), (1, 2), (1, 3)} if name == "rerank/dl21" else {(0, None), (1, 1)}
    assert set(grades) == expected


def test_pydocs() -> None:
    pydocs = load_collection("pydocs")
    run = first_stage(pydocs, "train", "bm25", 50, k1=0.9, b=0.4)
    pairs = training_pairs(pydocs, run)
    taken = {pair.qid for pair in pairs}
    left_out = pydocs.topics("train").keys() - taken
    assert len(left_out) > 0.3 * len(taken), "summaries follow templates: many are alike"
    training = {qid: pydocs.queries[qid] for qid in taken}
    for split in ("dev", "test"):
        assert near_duplicates(training, pydocs.topics(split)) == []
    assert len(balanced(pairs, 0, size=200)) == 200
    assert len(groups(pairs, 0, size=100)) == 100
