"""Training folders: one request each, resumed from whole checkpoints, complete or not."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from shared.errors import InputError
from shared.training import TrainingFolder, digest_of


def checkpoint(folder: TrainingFolder, step: int, complete: bool = True) -> Path:
    path = folder.path / f"checkpoint-{step}"
    path.mkdir()
    if complete:
        (path / "trainer_state.json").write_text("{}")
    return path


def test_digest_depends_on_values_alone() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 1, "b": 3})


def test_a_new_folder_starts_from_nothing_and_finishes(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path / "run", {"rate": 1e-3})
    assert folder.finished() is None
    assert folder.start() is None
    folder.log({"step": 1, "loss": 0.5})
    checkpoint(folder, 1)
    assert folder.finish({"weights": "abc"}) == {"weights": "abc"}
    again = TrainingFolder(tmp_path / "run", {"rate": 1e-3})
    assert again.finished() == {"weights": "abc"}
    assert again.read_log() == [{"step": 1, "loss": 0.5}]
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_resume_takes_the_last_whole_checkpoint_and_cuts_the_log(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, {"seed": 1})
    folder.start()
    for step in range(1, 26):
        folder.log({"step": step})
    checkpoint(folder, 9)
    kept = checkpoint(folder, 20)
    checkpoint(folder, 25, complete=False)  # killed while it was written
    assert folder.start() == kept
    assert [entry["step"] for entry in folder.read_log()] == list(range(1, 21))


def test_a_folder_of_another_request_is_refused_and_kept(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, {"model_sha256": "a", "seed": 1})
    folder.start()
    checkpoint(folder, 5)
    other = TrainingFolder(tmp_path, {"model_sha256": "b", "seed": 1})
    for refused in (other.finished, other.start):
        with pytest.raises(InputError, match="another model_sha256"):
            refused()
    assert folder.last_checkpoint() is not None


def test_a_log_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, {})
    folder.start()
    folder.log({"step": 1})
    with open(folder.log_path, "a") as handle:
        handle.write('{"step": 2, "lo')
    assert folder.read_log() == [{"step": 1}]


def test_a_damaged_log_line_is_named(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, {})
    folder.log_path.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(InputError, match=r"log\.jsonl:2"):
        folder.read_log()


def test_too_little_room_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="GB needed"):
        TrainingFolder(tmp_path / "run", {}).start(needed_bytes=10**18)


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("[enforce fail at inline_container.cc:610] . PytorchStreamWriter failed"),
    ],
)
def test_a_full_disk_is_one_line(tmp_path: Path, failure: Exception) -> None:
    folder = TrainingFolder(tmp_path, {})
    with pytest.raises(InputError, match="run the same command again"), folder.one_line_errors():
        raise failure


def test_other_errors_pass_through(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, {})
    with pytest.raises(RuntimeError, match="shapes"), folder.one_line_errors():
        raise RuntimeError("shapes differ")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = (TrainingFolder(tmp_path / "run", {"seed": 1}) for _ in range(2))
    first.start()
    with pytest.raises(InputError, match="another process is training here"):
        second.start()
    first.finish({})
    assert second.finished() == {}


def test_other_ranks_of_a_launch_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = TrainingFolder(tmp_path, {"seed": 1})
    first.start()
    kept = checkpoint(first, 3)
    monkeypatch.setenv("RANK", "1")
    assert TrainingFolder(tmp_path, {"seed": 1}).start() == kept


def test_a_second_process_waits_for_its_turn_and_finds_the_run_finished(tmp_path: Path) -> None:
    order: list[str] = []

    def first() -> None:
        with TrainingFolder(tmp_path / "run", {"a": 1}).turn():
            order.append("in")
            inside.set()
            time.sleep(0.3)
            folder = TrainingFolder(tmp_path / "run", {"a": 1})
            folder.start()
            folder.finish({"ok": True})
            order.append("out")

    inside = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    folder = TrainingFolder(tmp_path / "run", {"a": 1})
    with folder.turn():
        order.append("second")
        assert folder.finished() == {"ok": True}
    thread.join()
    assert order == ["in", "out", "second"]
