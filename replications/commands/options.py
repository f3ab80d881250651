"""Options that several commands share, and the stores they stand for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import reports
from replications.execute import TIERS

REPORTS_FOLDER = Path(reports.__file__).resolve().parent
IN_CHECKOUT = (REPORTS_FOLDER.parent / "pyproject.toml").is_file()
# An installed package must not write into site-packages: there, results go below the caller.
HOME = REPORTS_FOLDER if IN_CHECKOUT else Path("ir-replications")
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
    type=click.Path(path_type=Path),
    envvar="IR_REPLICATIONS_DATA",
    show_envvar=True,
    help="Folder of collections in BEIR layout.",
)
store_option: Option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=LOCAL,
    help="Folder of result records (default: reports/local, which git ignores).",
)


def console() -> Console:
    """Output for people: as wide as the terminal, or wide enough for every table in a file."""
    # Names of files and collections are data: "[b]" in one is not markup.
    width = None if sys.stdout.isatty() else 160
    return Console(width=width, markup=False, emoji=False, highlight=False)
