"""Training folders: one request each, resumed from whole checkpoints, complete or not."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.training import TrainingFolder, digest_of


def checkpoint(folder: TrainingFolder, step: int, complete: bool = True) -> Path:
    path = folder.path / f"checkpoint-{step}"
    path.mkdir()
    (path / "state.pt").write_bytes(b"weights")
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    if complete:
        folder.keep_checkpoint(step)
    return path


def killed(path: Path, steps: int = 4, every: int = 2) -> TrainingFolder:
    """A run of six steps with a checkpoint after every two of them, killed after `steps`."""
    folder = TrainingFolder(path, {"seed": 1})
    folder.start(steps=6)
    for step in range(1, steps + 1):
        folder.log({"step": step, "loss": 1 / step})
        if step % every == 0:
            checkpoint(folder, step)
    return TrainingFolder(path, {"seed": 1})


def finished(path: Path) -> TrainingFolder:
    """A finished run whose final/ has a subfolder."""
    folder = killed(path)
    (folder.final / "encoder").mkdir(parents=True)
    for name in ("adapter_model.safetensors", "tokenizer.json", "encoder/config.json"):
        (folder.final / name).write_text(f"content of {name}")
    folder.finish({"weights": "abc"})
    return TrainingFolder(path, {"seed": 1})


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


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
        if step == 9:
            checkpoint(folder, 9)
        if step == 20:
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


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "1",
        '"x"',
        "null",
        '{"step": "1"}',
        '{"step": true}',
        '{"step": -1}',
        '{"step": 1.5}',
        '{"step": 1, "step": 2}',
        '{"step": 1, "loss": NaN}',
        "[" * 100_000,
        f'{{"step": {"9" * 5_000}}}',
        "\ufeff{}",
    ],
)
def test_a_log_line_that_is_no_object_of_metrics_is_named_or_cut_off(
    tmp_path: Path, line: str
) -> None:
    folder = TrainingFolder(tmp_path, {})
    folder.log_path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
    for use in (folder.read_log, folder.start):
        with pytest.raises(InputError) as caught:
            use()
        assert str(caught.value).startswith(f"{folder.log_path}:2: ")
        assert len(str(caught.value).splitlines()) == 1
    folder.log_path.write_text(f'{{"step": 1}}\n{line}')
    if "\ufeff" not in line:
        assert folder.read_log() == [{"step": 1}]


def test_a_log_that_is_no_text_file_is_one_line(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, {})
    folder.log_path.write_bytes(b'{"step": 1}\n{"\xf3tep": 2}\n{"step": 3}\n')
    with pytest.raises(InputError, match=r"log\.jsonl:2: not UTF-8"):
        folder.read_log()
    folder.log_path.unlink()
    folder.log_path.mkdir()
    with pytest.raises(InputError, match=r"log\.jsonl: cannot be read \(is a folder\)"):
        folder.start()


def test_metrics_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path, {})
    folder.log({"step": 1, "std": float("nan"), "max": float("inf"), "loss": 0.5})
    assert folder.read_log() == [{"step": 1, "loss": 0.5}]


# ---- What was altered since


def test_every_file_of_a_finished_run_is_checked(tmp_path: Path) -> None:
    whole = finished(tmp_path / "whole")
    assert whole.finished() == {"weights": "abc"}
    files = [p.relative_to(whole.path) for p in whole.path.rglob("*") if p.is_file()]
    checked = [name for name in files if name.name != ".lock"]
    assert len(checked) == 8
    for name in checked:
        copy = tmp_path / "copy"
        shutil.copytree(whole.path, copy)
        flip(copy / name, 10)
        with pytest.raises(InputError) as caught:
            TrainingFolder(copy, {"seed": 1}).finished()
        message = str(caught.value)
        assert str(copy / name.parts[0]) in message and "delete" in message, name
        assert "\n" not in message
        shutil.rmtree(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "final/tokenizer.json").unlink(), "final/tokenizer.json cannot be read"),
        (lambda f: shutil.rmtree(f / "final"), "final is not complete (no files.sha256.json)"),
        (lambda f: (f / "final/model.safetensors").write_text("x"), "model.safetensors was added"),
        (
            lambda f: (f / "final/files.sha256.json").unlink(),
            "final is not complete (no files.sha256.json)",
        ),
        (lambda f: (f / "final/files.sha256.json").write_text("[]"), "sha256.json was altered"),
        (lambda f: (f / "final/files.sha256.json").write_text("{}"), "was added"),
        (lambda f: (f / "run.json").unlink(), "run.json is not there"),
        (lambda f: (f / "log.jsonl").unlink(), "log.jsonl was altered"),
    ],
)
def test_what_a_finished_run_lacks_or_has_more_is_named(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    folder = finished(tmp_path / "run")
    change(folder.path)
    with pytest.raises(InputError) as caught:
        folder.finished()
    assert message in str(caught.value)
    assert str(caught.value).endswith(f"; delete the folder {folder.path} and run again")


def test_what_lies_beside_is_nobodys_business(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    (folder.path / "notes.txt").write_text("mine")
    (folder.final / "._tokenizer.json").write_text("of another system")
    (folder.final / ".DS_Store").write_text("")
    assert folder.finished() == {"weights": "abc"}
    folder.path.rename(tmp_path / "moved")
    assert TrainingFolder(tmp_path / "moved", {"seed": 1}).finished() == {"weights": "abc"}


def test_parts_of_another_run_are_refused(tmp_path: Path) -> None:
    """A final/, an end or a checkpoint copied from a run of another seed."""
    own, other = finished(tmp_path / "own"), TrainingFolder(tmp_path / "other", {"seed": 2})
    other.start()
    other.final.mkdir()
    (other.final / "adapter_model.safetensors").write_text("other")
    other.finish({"weights": "other"})
    for name in ("final", "finished.json"):
        copy = tmp_path / f"with {name}"
        shutil.copytree(own.path, copy)
        if (copy / name).is_dir():
            shutil.rmtree(copy / name)
            shutil.copytree(other.path / name, copy / name)
        else:
            shutil.copy(other.path / name, copy / name)
        with pytest.raises(InputError, match="another run"):
            TrainingFolder(copy, {"seed": 1}).finished()


@pytest.mark.parametrize("name", ["run.json", "finished.json"])
@pytest.mark.parametrize(
    "text",
    [
        "[1,2]",
        "null",
        "7",
        '{"digest": "z"}',
        '[["a", "b"]]',
        '{"digest": "z", "request": [1]}',
        '{"digest": 1, "request": {}, "result": [], "seal": {}}',
        '{"weights": "abc"}',
        "[" * 100_000,
        '{"digest": NaN}',
        "",
        "\x00",
    ],
)
def test_notes_of_other_types_are_one_line(tmp_path: Path, name: str, text: str) -> None:
    folder = finished(tmp_path / "run")
    (folder.path / name).write_text(text)
    for use in (folder.finished, folder.start):
        with pytest.raises(InputError) as caught:
            use()
        assert str(caught.value).startswith(str(folder.path / name))
        assert "\n" not in str(caught.value) and "delete the folder" in str(caught.value)


def test_a_finished_run_without_checksums_is_trained_again(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    (folder.path / "finished.json").write_text('{"weights_sha256": {}, "steps": 4}')
    with pytest.raises(InputError, match="made by an older version; delete the folder and train"):
        folder.finished()


# ---- Checkpoints


def state(step: Any) -> Callable[[Path], object]:
    """The checkpoint with another step, sealed again, as a run that went wrong would leave it."""

    def change(path: Path) -> None:
        (path / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
        TrainingFolder(path.parent, {"seed": 1})._seal(path)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: flip(p / "state.pt"), "state.pt was altered"),
        (lambda p: flip(p / "trainer_state.json", 2), "trainer_state.json was altered"),
        (lambda p: flip(p / "origin.json", 20), "origin.json was altered"),
        (lambda p: flip(p / "files.sha256.json", 20), "origin.json was altered"),
        (lambda p: (p / "state.pt").unlink(), "state.pt cannot be read"),
        (lambda p: (p / "files.sha256.json").unlink(), "is not complete (no "),
        (lambda p: (p / "optimizer.pt").write_text("x"), "optimizer.pt was added"),
        (state(1), "global_step is 1, expected 4"),
        (state(-3), "global_step is -3, expected 4"),
        (state(999), "global_step is 999, expected 4"),
        (state(4.0), "global_step is 4.0, expected 4"),
        (state('"4"'), "global_step is '4', expected 4"),
        (state("true"), "global_step is True, expected 4"),
        (state("9" * 400), "global_step is 9999"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], object],
    message: str,
) -> None:
    folder = killed(tmp_path / "run")
    change(folder.path / "checkpoint-4")
    assert folder.start(steps=6) == folder.path / "checkpoint-2"
    assert [entry["step"] for entry in folder.read_log()] == [1, 2]
    said = capsys.readouterr().err
    assert said.startswith(f"{folder.path / 'checkpoint-4'}: not used: ") and message in said
    assert said.count("\n") == 1
    flip(folder.path / "checkpoint-2" / "state.pt")
    again = TrainingFolder(tmp_path / "run", {"seed": 1})
    assert again.last_checkpoint(6) is None, "from the start"


def test_any_flipped_byte_of_a_checkpoint_is_seen(tmp_path: Path) -> None:
    folder = killed(tmp_path / "run")
    for path in (folder.path / "checkpoint-4").iterdir():
        content = path.read_bytes()
        for place in range(0, len(content), 7):
            flip(path, place)
            assert folder.last_checkpoint(6) == folder.path / "checkpoint-2", (path, place)
            path.write_bytes(content)
    assert folder.last_checkpoint(6) == folder.path / "checkpoint-4"


def test_a_checkpoint_beyond_the_last_step_is_passed_over(tmp_path: Path) -> None:
    folder = killed(tmp_path / "run")
    assert folder.last_checkpoint(steps=4) == folder.path / "checkpoint-4"
    assert folder.last_checkpoint(steps=3) == folder.path / "checkpoint-2"


def test_a_checkpoint_of_another_run_is_passed_over(tmp_path: Path) -> None:
    folder, other = killed(tmp_path / "run", 2), TrainingFolder(tmp_path / "other", {"seed": 2})
    other.start()
    for step in range(1, 5):
        other.log({"step": step, "loss": 1 / step})
    shutil.copytree(checkpoint(other, 4), folder.path / "checkpoint-4")
    assert folder.start(steps=6) == folder.path / "checkpoint-2"


def test_a_log_that_was_altered_takes_its_checkpoints_along(tmp_path: Path) -> None:
    folder = killed(tmp_path / "run")
    text = folder.log_path.read_text()
    folder.log_path.write_text(text.replace('"step": 3, "loss": 0.3', '"step": 3, "loss": 0.9'))
    assert folder.start(steps=6) == folder.path / "checkpoint-2"


BESIDE = (
    "checkpoint-4.bak", "checkpoint-x", "checkpoint-", "checkpoint-04", "checkpoint--4",
    "checkpoint-4 (copy)", "checkpoint-\u0664", "checkpoint-1e1", ".checkpoint-6", "checkpoint-6",
    f"checkpoint-{'9' * 30}",
)  # fmt: skip


def test_what_is_named_like_a_checkpoint_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = killed(tmp_path / "run")
    for name in BESIDE:
        if name == "checkpoint-6":
            (folder.path / name).write_text("a file")
        else:
            shutil.copytree(folder.path / "checkpoint-4", folder.path / name)
    assert folder.start(steps=6) == folder.path / "checkpoint-4"
    assert capsys.readouterr().err == ""
    folder.log({"step": 5})
    checkpoint(folder, 5)
    folder.finish({})
    assert sorted(p.name for p in folder.path.glob("*checkpoint-*")) == sorted(BESIDE)


def test_the_last_two_checkpoints_stay_and_later_ones_go(tmp_path: Path) -> None:
    """A damaged later one must not make the run delete what it has just written."""
    folder = killed(tmp_path / "run")
    for step in (100, 200):
        checkpoint(folder, step, complete=False)
    assert folder.start(steps=300) == folder.path / "checkpoint-4"
    for step in (5, 6):
        folder.log({"step": step})
        checkpoint(folder, step)
        names = sorted(p.name for p in folder.path.glob("checkpoint-*"))
        assert names == [f"checkpoint-{step - 1}", f"checkpoint-{step}"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "run", Path("/proc/run"), tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match=r"cannot be (written|read)") as caught:
            TrainingFolder(path, {}).start()
        assert "\n" not in str(caught.value)


def test_too_little_room_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="GB needed"):
        TrainingFolder(tmp_path / "run", {}).start(needed_bytes=10**18)


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
        OSError(errno.EROFS, os.strerror(errno.EROFS)),
        OSError(errno.EIO, os.strerror(errno.EIO)),
        RuntimeError("[enforce fail at inline_container.cc:610] . PytorchStreamWriter failed"),
    ],
)
def test_what_the_system_refuses_is_one_line(tmp_path: Path, failure: Exception) -> None:
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
