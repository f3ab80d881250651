"""`--split`: which judgements of one's own collection a run evaluates."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.engine.jobs import plan_jobs
from ir_replications.reports.records.store import Store
from ir_replications.shared.data import load_collection
from tests.cli import E2, QRELS, Replicate, beir

TRAIN = [("q1", "d2", 1)]  # another answer than QRELS


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder with the splits dev and train, no test."""
    folder = beir(tmp_path / "two", split="dev")
    rows = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in TRAIN)]
    (folder / "qrels" / "train.tsv").write_text("\n".join(rows) + "\n")
    return folder


def _means(store: Path, split: str | None) -> dict[str, float]:
    """System -> nDCG@10 of the records of a split."""
    records = [r for r in Store(store).records() if r.config.get("split") == split]
    return {f"{r.config['system']} {r.config.get('method')} {r.config.get('k1')}":
            r.means["nDCG@10"] for r in records}  # fmt: skip


def test_without_it_the_message_names_it_and_the_splits(replicate: Replicate, two: Path) -> None:
    line = replicate.refused("run", "bmx", "--collection", two, *E2)
    assert "two: no split 'test' but dev, train; choose one with --split, or name" in line


def test_the_split_is_evaluated_and_stands_in_config_label_and_command(
    replicate: Replicate, two: Path, tmp_path: Path
) -> None:
    one = beir(tmp_path / "one", qrels=QRELS)  # the same judgements as a test split
    assert replicate("run", "bmx", "--collection", one, *E2, "--store", "s").status == 0
    for split in ("dev", "train"):
        request = ("run", "bmx", "--collection", two, "--split", split, *E2, "--store", "s")
        result = replicate(*request)
        assert (result.status, result.err) == (0, "")
        assert "9 cells: 9 run" in result.out and f"split {split}" in result.out
        assert "9 cells: 0 run, 9 kept" in replicate(*request).out
    assert _means(Path("s"), "dev") == _means(Path("s"), None)
    # d2 is no answer of wing lift to any system: nothing of it is found.
    assert set(_means(Path("s"), "train").values()) == {0.0}
    (record, *_) = [r for r in Store("s").records() if r.config.get("split") == "train"]
    assert record.label.endswith(" train") and record.facts["queries"] == 1
    assert record.facts["split"] == "train"
    command = record.provenance["command"]
    assert "--collection ./two --split train" in command
    assert replicate(*command.split()[1:], "--store", "s", "--dry-run").status == 0


@pytest.mark.parametrize("experiment", ["E3", "E4", "E5", "E6", "E7"])
def test_every_experiment_takes_it(two: Path, experiment: str) -> None:
    jobs = plan_jobs(
        "bmx", "small", collections=["two"], only=[experiment], splits={"two": "train"}
    )
    assert jobs and all(job.config["split"] == "train" for job in jobs)
    assert all("--split train" in job.command({"two": two}) for job in jobs)


def test_the_default_split_by_name_is_the_same_cell(replicate: Replicate, tiny: Path) -> None:
    request = ("run", "bmx", "--collection", tiny, *E2, "--store", "s")
    assert replicate(*request).status == 0
    assert "9 cells: 0 run, 9 kept" in replicate(*request, "--split", "test").out


def test_what_cannot_be_chosen(replicate: Replicate, two: Path) -> None:
    line = replicate.refused("run", "bmx", "--collection", two, "--split", "tset", *E2)
    assert "no split 'tset'; its splits: dev, train" in line
    assert "--split is of the collections named" in replicate.refused("run", "bmx", "--split", "x")


def test_a_choice_leaves_the_collection_and_its_fingerprint_as_they_are(two: Path) -> None:
    plain = load_collection(two)
    chosen = plain.with_split("train")
    assert (chosen.default_split, plain.split, chosen.sha256) == ("train", "", plain.sha256)
    assert chosen.topics("train") == {"q1": "wing lift"}


def test_the_reranking_and_rewriting_commands_offer_what_their_messages_name() -> None:
    from ir_replications.engine.commands.parts.rerank import rerank_command
    from ir_replications.engine.commands.parts.rewrite import rewrite_command

    for each in (rerank_command, rewrite_command):
        assert any("--split" in param.opts for param in each.params)
