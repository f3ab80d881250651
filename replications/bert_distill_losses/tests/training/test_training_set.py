"""The groups: what may be in them, equal shares of sources, epochs, determinism, real counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_replications.bert_distill_losses.tests.training.toy_collections import toy_source
from ir_replications.bert_distill_losses.training.training_set import TrainingSet, training_set
from ir_replications.engine.context import Context
from ir_replications.engine.first_stages import candidate_run
from ir_replications.shared.errors import InputError


def made(**changes: Any) -> TrainingSet:
    """24 groups of 1 + 3 of one toy source, or what `changes` ask for."""
    wanted: dict[str, Any] = {"groups": 24, "negatives": 3, "seed": 1} | changes
    return training_set(wanted.pop("sources", [toy_source()]), **wanted)


def texts(set: TrainingSet, row: int) -> list[str]:
    return [set.documents[column] for column in set.groups[row]]


# ---- What is in a group


def test_column_0_is_relevant_and_the_others_are_not() -> None:
    set = made(groups=60)
    for row in range(len(set)):
        i = set.queries[set.query[row]].split()[-1]
        first, *others = texts(set, row)
        assert first in {f"title toy text {i} 0", f"title toy text {i} 1"}
        # Not 2 (judged), not 0 and 1, nor document 9 with the text of 0; 7 and 8 are one text.
        assert {*others} <= {f"title toy text {i} {j}" for j in (3, 4, 5, 6, 7)}
        assert len({*others}) == 3
    assert set.labelled.all()
    assert set.query.dtype == set.groups.dtype == np.int32
    assert "12 negatives with the text of another document passed over" in set.notes[-1]


def test_a_relevant_document_that_was_not_retrieved_counts_only_where_asked_for() -> None:
    assert not any(text.startswith("missed") for text in made().documents)
    assert any(text.startswith("missed") for text in made(positives="judged").documents)


def test_only_the_first_candidates_count() -> None:
    set = made(candidates=5, negatives=2)
    assert {text.split()[-1] for text in set.documents} == {"0", "1", "3", "4"}


def test_unlabelled_groups_are_distinct_candidates_of_any_grade() -> None:
    set = made(groups=400, unlabelled=0.25)
    assert (~set.labelled).sum() == 100
    free = [texts(set, row) for row in np.flatnonzero(~set.labelled).tolist()]
    assert all(len({*group}) == 4 for group in free)
    assert {group[0].split()[-1] for group in free} == set_of_digits(8)  # 0 to 7: every text
    assert Counter(set.query[~set.labelled].tolist()).most_common()[-1][1] >= 100 // 6
    # They do not come in one block.
    assert 0 < (~set.labelled[:200]).sum() < 100


def set_of_digits(stop: int) -> set[str]:
    return {str(digit) for digit in range(stop)}


def test_every_group_unlabelled() -> None:
    assert not made(unlabelled=1.0).labelled.any()


# ---- Sources and epochs


def test_sources_give_equal_shares_in_turn_and_small_ones_start_again() -> None:
    set = made(sources=[toy_source("small", 1), toy_source("large", 20)], groups=41, negatives=2)
    assert set.sources == ("small", "large")
    assert set.source.tolist() == [0, 1] * 20 + [0]
    assert all((set.queries[q].split()[0] == "small") == (s == 0)
               for q, s in zip(set.query, set.source, strict=True))  # fmt: skip
    positives = Counter(set.groups[set.source == 0, 0].tolist())
    assert sorted(positives.values()) == [10, 11]  # 21 groups of 2 relevant documents
    negatives = {tuple(sorted(group[1:])) for group in set.groups[set.source == 0].tolist()}
    assert len(negatives) > 5  # of 10 couples: drawn anew every epoch
    assert any("2 relevant documents of 1 queries have 2 negatives; 21 labelled groups in 10.50 "
               "epochs" in note for note in set.notes)  # fmt: skip


def test_an_epoch_takes_every_relevant_document_once() -> None:
    counts = Counter(made(groups=12).groups[:, 0].tolist())
    assert len(counts) == 12


def test_queries_near_held_out_ones_are_left_out() -> None:
    assert "toy beta 1" in made(groups=60).queries
    near = made(groups=60, held_out=iter([{"x": "beta 1 toy"}]))
    assert "toy beta 1" not in near.queries
    everywhere = made(groups=60, held_out=[{"x": "beta 1 toy"}], unlabelled=1.0)
    assert "toy beta 1" not in everywhere.queries


# ---- Determinism


def test_equal_requests_give_equal_sets() -> None:
    one, other = made(unlabelled=0.5), made(unlabelled=0.5)
    assert one.sha256 == other.sha256 and (one.groups == other.groups).all()
    assert made(seed=2, unlabelled=0.5).sha256 != one.sha256


def test_the_order_of_the_run_and_of_its_queries_does_not_matter() -> None:
    collection, split, run = toy_source()
    turned = {qid: found[::-1] for qid, found in reversed(run.items())}
    assert made(sources=[(collection, split, turned)], unlabelled=0.5).sha256 == (
        made(unlabelled=0.5).sha256
    )


@pytest.mark.parametrize("name", ["query", "groups", "labelled", "source"])
def test_sha256_depends_on_every_array(name: str) -> None:
    set = made()
    array = getattr(set, name).copy()
    array[0] = 1 - array[0]
    assert replace(set, **{name: array}).sha256 != set.sha256
    assert replace(set, notes=("other",)).sha256 == set.sha256


def test_couples_are_distinct_and_do_not_know_columns() -> None:
    set = made(groups=100)
    by_hand = sorted(
        {(int(q), int(d)) for q, ds in zip(set.query, set.groups, strict=True) for d in ds}
    )
    assert set.couples.tolist() == [list(couple) for couple in by_hand]
    turned = replace(set, groups=set.groups[::-1, ::-1], query=set.query[::-1])
    assert turned.couples_sha256 == set.couples_sha256 and turned.sha256 != set.sha256
    fewer = set.subset(np.arange(10))
    assert fewer.couples_sha256 != set.couples_sha256 and len(fewer) == 10


# ---- Refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": []}, "no collection"),
        ({"groups": 0}, "groups 0"),
        ({"negatives": 0}, "negatives 0"),
        ({"candidates": 0}, "candidates 0"),
        ({"unlabelled": 1.1}, "unlabelled 1.1"),
        ({"unlabelled": float("nan")}, "unlabelled nan"),
        ({"negatives": 6}, "toy train: no relevant document has 6 negatives"),
        ({"positives": "all"}, "positives 'all'"),
        ({"sources": [(toy_source()[0], "dev", {})]}, "no split 'dev'"),
        ({"sources": [(toy_source()[0], "train", {})]}, "no query has both"),
        ({"sources": [(toy_source()[0], "train", {"q0": [("x", 1.0)]})]}, "not in toy"),
    ],
)
def test_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        made(**changes)
    assert "\n" not in str(caught.value)


def test_arrays_that_do_not_fit_are_refused() -> None:
    set = made()
    with pytest.raises(InputError, match="training set: groups"):
        replace(set, source=set.source[1:])
    with pytest.raises(InputError, match="at least one group"):
        set.subset(np.zeros(len(set), bool))


# ---- Real data


def test_real_judged_pool(data_root: Path) -> None:
    if not (data_root / "rerank" / "dl21").is_dir():
        pytest.skip("no rerank/dl21 in the data root")
    context = Context(data_root)
    collection = context.collection("rerank/dl21")
    source = (collection, "test", candidate_run("rerank/dl21", "test", context))
    set = training_set([source], groups=1000, negatives=1, seed=1)
    assert len(set) == 1000
    assert any("844 relevant documents of 49 queries have 1 negatives" in n for n in set.notes)
    grades: dict[tuple[str, str], int] = {}
    by_id = dict(zip(collection.doc_ids, collection.contents("space"), strict=True))
    for qid, judged in collection.qrels["test"].items():
        for docid, grade in judged.items():
            key = collection.queries[qid], by_id[docid]
            grades[key] = max(grade, grades.get(key, grade))  # of copies the best
    for query, (relevant, other) in zip(set.query, set.groups, strict=True):
        assert grades[set.queries[query], set.documents[relevant]] >= 2
        assert grades[set.queries[query], set.documents[other]] <= 0
