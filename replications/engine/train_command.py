"""What the papers' train commands share: their form, the options of any run, whom they tell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ir_replications.engine.door import HELP, OUTPUT_FOLDER, USER_PATH, tell, user_folder

if TYPE_CHECKING:
    from ir_replications.engine.context import Context

Function = Callable[..., Any]


def train_command(function: Function) -> click.Command:
    """A command on `recipe`, whose further options stand below this decorator."""
    return click.command(context_settings=HELP)(click.argument("recipe")(function))


def run_options(dry_run: str) -> Callable[[Function], Function]:
    """The options --output, --data-root and --dry-run, of which `dry_run` is the help."""
    options = (
        click.option("--output", type=OUTPUT_FOLDER, help="Run folder."),
        click.option("--data-root", type=USER_PATH, help="Folder of collections."),
        click.option("--dry-run", is_flag=True, help=dry_run),
    )

    def add(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def training_context(names: Iterable[str], data_root: Path | None) -> Context:
    """Where a run finds its collections; a name that is a folder of the user's stands for it."""
    from ir_replications.engine.context import Context  # not for --help: it takes seconds

    folders = {name: path for name in names if (path := user_folder(name))}
    return Context(data_root, folders=folders)


def tell_once(text: str, err: bool = False) -> None:
    """Text for the user, from the first of several processes alone."""
    if os.environ.get("RANK", "0") == "0":
        tell(text, err=err)
