"""Options that several commands share, and the stores they stand for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ir_replications import reports
from ir_replications.engine.door import USER_PATH
from ir_replications.engine.execute import TIERS
from ir_replications.shared.printable import printable

REPORTS_FOLDER = Path(reports.__file__).resolve().parent
IN_CHECKOUT = (REPORTS_FOLDER.parent / "pyproject.toml").is_file()
# Nothing is written into site-packages or a checkout of others: results go below the caller.
_OWN = IN_CHECKOUT and os.access(REPORTS_FOLDER, os.W_OK)
HOME = REPORTS_FOLDER if _OWN else Path("ir-replications")
PUBLISHED = REPORTS_FOLDER / "results"
MACHINES = REPORTS_FOLDER / "machines"
LOCAL = HOME / "local"
PAGES = HOME / "html"

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

tier_option: Option = click.option(
    "--tier", type=click.Choice(TIERS), default=None, help="Scale of data and models."
)
data_root_option: Option = click.option(
    "--data-root",
    type=USER_PATH,
    envvar="IR_REPLICATIONS_DATA",
    show_envvar=True,
    help="Folder of collections in BEIR layout.",
)
store_option: Option = click.option(
    "--store",
    type=USER_PATH,
    default=LOCAL,
    help="Folder of result records (default: reports/local, which git ignores).",
)
json_option: Option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on stdout instead of a table."
)


def show_json(value: object) -> None:
    """The value on stdout; in ASCII, so that no text in it acts on the terminal."""
    click.echo(json.dumps(value, indent=1))


class _Console(Console):
    """What a table holds is data: no character of it acts on the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A text of a table, a title among them."""
        return super().render_str(printable(text, lines=True), **options)

    def on_broken_pipe(self) -> None:
        raise  # BrokenPipeError, which is being handled; `answered` ends it without a word


def console() -> Console:
    """Output for people: as wide as the terminal, or wide enough for every table in a file."""
    # Names of files and collections are data: "[b]" in one is not markup.
    width = None if sys.stdout.isatty() else 160
    return _Console(width=width, markup=False, emoji=False, highlight=False)
