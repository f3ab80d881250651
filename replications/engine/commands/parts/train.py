"""`replicate train PAPER RECIPE`: the train command of each paper that has one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import CompletionItem

import ir_replications
from ir_replications.shared.errors import InputError

PAPERS_FOLDER = Path(ir_replications.__file__).resolve().parent


class TrainGroup(click.Group):
    """The papers with a training/train.py; only the one that is asked for is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Papers, sorted."""
        return sorted(path.parts[-3] for path in PAPERS_FOLDER.glob("*/training/train.py"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The paper's own command, `main` of its training/train.py; None for another name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"ir_replications.{cmd_name}.training.train").main
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Papers that begin so."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; a paper without training is said to be one."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            raise InputError(
                f"{args[0]!r:.80} is no paper that trains; expected one of {', '.join(known)}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the papers, without importing one."""
        with formatter.section("Papers"):
            formatter.write_dl(
                [(name, f"replicate train {name} --help") for name in self.list_commands(ctx)]
            )


@click.group(cls=TrainGroup, subcommand_metavar="PAPER RECIPE [OPTIONS]")
def train() -> None:
    """Train what a paper trains, by a RECIPE: a name in its training/recipes, or a YAML file.

    On one device as it stands; on several: accelerate launch -m ir_replications train PAPER RECIPE.
    """
