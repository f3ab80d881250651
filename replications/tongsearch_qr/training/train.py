"""Train a query reasoner, on one GPU, several or none.

replicate train tongsearch_qr RECIPE [--dry-run]
accelerate launch --config_file FILE -m ir_replications train tongsearch_qr RECIPE
"""

from __future__ import annotations

from pathlib import Path

import click

from ir_replications.engine.door import tell
from ir_replications.engine.train_command import run_options, tell_once, train_command
from ir_replications.tongsearch_qr.training.recipe import arithmetic, load_recipe


@train_command
@click.option("--method", type=click.Choice(["grpo", "sft"]), default="grpo")
@click.option("--data", help="Stack Exchange records, a BEIR folder with train qrels, or pydocs.")
@click.option("--model", help="Model reference: embedded:, hub:<name>@<revision>, or a folder.")
@click.option("--seed", type=click.IntRange(0))
@click.option("--max-steps", type=click.IntRange(1))
@run_options(
    dry_run="Print the batch arithmetic and train nothing; --data is checked as the training does."
)
def main(
    recipe: str,
    method: str,
    data: str | None,
    model: str | None,
    seed: int | None,
    max_steps: int | None,
    output: Path | None,
    data_root: Path | None,
    dry_run: bool,
) -> None:
    """Train RECIPE (a name in recipes/, or a YAML file); a killed run goes on when run again."""
    settings = load_recipe(recipe, data=data, model=model, seed=seed, max_steps=max_steps)
    if dry_run:
        if data:
            from ir_replications.tongsearch_qr.training.run import training_rows

            rows = training_rows(settings, data_root)
            tell(f"{len(rows.train):,} questions to train on", err=True)
        tell("\n".join([f"{settings.name}: {settings.model}", *arithmetic(settings)]))
        return
    from ir_replications.tongsearch_qr.training.run import train

    trained = train(settings, method, output=output, data_root=data_root)
    tell_once(f"weights in {trained.weights}")
