"""The command line: `replicate`, or `python -m replications`."""

from __future__ import annotations

import os
import sys

# Threads of OpenMP spin while they wait; one thread is faster than two on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import click

from replications.commands.attest import attest
from replications.commands.compare import compare
from replications.commands.data import data
from replications.commands.listing import list_papers
from replications.commands.models import models
from replications.commands.report import report
from replications.commands.run import run
from shared.errors import InputError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ir-replications")
def cli() -> None:
    """Run paper replications, check their claims, render the numbers beside the papers'."""


for command in (list_papers, run, attest, report, compare, data, models):
    cli.add_command(command)


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
