"""Which of the project's own files a module runs on: found by its imports, not kept by hand.

What is kept for later (trained weights, scores, generated texts) names the digest of the code that
made it, so that other code makes it anew.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

import ir_replications

PACKAGE = "ir_replications"
# The folders of a checkout, or of the installed package, by what their modules' names begin with.
HOMES = {
    f"{PACKAGE}.shared": Path(__file__).resolve().parent,
    PACKAGE: Path(ir_replications.__file__).resolve().parent,
}
# They find, run and record cells, and tell the user: no result depends on them.
WITHOUT = (
    "ir_replications.engine.context",
    "ir_replications.engine.execute",
    "ir_replications.engine.experiment",
    "ir_replications.engine.jobs",
    "ir_replications.engine.registry",
    "ir_replications.shared.errors",
    "ir_replications.shared.hub.errors",
    "ir_replications.shared.own_code",
    "ir_replications.shared.progress",
)


@cache
def code_of(*modules: str) -> str:
    """Hex sha256 of the modules and of all that they import, by name and content.

    Comments count, and so do imports inside functions; reports/ and WITHOUT do not. It is that of
    the code as it was when this process first asked.
    """
    digest = hashlib.sha256()
    for name, path in sorted(files_of(*modules).items()):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def files_of(*modules: str) -> dict[str, Path]:
    """Module -> file of the modules and of all of the project's that they import."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or name in found or name in WITHOUT:
            continue
        found[name] = path
        waiting += _imported(path, name)
    return found


def _file(module: str) -> Path | None:
    """The file of one of the project's modules; None for any other name."""
    for prefix, home in HOMES.items():
        if module == prefix or module.startswith(f"{prefix}."):
            path = home.joinpath(*module[len(prefix) :].split(".")[1:])
            files = (path.with_suffix(".py"), path / "__init__.py")
            return next((file for file in files if file.is_file()), None)
    return None


@cache
def _imported(path: Path, module: str) -> frozenset[str]:
    """Every module that a file may import, and every name that may be one."""
    found: set[str] = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(filter(None, [*above, base]))
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")  # importing a.b.c runs a and a.b first
            found.update(".".join(parts[:n]) for n in range(1, len(parts) + 1))
    return frozenset(found)
