"""READMEs and docs/: their length, links and commands, and what their method tables name."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from ir_replications.engine.registry import experiments

ROOT = Path(__file__).resolve().parents[1]
PAPERS = sorted(path.parent for path in ROOT.glob("replications/*/claims.toml"))
READMES = [ROOT / "README.md", *(paper / "README.md" for paper in PAPERS)]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("replications/*/*.md")])
WORDS = 900
ORDER = ["Claims", "Run it", "Deviations"]  # after the method table

LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(
    r"(?<![\w/.-])(?:replications|shared|tests|docs|reports/(?:claims|records|pages|attestation))"
    r"/[\w/.-]+\.(?:py|toml|md|yaml)\b"
)
MODULE = re.compile(r"-m (ir_replications(?:\.\w+)+)")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _titles(text: str) -> list[str]:
    """The titles of the sections, outside code blocks."""
    return re.findall(r"^## (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)


def _defined(path: Path) -> set[str]:
    """Functions, classes, their methods and constants of a module."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def _method_rows(text: str) -> list[tuple[str, list[str]]]:
    """(file, names) of each row of the table whose last column is function, after one of files."""
    table = re.search(r"^\|.*?(\| file )?\| function \|\n\|[-|: ]+\n((?:\|.*\n)+)", text, re.M)
    rows = []
    for line in table[2].splitlines() if table else []:
        cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
        named = re.findall(r"`([\w./]+)`", " ".join(cells[-2 if table and table[1] else -1 :]))
        (file,) = [name for name in named if name.endswith(".py")]  # one a row
        rows.append((file, [name for name in named if name != file]))
    return rows


@pytest.mark.parametrize("readme", READMES, ids=_name)
def test_a_readme_is_short(readme: Path) -> None:
    assert len(readme.read_text("utf-8").split()) < WORDS


@pytest.mark.parametrize("paper", PAPERS, ids=_name)
def test_a_paper_s_readme_has_the_usual_order(paper: Path) -> None:
    titles = _titles((paper / "README.md").read_text("utf-8"))
    assert titles[1:] == ORDER


@pytest.mark.parametrize("paper", PAPERS, ids=_name)
def test_what_a_method_table_names_exists(paper: Path) -> None:
    rows = _method_rows((paper / "README.md").read_text("utf-8"))
    assert rows, "no table whose last column is function"
    for file, names in rows:
        path = next((p for p in (paper / file, ROOT / file) if p.is_file()), None)
        assert path is not None, file
        assert names, f"{file}: no function"
        assert set(names) <= _defined(path), file


@pytest.mark.parametrize("paper", PAPERS, ids=_name)
def test_every_method_file_is_in_the_method_table(paper: Path) -> None:
    listed = {file for file, _ in _method_rows((paper / "README.md").read_text("utf-8"))}
    files = {path.relative_to(paper).as_posix() for path in paper.glob("method/*.py")}
    assert files - listed == {"method/__init__.py"}


@pytest.mark.parametrize("paper", PAPERS, ids=_name)
def test_a_paper_s_readme_lists_its_experiments(paper: Path) -> None:
    text = (paper / "README.md").read_text("utf-8")
    known = list(experiments(paper.name))
    assert [name for name in known if not re.search(rf"\| {name} \|", text)] == []
    assert set(re.findall(r"^\| (E\d+) \|", text, re.M)) <= set(known)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_files_and_modules_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = [link.split("#")[0] for link in LINK.findall(text) if "://" not in link]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    if page.name != "CHANGELOG.md":  # it names what there was
        missing += [file for file in FILE.findall(text) if not (ROOT / file).is_file()]
        missing += [module for module in MODULE.findall(text) if find_spec(module) is None]
    assert missing == []


def test_a_name_that_is_gone_would_be_seen() -> None:
    rows = _method_rows(
        "| a | file | function |\n|---|---|---|\n| \\|D\\| | `x.py` | `f`, `A.g` |\n"
    )
    assert rows == [("x.py", ["f", "A.g"])]
    assert "BMX.retrieve" in _defined(ROOT / "replications/bmx/retrieval/retriever.py")
    assert "BMX.gone" not in _defined(ROOT / "replications/bmx/retrieval/retriever.py")
