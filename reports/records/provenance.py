"""Provenance of a record: code, packages, machine, data, seed and cost; nothing that is private.

No user name, host name or absolute path is ever collected, and `scrub` cuts absolute paths out
of the text that the caller passes in (commands, model and collection references).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import ir_replications
from ir_replications import shared
from ir_replications.shared.processor import cpuinfo, processor_flags
from ir_replications.shared.rehearsal import KEY, rehearsal
from ir_replications.shared.versions import version

PAPERS = Path(ir_replications.__file__).resolve().parent
SHARED = Path(shared.__file__).resolve().parent
ROOT = SHARED.parent  # of a checkout; the package's own folder where it is installed
GENERATED = ("reports/html", "reports/local", "reports/results")
CODE = (".py", ".toml", ".yaml", ".csv")
# These judge and draw the numbers; changing them changes no number.
NOT_CODE = ("claims.toml", "tables.toml", "numbers.toml", "figures.py")
PACKAGES = (
    "ir-replications", "numpy", "scipy", "numba", "bm25s", "PyStemmer", "ir-measures",
    "pytrec-eval-terrier", "pyserini", "torch", "transformers", "tokenizers", "safetensors",
    "gguf", "accelerate", "peft", "trl", "datasets", "vllm",
)  # fmt: skip
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_VECTORS = re.compile(r"s?sse|fma|f16c|avx|amx|asimd|neon|sve|sme(?!p)|bf16|i8mm")
# "/a/b/c", "~/x" or "C:\\x" as a word of its own; not "https://...", "beir/scifact" or "docs/s".
_PATH = re.compile(
    r"(?:file://(?=/)|(?<![\w./~\\-])~?/(?!/)|(?<!\w)[A-Za-z]:[\\/](?!/))[^\s\"',;=()<>|:]+"
)


def collect(
    *,
    paper: str,
    command: str,
    seed: int | None = None,
    data: Mapping[str, str] | None = None,
    models: Mapping[str, str] | None = None,
    started: datetime | None = None,
    wall_s: float | None = None,
    code_sha256: str | None = None,
    root: Path = ROOT,
    **extra: Any,
) -> dict[str, Any]:
    """Provenance of one cell as a dict of JSON types.

    `data` maps a collection id to its sha256, `models` a model reference to its sha256;
    `started` is an aware datetime, `wall_s` seconds, `code_sha256` what `code_digest` gave when
    the code was loaded (default: `running_code`); `extra` is kept as given, paths cut off.
    Works without git and outside a checkout: what cannot be known is None.
    """
    collected = {
        "command": command,
        "seed": seed,
        "data": dict(data or {}),
        "models": dict(models or {}),
        "git": git_state(root),
        "code_sha256": code_sha256 or running_code(paper),
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": {
            "model": cpu_model(),
            "count": os.cpu_count(),
            "instruction_set": torch_capability(),
        },
        "gpu": _gpu_name(),
        "threads": threads(),
        "peak_rss_mib": peak_rss_mib(),
        "wall_s": None if wall_s is None else round(wall_s, 3),
        "started": (started or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **extra,
    }
    if settings := rehearsal():
        collected[KEY] = settings
    return scrub(collected)


def scrub(value: Any) -> Any:
    """The value with every absolute path in its texts (keys too) cut to its last part."""
    if isinstance(value, str):
        return _PATH.sub(lambda match: re.split(r"[\\/]", match[0].rstrip("\\/"))[-1], value)
    if isinstance(value, Mapping):
        return {scrub(key): scrub(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrub(item) for item in value]
    return value


def code_digest(paper: str, *, papers: Path = PAPERS, common: Path = SHARED) -> str:
    """Hex sha256 over the code that can change the paper's numbers.

    The .py, .toml, .yaml and .csv files of shared/ and of the paper's folder (an experiment may
    read the CSV files), and the engine's modules (first stages) without its commands, by path and
    content, without tests, claims.toml, tables.toml, numbers.toml and figures.py.
    """
    digest = hashlib.sha256()
    for part, paths in (
        ("shared", common.rglob("*")),
        ("engine", (papers / "engine").glob("*.py")),
        (paper, (papers / paper).rglob("*")),
    ):
        home = common if part == "shared" else papers / part
        for path in sorted(paths, key=lambda path: path.relative_to(home).as_posix()):
            name = path.relative_to(home)
            if path.suffix not in CODE or "tests" in name.parts:
                continue
            if path.name not in NOT_CODE and path.is_file():
                content = path.read_bytes().replace(b"\r\n", b"\n")
                digest.update(f"{part}/{name.as_posix()}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()


@cache
def running_code(paper: str) -> str:
    """`code_digest` of the paper as it was when this process first asked: what it then runs."""
    return code_digest(paper)


def git_state(root: Path = ROOT) -> dict[str, Any] | None:
    """{"commit": 40 hex digits, "dirty": bool} of the checkout at `root`, else None.

    Generated results and pages do not make the tree dirty. A repository further up (a package
    installed below somebody's checkout) is not ours and gives None.
    """
    top, _, commit = (_git(root, "rev-parse", "--show-toplevel", "HEAD") or "").partition("\n")
    if not top or Path(top).resolve() != root.resolve():
        return None
    paths = [f":(exclude){folder}" for folder in GENERATED]
    changes = _git(root, "status", "--porcelain", "--", ".", *paths)
    return {"commit": commit.strip(), "dirty": bool(changes and changes.strip())}


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that can move a number."""
    found = {name: _version(name) for name in PACKAGES}
    return {name: version for name, version in found.items() if version is not None}


@cache  # each takes milliseconds, and a process keeps to the packages that it has loaded
def _version(package: str) -> str | None:
    """Version of an installed package, else None."""
    with contextlib.suppress(ModuleNotFoundError):  # what importlib.metadata raises is one
        return version(package)
    return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        # Without locks: a run of hours must not get into the way of the user's own commits.
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def cpu_model() -> str | None:
    """The processor by its maker's name, e.g. "AMD EPYC"."""
    return cpuinfo("model name") or platform.processor() or None


def instruction_sets() -> list[str]:
    """Names of the vector instruction sets that the processor offers, as the kernel says them."""
    return sorted(flag for flag in processor_flags() if _VECTORS.match(flag))


def operating_system() -> str:
    """Name, version and machine type, e.g. "Debian GNU/Linux 12, x86_64"; nothing of its owner."""
    name, version = platform.system(), platform.mac_ver()[0]
    if name == "Windows":
        version = platform.release()
    with contextlib.suppress(OSError):  # no Linux, or one that does not say
        known = platform.freedesktop_os_release()
        name, version = known["NAME"], known.get("VERSION_ID", "")
    return f"{name} {version}".strip() + f", {platform.machine()}"


def torch_capability() -> str | None:
    """Instruction set that torch's own kernels use; None where torch is not loaded."""
    torch = sys.modules.get("torch")  # never import it just to ask
    return torch.backends.cpu.get_cpu_capability() if torch else None


def _gpu_name() -> str | None:
    torch = sys.modules.get("torch")  # never import it just to ask
    try:
        return torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None
    except (RuntimeError, AttributeError):
        return None


def threads() -> dict[str, Any]:
    """Numbers of threads that the environment sets, and torch's where it is loaded."""
    found: dict[str, Any] = {name: os.environ[name] for name in THREADS if name in os.environ}
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.get_num_threads()
    return found


def peak_rss_mib() -> float | None:
    """The peak resident memory of this process, MiB; None where nobody knows."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
