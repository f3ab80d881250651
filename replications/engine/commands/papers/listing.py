"""`replicate list`: the papers, their experiments and what each tier costs."""

from __future__ import annotations

import click

from ir_replications.engine.commands.options import Table, console, json_option, show_json
from ir_replications.engine.door import tell
from ir_replications.engine.experiment import TIERS
from ir_replications.engine.outlines import outlines


@click.command("list")
@json_option
def list_papers(as_json: bool) -> None:
    """List papers, experiments and the cost of each tier."""
    sound, broken = outlines()
    if as_json:
        every = [{"paper": paper} | row for paper, rows in sound.items() for row in rows]
        show_json({"experiments": every, "cannot be used": broken})
        return
    for paper, rows in sound.items():
        table = Table(title=paper, title_justify="left")
        table.add_column("id", no_wrap=True)
        for column in ("what", *TIERS):
            table.add_column(column)
        for row in rows:
            costs = [cost or "-" for cost in row["cost"].values()]
            table.add_row(row["experiment"], row["what"], *costs)
        console().print(table)
    for paper, line in broken.items():
        tell(f"{paper}: cannot be used: {line}")
