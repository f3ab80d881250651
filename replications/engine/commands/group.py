"""The group of commands `replicate`; a command is imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from ir_replications.engine.door import HELP

# Name -> module:attribute, and the line in the help.
COMMANDS = {
    "list": ("papers.listing:list_papers", "List papers, experiments and the cost of each tier."),
    "run": ("papers.run:run", "Run the experiments of PAPER (or `all`); one record per cell."),
    "bench": ("bench.command:bench", "Which method helps on COLLECTION: one table, one page."),
    "attest": (
        "machines.attest:attest",
        "Run the embedded tier afresh, compare it with the published records, write a file.",
    ),
    "publish": (
        "papers.publish:publish_records",
        "Pack the finished records of PAPER (or `all`) into reports/results.",
    ),
    "report": ("papers.report:report", "Render one page per paper and an index."),
    "new": ("papers.new:new", "Write the folder of a new paper, complete and green."),
    "check": ("papers.check:check", "Check a paper's claims, kinds of numbers and experiments."),
    "compare": ("run_files.compare:compare", "Compare two runs under one set of judgements."),
    "evaluate": ("run_files.evaluate:evaluate_runs", "Measure runs under one set of judgements."),
    "rerank": ("parts.rerank:rerank_command", "Put the first results of a run in a model's order."),
    "rewrite": (
        "parts.rewrite:rewrite_command",
        "Have a model write queries anew for retrieval.",
    ),
    "train": ("parts.train:train", "Train what a paper trains: `replicate train PAPER RECIPE`."),
    "data": ("inputs.data:data", "List, fetch and check collections."),
    "models": ("inputs.models:models", "List, fetch and check models."),
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
