"""What messages advise exists: every option and command that a text of the suite names."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from ir_replications.engine.commands.group import COMMANDS, cli
from ir_replications.engine.door import UserPath
from ir_replications.engine.registry import papers

ROOT = Path(__file__).resolve().parents[2]
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
# Programs of others, named with options of theirs.
FOREIGN = re.compile(r"(accelerate launch|trl vllm-serve|pip install|ray start|git |pytest)[^`]*")


@cache
def _group() -> dict[str, click.Command]:
    """ "run", "data fetch", ... -> the command."""
    context = cli.make_context("replicate", ["list"])
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            for sub in command.list_commands(context):
                each = command.get_command(context, sub)
                assert each is not None
                found[f"{name} {sub}"] = each
    return found


def options(command: click.Command) -> set[str]:
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every string of a module that is no docstring, f-strings joined."""
    tree = ast.parse(path.read_text("utf-8"))
    docs, parts = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docs.add(node.value)
        if isinstance(node, ast.JoinedStr):
            parts |= set(node.values)
            words = (p.value if isinstance(p, ast.Constant) else "X" for p in node.values)
            yield node.lineno, "".join(map(str, words))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or node in docs or node in parts:
            continue
        if isinstance(node.value, str):
            yield node.lineno, node.value


def sources() -> list[Path]:
    found = [
        p for name in ("shared", "replications", "reports") for p in (ROOT / name).rglob("*.py")
    ]
    return [path for path in found if not path.name.startswith(("test_", "bench_", "tiny_"))]


@cache
def offered(path: Path) -> set[str]:
    """The options of the commands whose users can read a message of this file."""
    group = _group()
    parts = path.relative_to(ROOT).parts
    if parts[1] == "commands" and (command := group.get(path.stem)):
        return options(command)
    run = options(group["run"])
    if parts[0] == "replications" and parts[1] in papers():
        mine = [group[n] for n in (f"train {parts[1]}", "rerank", "rewrite") if n in group]
        return run.union(*map(options, mine))
    return run.union(*map(options, group.values())) | {"--help"}


# Strings that are given to other programs, not said to a user.
SILENT = {
    "shared/models/wheels.py", "reports/records/provenance.py", "reports/claims/spreads.py",
    "reports/records/commands.py", "replications/engine/commands/machines/emulate.py",
}  # fmt: skip


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_options_named_in_messages_exist_where_they_are_read(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() in SILENT:
        return
    known = offered(path) | {"--help"}
    for line, text in texts(path):
        said = FOREIGN.sub("", re.sub(r"`?replicate [^`]*`?", "", text))
        for option in OPTION.findall(said):
            assert option in known, f"{path}:{line}: {option} in {text!r}"


def test_commands_named_in_messages_exist_with_their_options() -> None:
    group, seen = _group(), 0
    for path in sources():
        for line, text in texts(path):
            for said in re.findall(r"`(replicate [^`]*)`|^(replicate \w[^`]*)$", text):
                words = shlex.split(next(filter(None, said)))[1:]
                name = next(
                    n for n in (" ".join(words[:2]), words[0]) if n in group or n == words[0]
                )
                assert name in group, f"{path}:{line}: {text!r}"
                named = {word for word in words if word.startswith("--")}
                assert named <= options(group[name]) | {"--help"}, f"{path}:{line}: {text!r}"
                seen += 1
    assert seen > 5


def test_the_check_sees_an_option_that_nobody_offers(tmp_path: Path) -> None:
    module = tmp_path / "m.py"
    module.write_text('"""--doc"""\nraise ValueError(f"{1}: choose with --magic or --{2}")\n')
    assert list(texts(module)) == [(2, "X: choose with --magic or --X")]
    assert OPTION.findall("choose with --magic or --X") == ["--magic"]
    assert "--magic" not in offered(ROOT / "shared" / "errors.py")


def test_every_path_that_a_command_takes_follows_one_rule() -> None:
    found = 0
    for command in _group().values():
        for param in command.params:
            if isinstance(param.type, click.Path):
                assert isinstance(param.type, UserPath), (command.name, param.name)
                found += 1
    assert found > 20
