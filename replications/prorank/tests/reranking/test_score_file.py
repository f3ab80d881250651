"""Score files: kept line by line, resumed, refused, shared by processes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ir_replications.prorank.reranking.score_file import ScoreFile
from ir_replications.shared.errors import InputError

REQUEST = {"model": "m", "length": 8}
WANTED = {"q1": ["a", "b"], "q2": ["c"], "q3": ["a", "d"]}


class Maker:
    """Scores by the letter of the document; notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def __call__(
        self, qid: str, docids: Sequence[str]
    ) -> tuple[Sequence[float], Mapping[str, float]]:
        self.asked.append((qid, list(docids)))
        return [float(ord(docid)) for docid in docids], {"candidates": float(len(docids))}


def fill(
    path: Path, wanted: Mapping[str, Sequence[str]] = WANTED
) -> tuple[ScoreFile, list[tuple[str, list[str]]]]:
    file, make = ScoreFile(path, REQUEST), Maker()
    file.fill(wanted, make)
    return file, make.asked


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_scores_are_made_once_and_read_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "scores.jsonl"
    file, asked = fill(path)
    assert asked == [(qid, docids) for qid, docids in WANTED.items()]
    assert file.scores == {"q1": {"a": 97, "b": 98}, "q2": {"c": 99}, "q3": {"a": 97, "d": 100}}
    assert (file.made, len(lines(path))) == (5, 4)
    content = path.read_bytes()
    again, asked = fill(path)
    assert (again.scores, again.numbers, again.made, asked) == (file.scores, file.numbers, 0, [])
    assert again.seconds == pytest.approx(file.seconds)
    assert path.read_bytes() == content


def test_deeper_candidates_are_added_and_numbers_kept_from_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    fill(path)
    file, asked = fill(path, {"q1": ["b", "e", "a", "f"], "q4": ["a"]})
    assert asked == [("q1", ["e", "f"]), ("q4", ["a"])]
    assert file.made == 3
    assert file.scores["q1"] == {"a": 97, "b": 98, "e": 101, "f": 102}
    assert file.numbers["q1"] == {"candidates": 2}
    assert fill(path)[0].scores == file.scores, "the other queries and documents stay"


def test_a_query_without_candidates_has_no_line(tmp_path: Path) -> None:
    file, asked = fill(tmp_path / "scores.jsonl", {"q1": [], "q2": ["a"]})
    assert asked == [("q2", ["a"])]
    assert "q1" not in file.scores


@pytest.mark.parametrize("cut", [1, 20, 0], ids=["its end", "its half", "a line end"])
def test_a_last_line_that_was_cut_off_is_made_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "scores.jsonl"
    complete, _ = fill(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])
    file, asked = fill(path)
    assert asked == ([("q3", ["a", "d"])] if cut else [])
    assert file.scores == complete.scores
    assert len(lines(path)) == 4, "no rest of the cut line"


def test_a_file_killed_in_its_first_line_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_bytes(b'{"digest": "12')
    file, asked = fill(path)
    assert len(asked) == 3
    assert fill(path)[0].scores == file.scores


@pytest.mark.parametrize("content", ["a note of mine", '{"qid": "q1"', "first\nsecond"])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=r"notes\.txt"):
        fill(path)
    assert path.read_text() == content


