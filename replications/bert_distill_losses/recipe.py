"""A training recipe: data, lengths and optimiser of teacher and students.

The paper's settings are not known: every value here is ours, or of the source that a comment names.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from shared.errors import InputError
from shared.training import Updates, read_recipe

RECIPES = Path(__file__).parent / "recipes"
HEADS = ("cls", "cls+cosine")
Kind = Literal["teacher", "student"]


@dataclass(frozen=True)
class Rounds(Updates):
    """Updates of a teacher or a student; a batch is `groups_per_step` groups of documents."""

    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    groups_per_step: int = 16
    probe_steps: int = 20  # gradient norms of ranking and layers are measured every so many steps

    @property
    def groups(self) -> int:
        """Groups in all steps."""
        return self.steps * self.groups_per_step

    def check(self, name: str) -> None:
        """Raise InputError for values that cannot be."""
        super().check(name)
        if self.groups_per_step < 1 or self.probe_steps < 1:
            raise InputError(f"{name}: expected groups_per_step and probe_steps above 0")


@dataclass(frozen=True)
class Recipe:
    """Teacher and students on the same collections. Lengths count tokens."""

    name: str
    teacher_model: str
    data: tuple[str, ...]  # collections with training queries; each gives as much as the others
    teacher: Rounds
    student: Rounds
    # The student begins as this model's first layers; "" takes the teacher's model.
    student_model: str = ""
    student_layers: int = 2
    head: str = "cls"
    # Collections that the models are judged on: training queries near one of theirs are left out.
    held_out: tuple[str, ...] = ()
    negatives: int = 1  # the paper trains on pairs
    candidates: int = 100  # depth of the first stage that negatives are drawn from
    unlabelled: float = 0.0  # share of the students' groups that are candidates without a label
    query_length: int = 32
    max_length: int = 96  # query, document and special tokens
    token_types: Literal["zero", "pair"] = "zero"
    margin: float = 1.0  # of the hinge: the usual one
    teacher_loss: Literal["hinge", "ranknet", "bce", "lce"] = "hinge"
    teacher_negatives: int = 0  # 0: as many as students have
    # Margin-MSE to the margins of the model's own cosines as an embedder, times the head's first
    # scale: few labelled queries would make it forget the others.
    teacher_guided: bool = False
    freeze_word_embeddings: bool = True  # four in five parameters of a small student
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    threads: int = 1  # on a CPU, so that every arm is rounded alike; run several arms side by side
    note: str = ""

    def __post_init__(self) -> None:
        self.teacher.check(f"{self.name}: teacher")
        self.student.check(f"{self.name}: student")
        if self.head not in HEADS:
            raise InputError(f"{self.name}: head {self.head!r}, expected one of {HEADS}")
        if not self.data or self.student_layers < 1 or self.negatives < 1:
            raise InputError(
                f"{self.name}: expected data, student_layers and negatives of at least 1"
            )
        if self.teacher_negatives < 0:
            raise InputError(
                f"{self.name}: teacher_negatives {self.teacher_negatives}, expected 0 or more"
            )
        if self.threads < 1:
            raise InputError(f"{self.name}: threads {self.threads}, expected 1 or more")
        if not 0 <= self.unlabelled < 1:
            raise InputError(f"{self.name}: unlabelled {self.unlabelled}, expected 0 up to below 1")

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
        return {"kind": kind, **values, "rounds": rounds}


def load_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe by the name of its file in recipes/, or by path; `changes` replace settings."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise InputError(f"no recipe {name!r}; expected a .yaml file or one of {known}")
    return read_recipe(path, Recipe, **changes)
