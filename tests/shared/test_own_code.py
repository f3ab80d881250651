"""The digest of a module's own code: all that it imports, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ir_replications.shared import own_code
from ir_replications.shared.own_code import code_of, files_of
from tests.code_run import left_out, names_of

OURS = re.compile(r"^\s*(?:from|import) ((?:shared|replications)[\w.]*)", re.MULTILINE)
ENTRIES = {
    "ir_replications.prorank.training.run": ("warmup", "sft", "fine_grained", "training_data"),
    "ir_replications.tongsearch_qr.training.run": ("grpo", "sft", "reward", "leakage", "prompts"),
    "ir_replications.bert_distill_losses.training.run": ("fit", "loop", "layer_losses", "halves"),
    "ir_replications.prorank.reranking.reranker": (
        "score",
        "prompt",
        "vllm_score",
        "cross_encoder",
    ),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of its own, whose files import one another in every way there is."""
    files = {
        "shared/__init__.py": "",
        "shared/method.py": "import os\nfrom shared import data\n",
        "shared/data.py": "def f():\n    from shared.sub.deep import g\n    return g\n",
        "shared/sub/__init__.py": "from . import sibling\n",
        "shared/sub/deep.py": "from ..data import f\nimport shared.sub.plain as p\n",
        "shared/sub/sibling.py": "",
        "shared/sub/plain.py": "",
        "shared/other.py": "import shared.method\n",
        "shared/errors.py": "import shared.other\n",
        "reports/pages.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "shared/method.py").write_text(
        "import os\nfrom shared import data\nfrom ir_replications.shared.errors import E\nimport reports.pages\n"
    )
    monkeypatch.setattr(own_code, "ROOT", tmp_path)
    for function in (code_of, files_of):
        function.cache_clear()
    yield tmp_path
    for function in (code_of, files_of):
        function.cache_clear()


def digest(root: Path) -> str:
    for function in (code_of, files_of):
        function.cache_clear()
    return code_of("shared.method")


def test_every_import_is_followed(root: Path) -> None:
    found = [path.relative_to(root).as_posix() for path in files_of("shared.method")]
    assert found == [
        "shared/__init__.py", "shared/data.py", "shared/method.py", "shared/sub/__init__.py",
        "shared/sub/deep.py", "shared/sub/plain.py", "shared/sub/sibling.py",
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
    monkeypatch.setattr(own_code, "ROOT", moved)
    assert digest(moved) == before


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_a_training_imports_is_in_its_digest(entry: str) -> None:
    """Found a second time, by the words "import" in the texts: nothing is missing."""
    paper = entry.split(".")[1]
    found = names_of(entry)
    assert {f"replications/{paper}/{name}.py" for name in ENTRIES[entry]} <= found
    assert "shared/models/references.py" in found and "shared/training/folder.py" in found
    for name in found:
        text = (own_code.ROOT / name).read_text()
        assert not re.search(r"import(_module|__)\(\s*f?.(shared|replications)", text), name
        for module in OURS.findall(text):
            path = module.replace(".", "/")
            files = {f"{path}.py", f"{path}/__init__.py"}
            assert files & (found | left_out()), f"{name} imports {module}"


@pytest.mark.parametrize("entry", ENTRIES)
def test_pages_commands_and_figures_are_not_in_it(entry: str) -> None:
    for name in names_of(entry):
        assert not name.startswith(("reports/", "replications/engine/commands/", "tests/"))
        assert Path(name).name not in ("figures.py", "train.py", "rerank.py", "experiment.py")
