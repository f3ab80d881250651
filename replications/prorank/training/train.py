"""Train a reranker, on one GPU, several or none.

replicate train prorank RECIPE [--system "stage 1+2"] [--dry-run]
accelerate launch --config_file FILE -m ir_replications train prorank RECIPE
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import click

from ir_replications.engine.door import tell
from ir_replications.engine.train_command import (
    run_options,
    tell_once,
    train_command,
    training_context,
)
from ir_replications.prorank.training.recipe import arithmetic, load_recipe

SYSTEM_NAMES = ["sft", "stage 1", "stage 2", "stage 1+2", "sft+stage 2"]


@train_command
@click.option("--system", type=click.Choice(SYSTEM_NAMES), default="stage 1+2", show_default=True)
@click.option(
    "--data", multiple=True, help="Collection or BEIR folder with train qrels; may be repeated."
)
@click.option("--model", help="Model reference: embedded:, hub:<name>@<revision>, or a folder.")
@click.option("--rewards", type=click.Choice(["both", "format", "relevance"]))
@click.option("--loss", type=click.Choice(["bce", "softmax", "ranknet"]))
@click.option("--seed", type=click.IntRange(0))
@run_options(
    dry_run="Print the batch arithmetic and train nothing; --data is checked as the training does."
)
def main(
    recipe: str,
    system: str,
    data: tuple[str, ...],
    model: str | None,
    rewards: Literal["both", "format", "relevance"] | None,
    loss: Literal["bce", "softmax", "ranknet"] | None,
    seed: int | None,
    output: Path | None,
    data_root: Path | None,
    dry_run: bool,
) -> None:
    """Train RECIPE (a name in recipes/, or a YAML file); a killed run goes on when run again."""
    settings = load_recipe(recipe, data=list(data) or None, model=model, seed=seed)
    if rewards:
        settings = replace(settings, warmup=replace(settings.warmup, rewards=rewards))
    if loss:
        settings = replace(settings, fine_grained=replace(settings.fine_grained, loss=loss))
    if not dry_run or data:
        from ir_replications.prorank.training.data import recipe_data

        found = recipe_data(settings, training_context(settings.data, data_root))
        tell_once("\n".join(found.notes), err=True)
    if dry_run:
        tell("\n".join([f"{settings.name}: {settings.model}", *arithmetic(settings)]))
        return
    from ir_replications.prorank.training.run import train

    stages = train(settings, system, found, output=output)
    for stage in stages:
        if answer := stage.result.get("collapsed_to"):
            tell_once(f"warning: {stage.stage} collapsed to the answer {answer}", err=True)
    tell_once(f"weights in {stages[-1].weights}")
