"""The gold-answer proxy: means of subsets, ways to use a reasoned query, and the data at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Plan
from ir_replications.shared.errors import InputError
from ir_replications.tongsearch_qr.experiments import bright, e2_bright, e3_proxy
from ir_replications.tongsearch_qr.rewriting import released_files
from ir_replications.tongsearch_qr.rewriting.reasoned_files import PROXY
from ir_replications.tongsearch_qr.tests.bright_example import write_lines

WORDS = ("ant", "bog", "tax", "id", "arm", "bug", "bin")


@pytest.fixture
def proxy(tmp_path: Path) -> Path:
    """One question per Stack Exchange subset, two in biology; answers differ in one word."""
    root = tmp_path / "root"
    words = dict(zip(bright.STACK_EXCHANGE, WORDS, strict=True))
    ids = {f"{subset}/0": word for subset, word in words.items()} | {"biology/1": "bee"}
    folder = root / PROXY
    write_lines(
        folder / "corpus.jsonl", [{"_id": k, "text": f"the {w} answer"} for k, w in ids.items()]
    )
    # Every question asks for its own answer but biology/1, which names that of economics.
    asked = {**ids, "biology/1": words["economics"]}
    write_lines(folder / "queries.jsonl", [{"_id": f"{k}#q", "text": w} for k, w in asked.items()])
    (folder / "qrels").mkdir()
    judged = "".join(f"{key}#q\t{key}\t1\n" for key in ids)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    for subset in bright.STACK_EXCHANGE:
        own = {key.partition("/")[2]: word for key, word in ids.items() if key.startswith(subset)}
        for name in released_files.MAPS:
            rows_of = [{"_id": k, "text": f"{w} answer"} for k, w in own.items()]
            write_lines(root / "bright" / subset / "reasoned" / f"{name}.jsonl", rows_of)
    return root


def test_proxy_means_and_ways_to_use_a_reasoned_query(proxy: Path) -> None:
    context = Context(proxy, download=False)
    means = {}
    for config in e3_proxy.cells(Plan("small", (PROXY,))):
        outcome = e3_proxy.run(config, context)
        assert outcome.scores is not None
        assert set(outcome.facts["per_subset"]) == set(bright.STACK_EXCHANGE)
        key = config["queries"], config.get("mode"), config["system"], config["analyzer"]
        means[key] = outcome.scores.means[e3_proxy.MEAN]
        if config["queries"] == "original":
            assert outcome.facts["per_subset"]["biology"] == 0.5
            # Six subsets have 1 and biology 0.5: the mean of subsets is not that of 8 queries.
            assert outcome.scores.means[e3_proxy.MEAN] == pytest.approx(6.5 / 7)
            assert outcome.scores.means["nDCG@10"] == pytest.approx(7 / 8)
    assert means["tongsearch-qr-7b", "replace", "bm25q", "lucene"] == 1.0
    appended = means["tongsearch-qr-7b", "append", "bm25q", "lucene"]
    assert appended < 1.0, "the word of the original query is still there"
    assert len(means) == 3 * 6 + 3 + 2 * 6


def test_proxy_queries_are_needed_by_name(proxy: Path) -> None:
    (proxy / "bright/robotics/reasoned/tongsearch-qr-7b.jsonl").unlink()
    config = next(
        c for c in e3_proxy.cells(Plan("small", (PROXY,))) if c["queries"] == "tongsearch-qr-7b"
    )
    with pytest.raises(InputError, match=r"robotics.reasoned: expected tongsearch-qr-7b.jsonl"):
        e3_proxy.run(config, Context(proxy, download=False))


def test_pydocs_has_original_and_instructed_queries_only() -> None:
    configs = e3_proxy.cells(Plan("embedded", ("pydocs",)))
    assert [(c["system"], c["queries"]) for c in configs] == [
        (system, queries)
        for system in ("bm25q", "bm25", "bmx")
        for queries in ("original", "instructions + original")
    ]
    assert e3_proxy.cells(Plan("paper", e2_bright.COLLECTIONS)) == []


def test_split_at_dots() -> None:
    texts = ["see e.g. example.com, at 1,000 or 3.5", "the fox's dens"]
    found = list(e3_proxy.split_at_dots(texts))
    assert found == [["see", "e", "g", "exampl", "com", "1", "000", "3", "5"], ["fox", "den"]]


def test_proxy_numbers_of_the_data_at_hand(data_root: Path) -> None:
    """Within 1 point of numbers measured by other code with an approximate analyzer."""
    reference = {"bm25q": 76.95, "bm25": 71.72}
    context = Context(data_root, download=False)
    for config in e3_proxy.cells(Plan("small", (PROXY,))):
        chosen = config["analyzer"] == "lucene" and config["queries"] == "original"
        if chosen and config["system"] in reference:
            outcome = e3_proxy.run(config, context)
            assert outcome.scores is not None
            found = 100 * outcome.scores.means[e3_proxy.MEAN]
            assert found == pytest.approx(reference[config["system"]], abs=1.0)
            assert outcome.facts["queries"] == 749
