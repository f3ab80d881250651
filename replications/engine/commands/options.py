"""Options that several commands share, and the stores they stand for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from ir_replications import reports
from ir_replications.engine.door import USER_PATH
from ir_replications.engine.experiment import TIERS
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


def paper_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Papers that begin so, for the shell's completion."""
    from ir_replications.engine.registry import papers

    return [name for name in [*papers(), "all"] if name.startswith(incomplete)]


def collection_names(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ids of the manifest that begin so; where none does, folders, for the shell's completion."""
    from ir_replications.shared.data.manifest import manifest

    found = [CompletionItem(n) for n in ("pydocs", *manifest()) if n.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="dir")]


class Table(RichTable):
    """A table none of whose words is cut: one that is too long for its column goes on below.

    Columns with `no_wrap` (ids, numbers) stay whole as long as there is room for them all; after
    that ids, which are on the left, go on below as well.
    """

    def add_column(self, header: Any = "", footer: Any = "", **options: Any) -> None:
        """A column, as in rich; numbers, on the right, stay whole."""
        number = options.get("justify") == "right"
        chosen: dict[str, Any] = {"overflow": "fold", "no_wrap": number} | options
        super().add_column(header, footer, **chosen)

    def fits(self, width: int, folded: int = 12) -> bool:
        """Whether columns with `no_wrap` stay whole and every other has `folded` characters."""
        needed = 1
        for column in self.columns:
            texts = [str(column.header), *map(str, column.cells)]
            longest = max(map(cell_len, texts))
            needed += 3 + (longest if column.no_wrap else min(longest, folded))
        return needed <= width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As in rich, once it is known what fits."""
        if not self.fits(options.max_width, folded=1):
            for column in self.columns:
                column.no_wrap = column.no_wrap and column.justify == "right"
        yield from super().__rich_console__(console, options)


class _Console(Console):
    """What a table holds is data: no character of it acts on the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A text of a table, a title among them."""
        return super().render_str(printable(text, lines=True), **options)

    def on_broken_pipe(self) -> None:
        raise  # BrokenPipeError, which is being handled; `answered` ends it without a word


def console() -> Console:
    """Output for people: as wide as the terminal or COLUMNS, else wide enough for every table."""
    # Names of files and collections are data: "[b]" in one is not markup.
    asked = os.environ.get("COLUMNS", "")
    width = None if sys.stdout.isatty() or (asked.isdecimal() and int(asked)) else 160
    return _Console(width=width, markup=False, emoji=False, highlight=False)
