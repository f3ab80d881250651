"""The digest of a module's own code: all that it imports, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ir_replications.shared import own_code
from ir_replications.shared.own_code import code_of, files_of
from tests.code_run import left_out, modules_of

OURS = re.compile(r"^\s*(?:from|import) (ir_replications\.(?!reports\b)[\w.]+)", re.MULTILINE)
ENTRIES = {
    "prorank.training.run": (
        "training.warmup", "training.sft", "training.fine_grained", "training.data",
    ),
    "tongsearch_qr.training.run": (
        "training.grpo", "training.sft", "training.leakage", "method.reward", "method.prompts",
    ),
    "bert_distill_losses.training.run": (
        "training.fit", "training.loop", "training.halves", "method.layer_losses",
    ),
    "prorank.reranking.reranker": (
        "method.score", "method.prompt", "reranking.vllm_score", "reranking.cross_encoder",
    ),
}  # fmt: skip
S = "ir_replications.shared"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of its own, whose files import one another in every way there is."""
    files = {
        "shared/__init__.py": "",
        "shared/method.py": f"import os\nfrom {S} import data\nfrom {S}.errors import E\n"
        "import ir_replications.reports.pages\n",
        "shared/data.py": f"def f():\n    from {S}.sub.deep import g\n    return g\n",
        "shared/sub/__init__.py": "from . import sibling\n",
        "shared/sub/deep.py": f"from ..data import f\nimport {S}.sub.plain as p\n",
        "shared/sub/sibling.py": "",
        "shared/sub/plain.py": "",
        "shared/other.py": f"import {S}.method\n",
        "shared/errors.py": f"import {S}.other\n",
        "reports/pages.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(own_code, "HOMES", _homes(tmp_path))
    for function in (code_of, files_of):
        function.cache_clear()
    yield tmp_path
    for function in (code_of, files_of):
        function.cache_clear()


def _homes(root: Path) -> dict[str, Path]:
    return {S: root / "shared", "ir_replications": root / "replications"}


def digest(root: Path) -> str:
    for function in (code_of, files_of):
        function.cache_clear()
    return code_of(f"{S}.method")


def test_every_import_is_followed(root: Path) -> None:
    assert sorted(files_of(f"{S}.method")) == [
        S, *(f"{S}.{name}" for name in ("data", "method", "sub", "sub.deep", "sub.plain",
                                        "sub.sibling")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "other"),
    [
        (lambda r: (r / "shared/sub/plain.py").write_text("x = 1\n"), True),
        (lambda r: (r / "shared/data.py").write_text("x = 1\n"), True),
        (lambda r: (r / "shared/other.py").write_text("x = 1\n"), False),
        (lambda r: (r / "reports/pages.py").write_text("x = 1\n"), False),
        (lambda r: (r / "shared/errors.py").write_text("x = 1\n"), False),
        (lambda r: (r / "shared/sub/plain.py").write_bytes(b"y = 1\r\n"), True),
    ],
)
def test_the_digest_is_of_what_can_change_the_result(
    root: Path, change: Callable[[Path], object], other: bool
) -> None:
    before = digest(root)
    assert digest(root) == before
    change(root)
    assert (digest(root) != before) == other


def test_line_ends_and_the_place_of_the_checkout_do_not_count(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(root)
    for path in root.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert digest(root) == before
    moved = tmp_path_factory.mktemp("moved") / "here"
    shutil.copytree(root, moved)
    monkeypatch.setattr(own_code, "HOMES", _homes(moved))
    assert digest(moved) == before


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_a_training_imports_is_in_its_digest(entry: str) -> None:
    """Found a second time, by the words "import" in the texts: nothing is missing."""
    paper = entry.split(".")[0]
    files = files_of(f"ir_replications.{entry}")
    assert {f"ir_replications.{paper}.{name}" for name in ENTRIES[entry]} <= files.keys()
    assert {f"{S}.models.references", f"{S}.training.folder"} <= files.keys()
    for name, path in files.items():
        text = path.read_text()
        assert not re.search(r"import(_module|__)\(\s*f?.ir_replications", text), name
        for module in OURS.findall(text):
            assert module in files.keys() | left_out(), f"{name} imports {module}"


@pytest.mark.parametrize("entry", ENTRIES)
def test_pages_commands_and_figures_are_not_in_it(entry: str) -> None:
    for name in modules_of(f"ir_replications.{entry}"):
        assert not re.match(r"ir_replications\.(reports|engine\.commands)\b|.*\.tests\.", name)
        last = name.rpartition(".")[2]
        assert last not in ("figures", "train", "rerank", "registry", "rewrite")
