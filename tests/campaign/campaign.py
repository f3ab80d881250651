"""One reader tried on many damaged inputs: read and confirmed, refused in one line, or a fault."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ir_replications.shared.errors import InputError
from tests.campaign.mutate import damaged

SECONDS = 10.0  # an input that takes longer hangs
LONGEST = 2_000  # characters of a line that says what is wrong, the path included


@dataclass(frozen=True)
class Reader:
    """A reader of the suite.

    `make` writes a sound input into a folder and `targets` says which files of it are damaged, as
    {glob: kind of mutate.KINDS}. `read` reads the folder, `confirm` raises AssertionError (or
    what an independent parser raises) where another reading does not give the value. `seal` makes
    the digests of a damaged input right again; half of the inputs get it. `apart`: in a process
    of its own, since damage could end it. `covers`: names of the functions that are tried.
    """

    name: str
    make: Callable[[Path], None]
    targets: dict[str, str]
    read: Callable[[Path], Any]
    confirm: Callable[[Path, Any], None]
    covers: tuple[str, ...]
    seal: Callable[[Path, Random], None] | None = None
    apart: bool = False
    share: float = 1.0
    names_place: bool = True


@dataclass
class Result:
    """What came of the inputs of one reader."""

    read: int = 0
    refused: int = 0
    lost: int = 0  # whose results went with a process that an input ended
    faults: dict[str, str] = field(default_factory=dict)  # by kind of fault: where it is kept
    counted: Counter[str] = field(default_factory=Counter)

    @property
    def tried(self) -> int:
        return self.read + self.refused + self.lost + sum(self.counted.values())


class Hang(BaseException):
    """Raised by the alarm; not an Exception, so that no reader catches it."""


def try_reader(reader: Reader, inputs: range, seed: int, scratch: Path, kept: Path) -> Result:
    """Try the inputs numbered so; the same seed and number are the same input."""
    sound = scratch / f"sound-{reader.name}"
    sound.mkdir(parents=True)
    reader.make(sound)
    reader.confirm(sound, reader.read(_copy(sound, scratch / "first")))  # a sound one is read
    shutil.rmtree(scratch / "first")
    files = sorted(
        (path, kind) for glob, kind in reader.targets.items() for path in sound.glob(glob)
    )
    assert files, f"{reader.name}: nothing to damage"
    result = Result()
    for number in inputs:
        rng = Random(f"{seed} {reader.name} {number}")
        folder = _copy(sound, scratch / f"{reader.name}-{number}")
        path, kind = files[rng.randrange(len(files))]
        _damage(folder / path.relative_to(sound), kind, rng)
        if reader.seal is not None and rng.random() < 0.5:
            with contextlib.suppress(Exception):  # too damaged to be sealed
                reader.seal(folder, rng)
        before = _copy(
            folder, kept / f"{reader.name}-{number}"
        )  # also of one that ends the process
        fault = attempt(reader, folder, result)
        if fault is None:
            shutil.rmtree(before)
        else:
            sign = re.sub(r"\d+", "N", fault.replace(str(folder), "FOLDER"))[:160]
            result.counted[sign] += 1
            if result.counted[sign] > 1:
                shutil.rmtree(before)
            else:
                result.faults[sign] = f"{before}: {fault}"
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(sound)
    return result


def attempt(reader: Reader, folder: Path, result: Result) -> str | None:
    """Read one input; None where it is read and confirmed or refused, else what is wrong."""
    try:
        with _quiet(), _alarm(SECONDS):
            value = reader.read(folder)
    except InputError as error:
        result.refused += 1
        return _wrong_line(str(error), folder if reader.names_place else None, result)
    except Hang:
        return f"hangs for more than {SECONDS:.0f} s"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{'/'.join(Path(last.filename).parts[-2:])}:{last.name}"
        return f"raises {type(error).__name__} in {place}: {str(error)[:200]!r}"
    try:
        with _quiet(), _alarm(2 * SECONDS):
            reader.confirm(folder, value)
    except Hang:
        return "an independent reading hangs"
    except Exception as error:
        name = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return f"accepted, and an independent reading says: {name}{str(error)[:300]}"
    result.read += 1
    return None


def _wrong_line(message: str, folder: Path | None, result: Result) -> str | None:
    """Why a message is not one line that names its place."""
    why = None
    if not message.isprintable():
        why = "holds characters that are not printable"
    elif len(message) > LONGEST:
        why = f"has {len(message)} characters"
    elif folder is not None and str(folder) not in message:
        why = "does not say which file"
    if why is None:
        return None
    result.refused -= 1
    return f"the line of the refusal {why}: {message[:300]!a}"


def _damage(path: Path, kind: str, rng: Random) -> None:
    """Damage a file, or what stands in its place in the folder."""
    chance = rng.random()
    if chance < 0.94:
        path.write_bytes(damaged(path.read_bytes(), kind, rng))
    elif chance < 0.96:  # a Mac's sidecar, which is no data
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07" + rng.randbytes(20))
    else:
        path.unlink()
        if chance < 0.97:
            path.mkdir()
        elif chance < 0.98:
            path.symlink_to(path.with_name("nothing"))
        elif chance < 0.99:
            path.symlink_to(path)


def _copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target, symlinks=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(io.StringIO()):
            yield


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds * float(os.environ.get("CAMPAIGN_SLOWER", "1")))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
