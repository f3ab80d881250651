"""The command line: `replicate`, or `python -m replications`."""

from __future__ import annotations

import os
import sys
from importlib import import_module

# Threads of OpenMP spin while they wait; one thread is faster than two on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import click

from shared.errors import InputError

# Name -> module:attribute, and the line in the help: a command is imported when it is called.
COMMANDS = {
    "list": ("listing:list_papers", "List papers, experiments and the cost of each tier."),
    "run": ("run:run", "Run the experiments of PAPER (or `all`); one record per cell."),
    "attest": (
        "attest:attest",
        "Run the embedded tier afresh, compare it with the published records, write a file.",
    ),
    "report": ("report:report", "Render one page per paper and an index."),
    "compare": ("compare:compare", "Compare two runs under one set of judgements."),
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
        command = getattr(import_module(f"replications.commands.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ir-replications")
def cli() -> None:
    """Run paper replications, check their claims, render the numbers beside the papers'."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; bad input is one line on stderr and exit status 2."""
    try:
        return cli.main(arguments, "replicate", standalone_mode=False) or 0
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        return 2
    except click.UsageError as error:
        message = error.format_message()
        command = error.ctx.command_path if error.ctx else "replicate"
        # Without any argument the message is the help text itself.
        is_help = "\n" in message
        click.echo(message if is_help else f"error: {message} (see {command} --help)", err=True)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror or error}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; finished cells are kept, run the same command to go on", err=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
