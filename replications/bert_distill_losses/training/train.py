"""Train teachers and students, on one GPU, several or none.

replicate train bert_distill_losses RECIPE [--arm A8]
accelerate launch --config_file FILE -m ir_replications train bert_distill_losses RECIPE
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from ir_replications.bert_distill_losses.training.arms import ARMS, INITS, TEACHERS, Arm, arm_of
from ir_replications.bert_distill_losses.training.recipe import Kind, Recipe
from ir_replications.engine.door import tell
from ir_replications.engine.train_command import (
    run_options,
    tell_once,
    train_command,
    training_context,
)
from ir_replications.shared.entry import say
from ir_replications.shared.errors import DivergedError, InputError


@train_command
@click.option(
    "--arm", "arms", multiple=True, help="Arm of the plan, may be repeated; none: the teacher."
)
@click.option(
    "--seed", "seeds", type=click.IntRange(0), multiple=True,
    help="May be repeated [default: 1; 11].",
)  # fmt: skip
@click.option("--init", type=click.Choice(INITS), help=f"Where it begins [default: {INITS[0]}].")
@click.option("--teacher", type=click.Choice(TEACHERS), help="Instead of the arm's own.")
@click.option("--weight", type=float, help="Weight of the losses on layers.")
@click.option("--hard-weight", type=float, help="Weight of the hard loss beside a soft one.")
@click.option("--unlabelled", type=float, help="Share of groups without a label.")
@click.option("--temperature", type=float, help="Of the losses that have one.")
@click.option("--layers", type=click.IntRange(1), help="Layers of the student.")
@click.option(
    "--data", multiple=True,
    help="In the place of the recipe's: a BEIR folder or a collection id, may be repeated; or a "
    'file of pairs, {"query", "document", "label"} a line.',
)  # fmt: skip
@click.option("--split", help="Judgements of --data to train on [default: train].")
@click.option("--rate", type=float, help="Learning rate.")
@click.option("--development", is_flag=True, help="Measure on the development queries as well.")
@run_options(
    dry_run="Print what would be trained and train nothing; --data is checked as the training does."
)
def main(
    recipe: str,
    arms: tuple[str, ...],
    seeds: tuple[int, ...],
    init: str | None,
    teacher: str | None,
    weight: float | None,
    hard_weight: float | None,
    unlabelled: float | None,
    temperature: float | None,
    layers: int | None,
    rate: float | None,
    data: tuple[str, ...],
    split: str | None,
    output: Path | None,
    data_root: Path | None,
    development: bool,
    dry_run: bool,
) -> int:
    """Train RECIPE (a name in recipes/, or a YAML file); a killed run goes on when run again."""
    changes = {
        "teacher": teacher, "weight": weight, "hard_weight": hard_weight,
        "temperature": temperature,
    }  # fmt: skip
    changes = {name: value for name, value in changes.items() if value is not None}
    of_students = changes | {
        "init": init, "layers": layers, "rate": rate, "unlabelled": unlabelled,
    }  # fmt: skip
    if not arms and (given := [n for n, v in of_students.items() if v is not None]):
        option = given[0].replace("_", "-")
        raise InputError(f"--{option} is for students: name one with --arm, as --arm A8")
    if rate is not None and not 0 < rate < math.inf:
        raise InputError(f"--rate {rate}: expected a number above 0")
    from ir_replications.bert_distill_losses.training.distill import own_recipe, prepared

    if split is not None and not data:
        raise InputError("--split is of --data: name a folder or a collection")
    settings, pairs = own_recipe(recipe, data, split)
    if unlabelled is not None:
        settings = replace(settings, unlabelled=unlabelled)
    chosen = {name: arm_of({"arm": name, **changes}) for name in arms}
    kind: Kind = "student" if arms else "teacher"
    runs = [(name, seed) for seed in seeds or ((1,) if arms else (11,))
            for name in chosen or ("",)]  # fmt: skip
    if output and len(runs) > 1:
        raise InputError(f"--output holds one run; {len(runs)} are asked for")
    if dry_run:
        for name, seed in runs:
            if data:
                told = prepared(settings, kind, seed, pairs, data_root, chosen.get(name))
                tell("\n".join(told.notes), err=True)
            tell(_dry(settings, name, chosen.get(name), seed, kind))
        return 0
    from ir_replications.bert_distill_losses.experiments.students import student_cell
    from ir_replications.bert_distill_losses.training.run import train_student, train_teacher

    failed = []
    for name, seed in runs:
        ready = prepared(settings, kind, seed, pairs, data_root, chosen.get(name))
        if data:
            tell_once("\n".join(ready.notes), err=True)
        try:
            if name:
                ours = student_cell(name, seed, settings.name).get("rate")
                trained = train_student(
                    settings, chosen[name], seed, ready.data, init=init or INITS[0], layers=layers,
                    learning_rate=ours if rate is None else rate, output=output,
                )  # fmt: skip
            else:
                trained = train_teacher(settings, seed, ready.data, output=output)
        except DivergedError as error:
            failed.append(error)
            continue
        tell_once(f"{name or 'teacher'}, seed {seed}: weights in {trained.weights}")
        if development:
            context = training_context(settings.data, data_root)
            tell_once(_measured(settings, trained.weights, context))
    for problem in failed:
        say(f"error: {problem}")
    return 2 if failed else 0


def _dry(settings: Recipe, name: str, arm: Arm | None, seed: int, kind: Kind) -> str:
    rounds, width = settings.rounds(kind), 1 + settings.negatives_of(kind)
    told = [arm.title] if arm else []
    if arm and arm != ARMS[name]:
        told += [
            f"{entry.name} {dict(value) if isinstance(value, Mapping) else value}"
            for entry in fields(arm)
            if (value := getattr(arm, entry.name)) != getattr(ARMS[name], entry.name)
        ]
    if name and settings.unlabelled:
        told.append(f"unlabelled {settings.unlabelled:g}")
    title = f" ({'; '.join(told)})" if told else ""
    return (
        f"{name or 'teacher'}{title}, seed {seed}: "
        f"{rounds.steps} steps x {rounds.groups_per_step} groups of {width} documents = "
        f"{rounds.groups * width:,} pairs"
    )


def _measured(settings: Any, weights: Path, context: Any) -> str:
    """nDCG@10 on the development queries of each collection that has some, and their mean."""
    from ir_replications.bert_distill_losses.experiments.students import DEPTH
    from ir_replications.bert_distill_losses.experiments.systems import development_task, saved
    from ir_replications.bert_distill_losses.training.data import development

    scorer, found = saved(weights, settings), {}
    for name in settings.data:
        if development(name, context, settings.split)[1]:
            task = development_task(name, DEPTH, context)
            found[name] = task.reranked(scorer.score(task.couples)).means["nDCG@10"]
            found[f"{name}, BM25"] = task.measured(task.run).means["nDCG@10"]
    for what in ("", ", BM25"):
        each = [v for n, v in found.items() if n.endswith(", BM25") == bool(what)]
        if each:
            found[f"mean{what}"] = sum(each) / len(each)
    return ", ".join(f"{name} {value:.4f}" for name, value in found.items())
