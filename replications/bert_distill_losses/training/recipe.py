"""A training recipe: data, lengths and optimiser of teacher and students.

The paper's settings are not known: every value here is ours, or of the source that a comment names.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from ir_replications.shared.errors import InputError
from ir_replications.shared.training import Updates, bounds, named_recipe

RECIPES = Path(__file__).parent / "recipes"
HEADS = ("cls", "cls+cosine")
Kind = Literal["teacher", "student"]


@dataclass(frozen=True)
class Rounds(Updates):
    """Updates of a teacher or a student; a batch is `groups_per_step` groups of documents."""

    learning_rate: bounds.Rate = 1e-4
    weight_decay: Annotated[float, bounds.Bounds(0, 10)] = 0.01
    groups_per_step: bounds.Batch = 16
    probe_steps: bounds.Steps = (
        20  # gradient norms of ranking and layers are measured every so many steps
    )

    @property
    def groups(self) -> int:
        """Groups in all steps."""
        return self.steps * self.groups_per_step


@dataclass(frozen=True)
class Recipe:
    """Teacher and students on the same collections. Lengths count tokens."""

    name: bounds.Name
    teacher_model: bounds.Ref
    data: bounds.Refs  # collections with training queries; each gives as much as the others
    teacher: Rounds
    student: Rounds
    # The student begins as this model's first layers; "" takes the teacher's model.
    student_model: str = ""
    student_layers: Annotated[int, bounds.Bounds(1, 200)] = 2
    head: str = "cls"
    # Collections that the models are judged on: training queries near one of theirs are left out.
    held_out: tuple[bounds.Ref, ...] = ()
    negatives: bounds.Depth = 1  # the paper trains on pairs
    candidates: bounds.Depth = 100  # depth of the first stage that negatives are drawn from
    unlabelled: bounds.Share = (
        0.0  # share of the students' groups that are candidates without a label
    )
    query_length: bounds.Length = 32
    max_length: bounds.Length = 96  # query, document and special tokens
    token_types: Literal["zero", "pair"] = "zero"
    margin: bounds.Weight = 1.0  # of the hinge: the usual one
    teacher_loss: Literal["hinge", "ranknet", "bce", "lce"] = "hinge"
    teacher_negatives: Annotated[int, bounds.Bounds(0, 10_000)] = 0  # 0: as many as students have
    # Margin-MSE to the margins of the model's own cosines as an embedder, times the head's first
    # scale: few labelled queries would make it forget the others.
    teacher_guided: bool = False
    freeze_word_embeddings: bool = True  # four in five parameters of a small student
    precision: bounds.Precision = "bfloat16"
    threads: bounds.Few = (
        1  # on a CPU, so that every arm is rounded alike; run several arms side by side
    )
    split: str = ""  # of the training queries; "" is the usual one (shared.training.pairs)
    note: str = ""

    def __post_init__(self) -> None:
        bounds.check_bounds(self, self.name)
        if self.head not in HEADS:
            raise InputError(f"{self.name}: head {self.head!r}, expected one of {HEADS}")
        if self.max_length < self.query_length + 4:
            raise InputError(
                f"{self.name}: max_length {self.max_length}; expected 4 more than query_length "
                f"({self.query_length}) or more, for three special tokens and one of the document"
            )

    def rounds(self, kind: Kind) -> Rounds:
        """The updates of the teacher or of a student."""
        return self.teacher if kind == "teacher" else self.student

    def negatives_of(self, kind: Kind) -> int:
        """Negatives in a group of the teacher or of a student."""
        return (self.teacher_negatives if kind == "teacher" else 0) or self.negatives

    def unlabelled_of(self, kind: Kind) -> float:
        """The share of a student's groups that have no label; a teacher's all have one."""
        return 0.0 if kind == "teacher" else self.unlabelled

    def request(self, kind: Kind) -> dict[str, Any]:
        """The settings that decide the weights of a teacher or a student."""
        values = asdict(self)
        rounds = values[kind]
        for name in ("name", "note", "threads", "teacher", "student"):
            del values[name]
        if kind == "teacher":
            for name in ("student_model", "student_layers", "unlabelled"):
                del values[name]
        else:
            for name in ("teacher_loss", "teacher_negatives", "teacher_guided"):
                del values[name]
        del rounds["save_steps"], rounds["probe_steps"]
        if not self.split:  # what was trained before there was a choice
            del values["split"]
        return {"kind": kind, **values, "rounds": rounds}


def load_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe by the name of its file in recipes/, or by path; `changes` replace settings."""
    return named_recipe(RECIPES, name, Recipe, **changes)
