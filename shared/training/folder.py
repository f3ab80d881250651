"""A training run's folder: what it was asked to do, its log, its checkpoints, its end.

run.json        what was asked for, and its digest; another request in this folder is refused
log.jsonl       one line of metrics per logged step
checkpoint-N/   transformers checkpoints
final/          the weights at the end (an adapter, or a whole model)
finished.json   written last: what the run did; a folder that has it is complete
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from shared.errors import InputError
from shared.files import atomic_write, find_cache_dir

_HEADROOM = 1.2  # of what the weights and optimizer states are expected to take


def digest_of(request: Mapping[str, Any]) -> str:
    """Hex sha256 of a JSON-like mapping, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


class TrainingFolder:
    """One run's folder. `request` says everything that decides the result (config, checksums)."""

    def __init__(self, path: Path | str, request: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.request = json.loads(json.dumps(dict(request)))
        self.log_path = self.path / "log.jsonl"
        self.final = self.path / "final"
        self._lock = FileLock(self.path / ".lock")

    def finished(self) -> dict[str, Any] | None:
        """What the completed run wrote at its end; None when it is not complete.

        Raises InputError when the folder belongs to another request.
        """
        asked, done = self._read("run.json"), self._read("finished.json")
        if asked is None:
            return None
        if asked["digest"] != digest_of(self.request):
            raise InputError(
                f"{self.path}: holds a run with another {self._difference(asked['request'])}; "
                "choose another folder, or delete this one"
            )
        return done

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One process at a time: another that wants this run waits, and then finds it finished.

        Processes of one launch train together, so only the first of them queues.
        """
        if os.environ.get("RANK", "0") != "0":
            yield
            return
        place = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]
        lock = find_cache_dir() / "turns" / f"{place}.lock"  # a run that is refused makes no folder
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield

    def start(self, needed_bytes: int = 0) -> Path | None:
        """Prepare the folder; returns the last complete checkpoint to resume from, if any.

        Raises InputError for a folder of another request, one in which another process trains,
        and when the disk has too little room.
        """
        self.finished()
        if os.environ.get("RANK", "0") != "0":  # of several processes the first keeps the folder
            return self.last_checkpoint()
        self.path.mkdir(parents=True, exist_ok=True)
        try:  # released when the process ends, however it ends
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"{self.path}: another process is training here; wait for it or choose another "
                "folder"
            ) from None
        free = shutil.disk_usage(self.path).free
        if free < needed_bytes * _HEADROOM:
            raise InputError(
                f"{self.path}: {free / 1e9:.1f} GB free, about {needed_bytes / 1e9:.1f} GB needed "
                "for checkpoints; free some space or choose another folder"
            )
        entry = {"digest": digest_of(self.request), "request": self.request}
        self._write("run.json", entry)
        checkpoint = self.last_checkpoint()
        self._cut_log(_step_of(checkpoint) if checkpoint else 0)
        return checkpoint

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that was written to its end."""
        found = [p for p in self.path.glob("checkpoint-*") if (p / "trainer_state.json").is_file()]
        return max(found, key=_step_of, default=None)

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write the end of the run and delete its checkpoints; returns the result as read back."""
        self._write("finished.json", dict(result))
        for checkpoint in self.path.glob("checkpoint-*"):
            shutil.rmtree(checkpoint, ignore_errors=True)
        return json.loads(json.dumps(dict(result)))

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append one line of metrics."""
        with open(self.log_path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(dict(entry)) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """The metrics logged so far; a last line cut off by a kill is left out."""
        if not self.log_path.exists():
            return []
        entries = []
        for number, line in enumerate(self.log_path.read_text("utf-8").split("\n"), start=1):
            if not line:
                continue
            try:
                entries.append(json.loads(line))
            except ValueError as error:
                if number == self.log_path.read_text("utf-8").count("\n") + 1:
                    break
                raise InputError(
                    f"{self.log_path}:{number}: not a line of metrics; delete it"
                ) from error
        return entries

    @contextmanager
    def one_line_errors(self) -> Iterator[None]:
        """Turn a full disk and a killed write into one clear line; checkpoints stay."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            raise self._no_room(error.strerror or str(error)) from error
        except RuntimeError as error:  # torch and safetensors report a full disk so
            if "No space left" not in str(error) and "PytorchStreamWriter" not in str(error):
                raise
            raise self._no_room("no space left on the device") from error

    def _no_room(self, reason: str) -> InputError:
        return InputError(
            f"{self.path}: could not be written ({reason}); free some space and run the same "
            "command again, it goes on from the last checkpoint"
        )

    def _cut_log(self, step: int) -> None:
        """Drop lines after the step that training goes on from."""
        kept = [entry for entry in self.read_log() if entry.get("step", 0) <= step]
        with atomic_write(self.log_path) as handle:
            handle.writelines(json.dumps(entry) + "\n" for entry in kept)

    def _difference(self, other: Mapping[str, Any]) -> str:
        keys = sorted({*self.request, *other})
        changed = [key for key in keys if self.request.get(key) != other.get(key)]
        return ", ".join(changed[:3]) or "request"

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads((self.path / name).read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise InputError(f"{self.path / name}: cannot be read; delete the folder") from error

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with atomic_write(self.path / name) as handle:
            handle.write(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))
