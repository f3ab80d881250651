"""`replicate list`: the papers, their experiments and what each tier costs."""

from __future__ import annotations

import click

from ir_replications.engine.commands.options import Table, console
from ir_replications.engine.door import tell
from ir_replications.engine.experiment import TIERS
from ir_replications.engine.paper_check import broken_line, unreadable
from ir_replications.engine.registry import experiments, papers


@click.command("list")
def list_papers() -> None:
    """List papers, experiments and the cost of each tier."""
    broken = {}
    for paper in papers():
        if found := unreadable(paper):
            broken[paper] = broken_line(paper, found)
            continue
        table = Table(title=paper, title_justify="left")
        table.add_column("id", no_wrap=True)
        for column in ("what", *TIERS):
            table.add_column(column)
        for experiment in experiments(paper).values():
            costs = [experiment.cost.get(tier, "-") for tier in TIERS]
            table.add_row(experiment.id, experiment.title, *costs)
        console().print(table)
    for paper, line in broken.items():
        tell(f"{paper}: cannot be used: {line}")
