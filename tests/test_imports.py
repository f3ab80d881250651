"""No module of the package needs itself: neither on import nor by what its functions import."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOMES = {"replications": (), "shared": ("shared",), "reports": ("reports",)}


def _modules() -> dict[str, Path]:
    """Module -> file, for every file of the package, its tests included."""
    found = {}
    for folder, prefix in HOMES.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ("ir_replications", *prefix, *parts)
            found[".".join(name).removesuffix(".__init__")] = path
    return found


def _graph(files: dict[str, Path]) -> dict[str, set[str]]:
    """Module -> those it imports, wherever in its file the import stands."""
    return {name: _imported(path.read_text(), set(files)) for name, path in files.items()}


def _imported(text: str, known: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: expected an absolute import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = names & known
            found |= submodules
            if submodules != names:  # `from package import module` alone needs only the module
                found.add(str(node.module))
    return found & known


def _circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_the_modules_have_an_order() -> None:
    files = _modules()
    assert len(files) > 200
    circle = _circle(_graph(files))
    assert not circle, " -> ".join(reversed(circle))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import p.b", "from p.a import x"),
        ("from p import b", "def f():\n    from p.a import x"),
        ("from p.b import y", "if TYPE_CHECKING:\n    import p.a"),
    ],
)
def test_a_circle_is_seen(tmp_path: Path, first: str, second: str) -> None:
    files = {"p": tmp_path / "p.py", "p.a": tmp_path / "a.py", "p.b": tmp_path / "b.py"}
    for path, text in zip(files.values(), ("", first, second), strict=True):
        path.write_text(text)
    assert set(_circle(_graph(files))) == {"p.a", "p.b"}
    files["p.b"].write_text("")
    assert _circle(_graph(files)) == []
