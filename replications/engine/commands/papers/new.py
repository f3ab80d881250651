"""`replicate new`: the folder of a new paper, complete and green, to be changed file by file."""

from __future__ import annotations

import click

from ir_replications.engine.commands.options import IN_CHECKOUT
from ir_replications.engine.door import tell
from ir_replications.engine.new_paper import write_new_paper
from ir_replications.engine.registry import PAPERS_FOLDER
from ir_replications.shared.errors import InputError


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write the folder of a new paper, NAME, with one equation, one experiment and two claims."""
    if not IN_CHECKOUT:
        raise InputError("a paper is added in a clone of the suite; this is none")
    folder = write_new_paper(name, PAPERS_FOLDER)
    tell(f"written: {folder}")
    tell(f"next: replicate check {name}; pytest {folder.parent.name}/{name}; replicate run {name}")
    tell(f'only if it needs further packages: {name} = ["..."] among the extras of pyproject.toml')
