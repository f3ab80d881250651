"""E7: the published run, judged again in a few lines of our own, and small folders by hand."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from ir_replications.engine.context import Context
from ir_replications.engine.execute import run_job
from ir_replications.engine.experiment import Plan
from ir_replications.engine.jobs import Job
from ir_replications.engine.registry import PAPERS_FOLDER
from ir_replications.reports.claims.reader import load_paper
from ir_replications.shared.data import load_bright_queries
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.tongsearch_qr.experiments import e7_published_runs as e7
from ir_replications.tongsearch_qr.experiments.bright import SUBSETS
from ir_replications.tongsearch_qr.tests.bright_example import SECOND, write_lines, write_root
from tests.cli import Replicate, forget

THIRD = 1 / math.log2(4)
# b/2 is gold for "1"; b/3 (and, corrected, b/1) for "0". Equal scores: trec_eval puts b/3 first.
BIOLOGY = "0 Q0 b/1 1 0.5 x\n0 Q0 b/3 2 0.5 x\n1 Q0 b/9 two 2_0.txt 1 0.9 x\n1 Q0 b/2 2 0.8 x\n"
# l/1 is excluded and l/2 gold, which so moves up to rank 2.
LEETCODE = "0 Q0 l/3 1 0.9 x\n0 Q0 l/1 2 0.8 x\n0 Q0 l/2 3 0.7 x\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with two subsets and a run for each, and no corpus."""
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IR_REPLICATIONS_DATA", raising=False)
    root = write_root(tmp_path / "root")
    for subset, text in {"biology": BIOLOGY, "leetcode": LEETCODE}.items():
        folder = root / "bright" / subset
        (folder / "documents" / "part.jsonl").unlink()
        (folder / "runs").mkdir()
        (folder / "runs" / f"{e7.RUN}.txt").write_text(text)
    return root


def cell(subset: str) -> dict[str, object]:
    (found,) = (c for c in e7.cells(Plan("small", ())) if f"/{subset}/" in c["collection"])
    return found


def test_scores_worked_by_hand(root: Path) -> None:
    biology = e7.run(cell("biology"), Context(root, download=False))
    assert biology.scores is not None and biology.run is None
    assert biology.scores.per_query["nDCG@10"] == pytest.approx({"0": 1.0, "1": SECOND})
    assert biology.scores.means[e7.OTHER_TIES] == pytest.approx(SECOND)
    assert biology.scores.means[e7.FIXED_MEASURE] == pytest.approx((1 + SECOND) / 2)
    assert biology.facts["documents_per_query"] == {"least": 2, "most": 2}
    assert biology.facts["run_sha256"] == hashlib.sha256(BIOLOGY.encode()).hexdigest()
    leetcode = e7.run(cell("leetcode"), Context(root, download=False))
    assert leetcode.scores is not None
    assert leetcode.scores.means["nDCG@10"] == pytest.approx(SECOND) != THIRD
    facts = leetcode.facts
    assert (facts["queries"], facts["queries_with_exclusions"]) == (1, 1)
    assert (facts["excluded"], facts["removed"]) == (2, 1)


def test_other_data_than_the_pinned_is_noted_and_a_changed_run_is_judged_again(
    root: Path, tmp_path: Path
) -> None:
    job = Job("tongsearch_qr", "small", "E7", cell("biology"))
    first, _ = run_job(job, tmp_path / "store", data_root=root)
    again, reused = run_job(job, tmp_path / "store", data_root=root)
    assert reused and again.digest == first.digest
    assert [line[:36] for line in first.provenance["data_mismatch"]] == [
        "bright/biology: queries and judgemen", "bright/biology: the run reasonir_gpt",
    ]  # fmt: skip
    place = root / "bright/biology/runs" / f"{e7.RUN}.txt"
    place.write_text(BIOLOGY.replace("b/9 two 2_0.txt", "b/3"))
    _, reused = run_job(job, tmp_path / "store", data_root=root)
    assert not reused
    (root / "bright/biology/qrels/test.fixed.tsv").write_text("query-id\tcorpus-id\tscore\n0\tx\t1")
    _, reused = run_job(job, tmp_path / "store", data_root=root)
    assert not reused


def _lacks_a_query(folder: Path) -> None:
    (folder / "runs" / f"{e7.RUN}.txt").write_text(BIOLOGY.partition("1 Q0")[0])


def _no_judgements(folder: Path) -> None:
    (folder / "examples.jsonl").unlink()
    rows = ({"_id": qid, "text": "w"} for qid in "01")
    write_lines(folder / "queries.jsonl", rows)


def _other_run(folder: Path) -> None:
    (folder / "SOURCE.json").write_text(json.dumps({"run": {"sha256": "0" * 64}}))


