"""A training run's folder: what it was asked to do, its log, its checkpoints, its end.

run.json        what was asked for, and its digest; another request in this folder is refused
log.jsonl       one line of metrics per logged step
checkpoint-N/   checkpoints after N steps
final/          the weights at the end (an adapter, or a whole model)
finished.json   written last: what the run did; a folder that has it is complete

Checkpoints and final/ are sealed (shared.sealed_folder): each holds the digests of the request
and of the log it belongs to and the checksum of all its files, checked before anything is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write, find_cache_dir, sha256_unchanged
from ir_replications.shared.locks import turn_at
from ir_replications.shared.reading import is_whole, read_json, read_text, user_path
from ir_replications.shared.sealed_folder import SEAL, problem_of, seal
from ir_replications.shared.training.log import append, cut, read, until

KEPT = 2  # checkpoints
ORIGIN = "origin.json"  # in a sealed folder: the digests of the run's request and log
_HEADROOM = 1.2  # of what the weights and optimizer states are expected to take
_CHECKPOINT = re.compile(r"checkpoint-([1-9][0-9]{0,17})", re.ASCII)


def digest_of(request: Mapping[str, Any]) -> str:
    """Hex sha256 of a JSON-like mapping, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


class TrainingFolder:
    """One run's folder. `request` says everything that decides the result (config, checksums)."""

    def __init__(self, path: Path | str, request: Mapping[str, Any]) -> None:
        self.path = user_path(path)
        self.request = json.loads(json.dumps(dict(request)))
        self.digest = digest_of(self.request)
        self.log_path = self.path / "log.jsonl"
        self.final = self.path / "final"
        self._lock: Any = None  # held from `start` to the end of the process

    def finished(self) -> dict[str, Any] | None:
        """What the completed run wrote at its end; None when it is not complete.

        Every file of final/ is compared with its checksum, once in a process. Raises InputError
        when the folder belongs to another request, and when anything in it was altered.
        """
        asked, done = self._read("run.json"), self._read("finished.json")
        if asked is None and done is None:
            return None
        if asked is None:
            raise self._damaged(f"{self.path / 'run.json'} is not there")
        request = asked.get("request")
        if not isinstance(request, dict) or asked.get("digest") != digest_of(request):
            raise self._damaged(f"{self.path / 'run.json'} was altered")
        if asked["digest"] != self.digest:
            raise InputError(
                f"{self.path}: holds a run with another {self._difference(request)}; "
                "choose another folder, or delete this one"
            )
        return None if done is None else self._checked(done)

    def _checked(self, done: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a finished.json, once it and final/ are what the run left."""
        path, result = self.path / "finished.json", done.get("result")
        if not isinstance(result, dict) or "seal" not in done:
            raise InputError(
                f"{path}: has no checksums: damaged, or made by an older version; delete the "
                "folder and train again"
            )
        told = {key: value for key, value in done.items() if key != "digest"}
        if done.get("digest") != digest_of(told) or done.get("request") != self.digest:
            raise self._damaged(f"{path} was altered, or is another run's")
        if done["seal"] is None:
            return result
        if problem := self._problem(self.final):
            raise self._damaged(problem)
        if read_text(self.final / SEAL) != done["seal"]:
            raise self._damaged(f"{self.final} is not what this run left")
        return result

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One process at a time: another that wants this run waits, and then finds it finished.

        Processes of one launch train together, so only the first of them queues.
        """
        if os.environ.get("RANK", "0") != "0":
            yield
            return
        place = hashlib.sha256(os.path.realpath(self.path).encode()).hexdigest()[:16]
        lock = find_cache_dir() / "turns" / f"{place}.lock"  # a run that is refused makes no folder
        with turn_at(lock):
            yield

    def start(self, needed_bytes: int = 0, steps: int | None = None) -> Path | None:
        """Prepare the folder; returns the last whole checkpoint to resume from, if any.

        `steps` are those of the whole run. Raises InputError for a folder of another request, one
        in which another process trains, one that cannot be written, and when the disk has too
        little room.
        """
        from filelock import FileLock, Timeout

        self.finished()
        if os.environ.get("RANK", "0") != "0":  # of several processes the first keeps the folder
            return self.last_checkpoint(steps)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = self._lock or FileLock(self.path / ".lock")
            self._lock.acquire(timeout=0)  # released when the process ends, however it ends
            free = shutil.disk_usage(self.path).free
        except Timeout:
            raise InputError(
                f"{self.path}: another process is training here; wait for it or choose another "
                "folder"
            ) from None
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror or error}); choose another folder"
            ) from error
        except NotImplementedError as error:  # filelock, of a file system without locks
            raise InputError(
                f"{self.path}: its file system has no locks; choose another folder"
            ) from error
        if free < needed_bytes * _HEADROOM:
            raise InputError(
                f"{self.path}: {free / 1e9:.1f} GB free, about {needed_bytes / 1e9:.1f} GB needed "
                "for checkpoints; free some space or choose another folder"
            )
        self._write("run.json", {"digest": self.digest, "request": self.request})
        checkpoint = self.last_checkpoint(steps)
        cut(self.log_path, _step_of(checkpoint) if checkpoint else 0)
        return checkpoint

    def last_checkpoint(self, steps: int | None = None) -> Path | None:
        """The newest whole checkpoint of this run, after at most `steps` steps.

        One that fails its check is passed over, which a line on stderr says.
        """
        for path in sorted(self._checkpoints(), key=_step_of, reverse=True):
            problem = self._problem(path, _step_of(path)) or _wrong_step(path, steps)
            if not problem:
                return path
            if os.environ.get("RANK", "0") == "0":
                print(f"{path}: not used: {problem}", file=sys.stderr)
        return None

    def keep_checkpoint(self, step: int, scratch: Path | None = None) -> None:
        """Seal the checkpoint after `step` steps, which lies in `scratch` or where it belongs.

        KEPT remain: this one and those before it. Later ones are from before the run went back.
        """
        target = self.path / f"checkpoint-{step}"
        self._seal(scratch or target)
        if scratch is not None:
            shutil.rmtree(target, ignore_errors=True)
            os.replace(scratch, target)
        found = sorted(self._checkpoints(), key=_step_of)
        kept = [path for path in found if _step_of(path) <= step][-KEPT:]
        for path in found:
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Seal final/, write the end of the run, delete its checkpoints; returns the result.

        The result is as it is read back. Raises InputError where it cannot be written.
        """
        own = json.loads(json.dumps(dict(result)))
        if self.final.is_dir():
            self._seal(self.final)
        sums = read_text(self.final / SEAL) if self.final.is_dir() else None
        told = {"request": self.digest, "result": own, "seal": sums}
        self._write("finished.json", told | {"digest": digest_of(told)})
        for checkpoint in self._checkpoints():
            shutil.rmtree(checkpoint, ignore_errors=True)
        return own

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append one line of metrics."""
        append(self.log_path, entry)

    def read_log(self) -> list[dict[str, Any]]:
        """The metrics logged so far, as `log.read`."""
        return read(self.log_path)

    @contextmanager
    def one_line_errors(self) -> Iterator[None]:
        """Turn what the system refuses (a full disk, no permission) into one clear line."""
        try:
            yield
        except OSError as error:
            if error.errno is None:  # not of the system: a library's own error
                raise
            raise self._not_written(error.strerror or str(error)) from error
        except RuntimeError as error:  # torch and safetensors report a full disk so
            if "No space left" not in str(error) and "PytorchStreamWriter" not in str(error):
                raise
            raise self._not_written("no space left on the device") from error

    def _not_written(self, reason: str) -> InputError:
        return InputError(
            f"{self.path}: could not be written ({reason}); free some space or mend the folder, "
            "and run the same command again, it goes on from the last checkpoint"
        )

    def _damaged(self, what: str) -> InputError:
        return InputError(f"{what}; delete the folder {self.path} and run again")

    def _seal(self, folder: Path) -> None:
        logged = self.log_path.read_bytes() if self.log_path.exists() else b""
        origin = {"request": self.digest, "log": hashlib.sha256(logged).hexdigest()}
        with atomic_write(folder / ORIGIN) as handle:
            handle.write(json.dumps(origin) + "\n")
        seal(folder)

    def _problem(self, folder: Path, step: int | None = None) -> str:
        """Why a sealed folder is not what this run left after `step` steps; "" where it is."""
        if problem := problem_of(folder):
            return problem
        path = folder / ORIGIN
        origin = read_json(path) if path.is_file() else None
        if not isinstance(origin, dict) or origin.get("request") != self.digest:
            return f"{folder} is of another run"
        logged = hashlib.sha256(until(self.log_path, step).encode()).hexdigest()
        return "" if origin.get("log") == logged else f"{self.log_path} was altered"

    def _checkpoints(self) -> list[Path]:
        """The folders named checkpoint-N, whole or not; nothing else that somebody left here."""
        return [
            path
            for path in self.path.glob("checkpoint-*")
            if _CHECKPOINT.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
        ]

    def _difference(self, other: Mapping[str, Any]) -> str:
        keys = sorted({*self.request, *other})
        changed = [key for key in keys if self.request.get(key) != other.get(key)]
        return ", ".join(changed[:3]) or "request"

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        try:
            if not path.exists():
                return None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
        try:
            found = read_json(path)
        except InputError as error:
            raise InputError(f"{error}; or delete the folder {self.path} and run again") from error
        if not isinstance(found, dict):
            raise self._damaged(f"{path} holds no JSON object")
        return found

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with atomic_write(self.path / name) as handle:
            handle.write(json.dumps(content, indent=1, sort_keys=True) + "\n")


def weights_checksums(folder: Path) -> dict[str, str]:
    """Hex sha256 of every safetensors file in a folder of weights, by its path in the folder."""
    files = sorted(folder.rglob("*.safetensors"))
    return {path.relative_to(folder).as_posix(): sha256_unchanged(path) for path in files}


def check_weights(folder: Path) -> None:
    """Raise InputError where the final/ of a training was altered; other folders have no seal."""
    if (folder / SEAL).exists() and (problem := problem_of(folder)):
        raise InputError(f"{problem}; delete the run's folder and train again")


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _wrong_step(checkpoint: Path, steps: int | None) -> str:
    """Why the step that a checkpoint states cannot be; "" where it can."""
    path, expected = checkpoint / "trainer_state.json", _step_of(checkpoint)
    try:
        stated = read_json(path)
    except InputError as error:
        return str(error)
    step = stated.get("global_step") if isinstance(stated, dict) else None
    if not is_whole(step, 1) or step != expected:
        return f"{path}: global_step is {step!r:.40}, expected {expected}"
    return "" if steps is None or expected <= steps else f"step {expected} of {steps}"