@pytest.mark.parametrize("failure", [KeyboardInterrupt, InputError])
def test_what_was_made_before_a_failure_is_kept(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "scores.jsonl"

    def fail(qid: str, docids: Sequence[str]) -> tuple[Sequence[float], Mapping[str, float]]:
        if qid == "q3":
            raise failure("stop")
        return Maker()(qid, docids)

    with pytest.raises(failure):
        ScoreFile(path, REQUEST).fill(WANTED, fail)
    assert fill(path)[1] == [("q3", ["a", "d"])]


def test_a_full_disk_is_one_line_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scores.jsonl"
    fill(path, {"q1": ["a", "b"]})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ir_replications.prorank.reranking.score_file.os.fsync", full)
    with pytest.raises(InputError, match=r"scores\.jsonl: could not be written \(No space"):
        fill(path)
    monkeypatch.undo()
    assert fill(path)[0].scores["q1"] == {"a": 97, "b": 98}


def test_a_request_that_was_altered_is_refused(tmp_path: Path) -> None:
    """Its digest is still the one that is asked for."""
    path = tmp_path / "scores.jsonl"
    fill(path)
    path.write_text(path.read_text().replace('"length": 8', '"length": 9', 1))
    with pytest.raises(InputError, match=r"scores\.jsonl:1: cannot be read"):
        fill(path)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.jsonl", Path("/proc/a.jsonl")):
        with pytest.raises(InputError, match=r"cannot be (written|read)") as caught:
            fill(path)
        assert "\n" not in str(caught.value)


def test_scores_of_another_request_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    fill(path)
    content = path.read_bytes()
    other, make = ScoreFile(path, REQUEST | {"length": 9}), Maker()
    with pytest.raises(InputError, match=r"scores\.jsonl: holds scores of another model") as caught:
        other.fill(WANTED, make)
    assert "\n" not in str(caught.value)
    assert (make.asked, path.read_bytes()) == ([], content)
    reordered = ScoreFile(path, dict(reversed(REQUEST.items())))
    reordered.fill(WANTED, make)
    assert make.asked == []


@pytest.mark.parametrize(
    "damage",
    [
        b"not json",
        b"[]",
        b'{"qid": "q1"}',
        b"\xff",
        b"null",
        b'{"qid": "q1", "scores": {"a": "x"}}',
        b'{"digest": ' + b"[" * 100_000,
        b"9" * 5000,
    ],
)
@pytest.mark.parametrize("number", [1, 3])
def test_damage_names_the_line(tmp_path: Path, damage: bytes, number: int) -> None:
    path = tmp_path / "scores.jsonl"
    fill(path)
    broken = path.read_bytes().split(b"\n")
    broken[number - 1] = damage
    path.write_bytes(b"\n".join(broken))
    content = path.read_bytes()
    with pytest.raises(InputError) as caught:
        fill(path)
    assert str(caught.value).startswith(f"{path}:{number}: cannot be read")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    # What the message says to do helps.
    path.write_bytes(b"".join(line + b"\n" for line in broken[: number - 1]))
    assert fill(path)[0].scores["q3"] == {"a": 97, "d": 100}


LINE = '{"qid": "q8", "scores": {"a": 1.0}, "numbers": {"n": 1}, "seconds": 0.1}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE.replace("1.0", "true"), "the score of document 'a' is no finite number"),
        (LINE.replace("1.0", '"1.0"'), "the score of document 'a' is no finite number"),
        (LINE.replace("1.0", "1e999"), "the score of document 'a' is no finite number"),
        (LINE.replace("1.0", "9" * 400), "the score of document 'a' is no finite number"),
        (LINE.replace("1.0", "NaN"), "NaN is no JSON number"),
        (LINE.replace("1.0", "-Infinity"), "-Infinity is no JSON number"),
        (LINE.replace('"a": 1.0', '"a": 1.0, "a": 2.0'), "'a' is given twice"),
        (LINE.replace('"a"', '"\\ud800"'), "a \\ud escape stands for half a character"),
        (LINE.replace('"n": 1', '"n": null'), "'n' is no finite number"),
        (LINE.replace("0.1", '"0.1"'), "seconds is no finite number"),
        (LINE.replace('"q8"', "8"), '"qid" is int'),
        (LINE.replace('"q8"', '"q3"'), "document 'a' of query 'q3' has a score before"),
    ],
)
def test_a_line_that_says_something_else_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "scores.jsonl"
    fill(path)
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(InputError) as caught:
        fill(path)
    assert str(caught.value).startswith(f"{path}:5: cannot be read ({reason}")
    assert len(str(caught.value)) < 300 + len(str(path))


def test_a_request_that_was_edited_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    fill(path)
    path.write_text(path.read_text().replace('"length": 8', '"length": 9'))
    with pytest.raises(InputError, match=r":1: cannot be read \(its digest is of another request"):
        fill(path)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_a_reader_would_refuse_is_not_written(tmp_path: Path, score: float) -> None:
    path = tmp_path / "scores.jsonl"
    with pytest.raises(InputError, match="the score of document 'c' is no finite number"):
        ScoreFile(path, REQUEST).fill(
            {"q1": ["a"], "q2": ["c"]}, lambda qid, docids: ([score if "c" in docids else 1.0], {})
        )
    assert [line.get("qid") for line in lines(path)] == [None, "q1"]
    assert fill(path)[1][0] == ("q1", ["b"]), "the file goes on"


def test_what_is_no_file_or_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path, "is no regular file"),
        (tmp_path / "pipe", "is no regular file"),
        (tmp_path / "file" / "x", "cannot be written"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            fill(path)
        assert str(caught.value).startswith((f"{path}: ", f"{path.with_suffix('.lock')}: "))


def test_one_score_for_each_document_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        ScoreFile(tmp_path / "scores.jsonl", REQUEST).fill(WANTED, lambda *_: ([1.0], {}))


def test_a_second_filler_waits_and_makes_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    inside, go = threading.Event(), threading.Event()
    slow, quick = Maker(), Maker()

    def wait(qid: str, docids: Sequence[str]) -> tuple[Sequence[float], Mapping[str, float]]:
        inside.set()
        assert go.wait(30)
        return slow(qid, docids)

    deeper = {"q1": ["a", "b", "e"], "q2": ["c"]}
    first = threading.Thread(target=ScoreFile(path, REQUEST).fill, args=(WANTED, wait))
    file = ScoreFile(path, REQUEST)
    second = threading.Thread(target=file.fill, args=(deeper, quick))
    first.start()
    assert inside.wait(30)
    second.start()
    second.join(0.3)
    assert second.is_alive(), "the first one holds the lock"
    assert quick.asked == []
    go.set()
    first.join(30)
    second.join(30)
    assert slow.asked == list(WANTED.items())
    assert quick.asked == [("q1", ["e"])]
    assert len(lines(path)) == 5
    assert file.scores["q1"] == {"a": 97, "b": 98, "e": 101}


WRITER = """
import sys, time
from ir_replications.prorank.reranking.score_file import ScoreFile
def make(qid, docids):
    time.sleep(0.01)
    return [float(int(d)) for d in docids], {}
wanted = {f"q{i}": [str(j) for j in range(40)] for i in range(8)}
file = ScoreFile(sys.argv[1], {"model": "m"})
file.fill(wanted, make)
print(file.made)
"""


def test_processes_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    root = Path(__file__).resolve().parents[4]
    command = [sys.executable, "-c", WRITER, str(path)]
    started = [
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    made = [int(process.communicate(timeout=120)[0]) for process in started]
    assert sorted(made) == [0, 8 * 40]
    assert [line.get("qid") for line in lines(path)] == [None, *(f"q{i}" for i in range(8))]
