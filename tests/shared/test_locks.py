"""A lock between processes, where there is none to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.locks import turn_at
from ir_replications.shared.training import TrainingFolder


def test_a_file_system_without_locks_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    none = pytest.raises(InputError, match=r"a\.lock: its file system has no locks")
    with none, turn_at(tmp_path / "a.lock"):
        pass
    with pytest.raises(InputError, match="run: its file system has no locks; choose another"):
        TrainingFolder(tmp_path / "run", {}).start()
