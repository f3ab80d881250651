"""The group of commands `replicate`; a command is imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from ir_replications.engine.door import HELP

# Name -> module:attribute, and the line in the help.
COMMANDS = {
    "list": ("listing:list_papers", "List papers, experiments and the cost of each tier."),
    "run": ("run:run", "Run the experiments of PAPER (or `all`); one record per cell."),
    "bench": ("bench:bench", "Which method helps on COLLECTION: one table, one page."),
    "attest": (
        "attest:attest",
        "Run the embedded tier afresh, compare it with the published records, write a file.",
    ),
    "publish": (
        "publish:publish_records",
        "Pack the finished records of PAPER (or `all`) into reports/results.",
    ),
    "report": ("report:report", "Render one page per paper and an index."),
    "new": ("new:new", "Write the folder of a new paper, complete and green."),
    "check": ("check:check", "Check a paper's claims, kinds of numbers and experiments."),
    "compare": ("compare:compare", "Compare two runs under one set of judgements."),
    "evaluate": ("evaluate:evaluate_runs", "Measure runs under one set of judgements."),
    "rerank": ("rerank:rerank_command", "Put the first results of a run in a model's order."),
    "rewrite": (
        "rewrite:rewrite_command",
        "Have a model write queries anew for retrieval.",
    ),
    "train": ("train:train", "Train what a paper trains: `replicate train PAPER RECIPE`."),
    "data": ("data:data", "List, fetch and check collections."),
    "models": ("models:models", "List, fetch and check models."),
}


class LazyGroup(click.Group):
    """The commands of COMMANDS; the help of the group imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the help."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported now; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f"ir_replications.engine.commands.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin so; none is imported for its help."""
        found = [
            CompletionItem(name, help=COMMANDS[name][1])
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings=HELP)
@click.version_option(package_name="ir-replications")
def cli() -> None:
    """Run paper replications, check their claims, render the numbers beside the papers'."""
