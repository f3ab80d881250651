"""The rewriting command: what it writes, what it refuses, and how it says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.__main__ import main
from ir_replications.shared.data import load_collection
from ir_replications.tongsearch_qr.rewriting.reasoned_files import read_reasoned
from ir_replications.tongsearch_qr.rewriting.rewriter import QueryRewriter
from tests.shared.models.tiny_model import tiny_model, tiny_tokenizer

QUERIES = {"q1": "w1 w2", "q2": "w3", "q3": "w1 w2", "q4": "w5 w6 w7"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


class Command:
    """The command line on the saved tiny model."""

    def __init__(self, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.out, self.queries = tmp_path / "out.jsonl", tmp_path / "queries.jsonl"
        self._capsys, self._model = capsys, saved
        lines = [json.dumps({"_id": qid, "text": text}) for qid, text in QUERIES.items()]
        self.queries.write_text("\n".join(lines) + "\n")
        self._cache = tmp_path / "texts.jsonl"

    def __call__(self, *more: str) -> tuple[int, str, str]:
        common: list[object] = ["rewrite", self.queries, "--model", self._model]
        common += ["--output", self.out]
        common += ["--cache", self._cache, "--max-new-tokens", "8"]
        status = main([*map(str, common), *more])
        said = self._capsys.readouterr()
        return status, said.out, said.err


@pytest.fixture
def command(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(saved, tmp_path, capsys)


def test_the_command_writes_what_can_be_read_and_never_overwrites(command: Command) -> None:
    status, said, _ = command()
    assert status == 0 and said == f"{command.out}: 4 of 4 queries rewritten; 3 texts made now\n"
    content = command.out.read_bytes()
    assert read_reasoned(command.out, QUERIES).keys() == QUERIES.keys()
    assert read_reasoned(command.out.parent, QUERIES, "out")
    assert command() == (0, f"{command.out}: already finished\n", "")
    status, _, err = command("--seed", "1", "--prompt", "training")
    assert status == 2 and "holds a finished output with another prompt, seed; give" in err
    assert err.count("\n") == 1
    command.queries.write_text('{"_id": "q9", "text": "w9"}\n')
    status, _, err = command()
    assert status == 2 and "another queries_sha256" in err
    assert command.out.read_bytes() == content
    command.out.with_name("out.jsonl.about").unlink()
    status, _, err = command()
    assert status == 2 and "does not say what it is" in err
    status, _, err = command("--cache", str(command.out))
    assert status == 2 and "out.jsonl: is named as the cache too" in err
    assert command.out.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--model", "no/such"), "no such folder"),
        (("--top-p", "2"), "0 < top_p <= 1"),
        (("--top-k", "x"), "is not a valid integer"),
        (("--batch-size", "0"), "'--batch-size': 0 is not in the range x>=1"),
        (("--dtype", "int8"), "dtype 'int8'"),
        (("--device", "nowhere"), "device 'nowhere': not usable"),
        (("--max-new-tokens", "63"), "a context of 64 tokens has no room"),
    ],
)
def test_a_wrong_option_is_one_line(
    command: Command, change: tuple[str, ...], message: str
) -> None:
    status, _, err = command(*change)
    assert status == 2 and message in err and err.count("\n") == 1
    assert not command.out.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "queries.jsonl:1: the file is empty"),
        ('{"_id": 1, "text": "w1"}\n', 'queries.jsonl:1: "_id" is int, expected a string'),
        ('{"_id": "a", "text": "w1"}\n' * 2, "queries.jsonl:2: duplicate query id 'a'"),
        ('{"_id": "a", "text": ""}\n', "query 'a': the text is empty"),
    ],
)
def test_a_malformed_file_of_queries_is_one_line(
    command: Command, content: str, message: str
) -> None:
    command.queries.write_text(content)
    status, _, err = command()
    assert status == 2 and message in err and err.count("\n") == 1


def test_an_interrupt_leaves_what_is_done(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(QueryRewriter, "rewrite", interrupt)
        status, _, err = command()
    assert status == 130 and "run the same command to go on" in err
    assert command()[0] == 0


def test_the_originals_stand_beside_and_a_folder_is_a_collection(
    command: Command, tmp_path: Path, tiny: Path
) -> None:
    assert command()[0] == 0
    lines = [json.loads(line) for line in command.out.read_text().splitlines()]
    assert {line["_id"]: line["metadata"]["original"] for line in lines} == QUERIES
    texts = {line["_id"]: line["text"] for line in lines}
    rewrite = ["rewrite", str(tiny), "--model", str(tmp_path / "model"), "--max-new-tokens", "8"]
    folder = tmp_path / "rewritten"
    assert main([*rewrite, "--output", str(folder), "--mode", "append"]) == 0
    found, before = load_collection(folder), load_collection(tiny)
    assert (found.doc_ids, found.texts, found.qrels) == (
        before.doc_ids, before.texts, before.qrels,
    )  # fmt: skip
    assert all(found.queries[q].startswith(f"{text}\n") for q, text in before.queries.items())
    assert main([*rewrite, "--output", str(folder), "--mode", "append"]) == 0
    assert main([*rewrite, "--output", str(folder)]) == 2, "of another mode"
    assert texts.keys() == QUERIES.keys()


def test_a_folder_without_judgements_and_a_packed_output(
    command: Command, tmp_path: Path, tiny: Path
) -> None:
    shutil.rmtree(tiny / "qrels")
    out = tmp_path / "new.jsonl.gz"
    rewrite = ["rewrite", str(tiny), "--model", str(tmp_path / "model"), "--max-new-tokens", "8"]
    assert main([*rewrite, "--output", str(out), "--json"]) == 0
    assert read_reasoned(out, {"q1": "", "q2": ""}).keys() == {"q1", "q2"}
    assert main([*rewrite, "--output", str(tmp_path / "folder")]) == 2, "no collection to write"


def test_the_answer_as_json(command: Command) -> None:
    for made in (3, 3):  # what was counted when it was made, also when it is found finished
        status, said, _ = command("--json")
        assert status == 0 and json.loads(said)["counts"]["generated"] == made
