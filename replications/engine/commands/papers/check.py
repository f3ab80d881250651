"""`replicate check`: what is wrong with a paper's folder."""

from __future__ import annotations

import click

from ir_replications.engine.door import tell
from ir_replications.engine.paper_check import faults, summary
from ir_replications.engine.registry import papers
from ir_replications.shared.errors import InputError


@click.command()
@click.argument("names", metavar="[PAPER]...", nargs=-1)
@click.pass_context
def check(context: click.Context, names: tuple[str, ...]) -> None:
    """Check claims, kinds of numbers and experiments of PAPER (default: every paper)."""
    known = papers()
    for name in names:
        if name not in known:
            raise InputError(f"no paper named {name!r}; the papers are: {', '.join(known)}")
    wrong = False
    for paper in names or known:
        found = faults(paper)
        for line in found:
            tell(line, err=True)
        if not found:
            tell(summary(paper))
        wrong |= bool(found)
    context.exit(2 if wrong else 0)
