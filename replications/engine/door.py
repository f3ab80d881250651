"""What every command is made of: its errors, and the paths that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable
from ir_replications.shared.reading import user_path

HELP = {"help_option_names": ["-h", "--help"]}


class UserPath(click.Path):
    """A path as the user writes it: `~` is the home folder, also in --option=~/x."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; fails as click does where it cannot be one."""
        try:
            value = user_path(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


def tell(text: str, err: bool = False) -> None:
    """Text for the user on stdout, or stderr; no name or id in it acts on the terminal."""
    click.echo(printable(text, lines=True), err=err)


USER_PATH = UserPath()
OUTPUT_FOLDER = UserPath(file_okay=False)
OUTPUT_FILE = UserPath(dir_okay=False)


def user_folder(ref: str) -> Path | None:
    """The folder that a reference names, where it is one; None for an id."""
    path = user_path(ref)
    return path if path.is_dir() else None


def call(command: click.Command, arguments: Sequence[str], name: str) -> int | None:
    """Run a command in this process; its exit status. What it raises is left to `answered`.

    Unlike click's own way it writes no empty line when it is stopped.
    """
    try:
        with command.make_context(name, list(arguments)) as context:
            status: int | None = command.invoke(context)
            return status
    except click.exceptions.Exit as done:
        return done.exit_code