def _other_examples(folder: Path) -> None:
    (folder / "SOURCE.json").write_text(json.dumps({"examples_md5": "0" * 32}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_lacks_a_query, r"reasonir_gpt4cot_top100.txt: no results for 1 of 2 queries: 1;"),
        (_no_judgements, r"biology: no judgements; put examples.jsonl or qrels/test.tsv there"),
        (_other_run, r"reasonir_gpt4cot_top100.txt: its sha256 is .*, SOURCE.json states 0000"),
        (_other_examples, r"examples.jsonl: its md5 is .*, SOURCE.json states 0000"),
    ],
)
def test_bad_input_is_one_line(root: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(root / "bright" / "biology")
    with pytest.raises(InputError, match=message) as caught:
        e7.run(cell("biology"), Context(root))
    assert "\n" not in str(caught.value)


def test_right_checksums_are_accepted(root: Path) -> None:
    folder = root / "bright" / "biology"
    examples = (folder / "examples.jsonl").read_bytes()
    stated = {
        "examples_md5": hashlib.md5(examples).hexdigest(),
        "run": {"sha256": hashlib.sha256(BIOLOGY.encode()).hexdigest(), "repo": "r"},
    }
    (folder / "SOURCE.json").write_text(json.dumps(stated))
    assert e7.run(cell("biology"), Context(root)).scores is not None


def test_subsets_without_a_run_are_left_out(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replicate = Replicate(capsys)
    command = ("run", "tongsearch_qr", "--tier", "small", "--experiment", "E7", "--store",
               tmp_path / "store", "--no-download")  # fmt: skip
    result = replicate(*command, "--data-root", root)
    assert result.status == 0, result
    assert "10 of 12 cells left out" in result.err and "2 cells: 2 run" in result.out
    one = replicate(*command, "--data-root", root, "--collection", "bright/leetcode/runs")
    assert one.status == 0 and "1 cells: 0 run, 1 kept" in one.out
    line = replicate.refused(*command)
    assert "bright/biology/runs: no such folder, not in the data root (none is set)" in line
    forget()
    with pytest.raises(MissingDependencyError, match="not in the data root"):
        e7.run(cell("pony"), Context(root))


def test_the_pinned_runs_and_columns_are_the_twelve_subsets() -> None:
    assert list(e7.RUN_SHA256) == list(SUBSETS)
    assert e7.cells(Plan("paper", e7.COLLECTIONS)) == e7.cells(Plan("embedded", ())) == []
    assert e7.cells(Plan("small", ("beir/scifact",), chosen=True)) == []
    paper = load_paper(PAPERS_FOLDER / "tongsearch_qr")
    (table,) = (t for t in paper.tables if t.id == "bright-published-run")
    assert {c.over for c in table.columns if c.over} == {e7.COLLECTIONS}
    checks = {c.id: c.check for c in paper.claims if c.id.startswith("E7")}
    assert {c.over["small"] for c in checks.values() if c.over} == {e7.COLLECTIONS}
    main = {row.label: row.values for t in paper.tables if t.id == "bright-main" for row in t.rows}
    assert table.rows[0].values[:13] == main["ReasonIR, GPT-4"]
    assert checks["E7-mean"].value == main["ReasonIR, GPT-4"][0]
    assert checks["E7-stackoverflow"].value == main["ReasonIR, GPT-4"][6]
    assert checks["E7-margin"].subtract_from == main["ReasonIR, TongSearch QR-7B"][0]
    assert checks["E7-margin"].value == pytest.approx(31.9 - 29.9)


def ndcg(path: Path, gold: dict[str, set[str]], hidden: dict[str, frozenset[str]]) -> float:
    """Mean nDCG@10 of a run file from its lines alone: score, then document id, descending."""
    found: dict[str, list[tuple[float, str]]] = {}
    for line in path.read_text().splitlines():
        qid, _, rest = line.split(" ", 2)
        document, _, score, _ = rest.rsplit(" ", 3)
        if document not in hidden.get(qid, ()):
            found.setdefault(qid, []).append((float(score), document))
    total = 0.0
    for qid, relevant in gold.items():
        best = [document for _, document in sorted(found[qid], reverse=True)[:10]]
        gain = sum(1 / math.log2(i + 2) for i, document in enumerate(best) if document in relevant)
        total += gain / sum(1 / math.log2(i + 2) for i in range(min(10, len(relevant))))
    return total / len(gold)


@pytest.mark.parametrize("subset", SUBSETS)
def test_an_evaluation_in_a_few_lines_gives_the_same_numbers(data_root: Path, subset: str) -> None:
    path = data_root / "bright" / subset / "runs" / f"{e7.RUN}.txt"
    if not path.exists():
        pytest.skip("the data root has no published runs")
    context = Context(data_root, download=False)
    found = e7.run(cell(subset), context).scores
    assert found is not None and not context.mismatches
    parts = load_bright_queries(subset, data_root)
    for split, measure in (("test", "nDCG@10"), ("test.fixed", e7.FIXED_MEASURE)):
        gold = {qid: set(grades) for qid, grades in parts.qrels[split].items()}
        assert found.means[measure] == pytest.approx(ndcg(path, gold, parts.excluded), rel=1e-12)
