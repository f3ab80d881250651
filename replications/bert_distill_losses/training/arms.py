"""The arms: which losses a student learns from, with which weights, in which order.

Names and contents are those of the plan (plan.md). Every arm sees the same groups in the same
order; what differs is written here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ir_replications.bert_distill_losses.method.ranking_losses import HARD, SOFT
from ir_replications.shared.errors import InputError

SCHEDULES = ("one step", "two steps", "layers, then head")
TEACHERS = ("single", "ensemble", "cross-fitted")
CONVENTIONS = ("valid", "tinybert")  # of padding, as in layer_losses, which needs torch
INITS = ("pre-trained", "teacher")
CHANGES = (
    "temperature", "hard_weight", "teacher", "swapped", "labelled", "schedule", "convention",
)  # fmt: skip
WITH_TEMPERATURE = ("pair-kl", "list-kl", "soft-ce")
TINYBERT = {"embedding": 1.0, "hidden": 1.0, "attention": 1.0}  # its weights are all 1


@dataclass(frozen=True)
class Arm:
    """What one student learns from.

    `hard` and `soft` name losses of ranking_losses, "" for none; `temperature` is for the losses
    that have one. `hard_weight` is that of the hard loss beside a soft one, which has weight 1.
    `layers` maps terms of layer_objective to weights. `schedule`: all at once, the
    layers' terms for half of the steps and the ranking's for the others (TinyBERT), or the latter
    for the head alone. `layer_teacher` gives the layers' targets: the fine-tuned teacher or the
    pre-trained model it began as. `swapped`: share of the labelled groups whose label is wrong;
    `labelled`: share that has one; `shuffled`: the teacher's scores are those of
    other groups, and of any of their documents.
    """

    title: str
    hard: str = ""
    soft: str = ""
    temperature: float = 1.0
    hard_weight: float = 1.0
    layers: Mapping[str, float] = field(default_factory=dict)
    convention: str = "valid"
    schedule: str = "one step"
    teacher: str = "single"
    layer_teacher: str = "fine-tuned"
    shuffled: bool = False
    swapped: float = 0.0
    labelled: float = 1.0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("schedule", self.schedule, SCHEDULES),
            ("convention", self.convention, CONVENTIONS),
            ("teacher", self.teacher, TEACHERS),
            ("layer_teacher", self.layer_teacher, ("fine-tuned", "pre-trained")),
            ("hard", self.hard, ("", *HARD)),
            ("soft", self.soft, ("", *SOFT)),
        ):
            if value not in known:
                raise InputError(f"{self.title}: {name} {value!r}, expected one of {known}")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"{self.title}: temperature {self.temperature}, expected above 0")
        if not 0 < self.hard_weight < math.inf:
            raise InputError(f"{self.title}: hard_weight {self.hard_weight}, expected above 0")
        if not all(0 <= weight < math.inf for weight in self.layers.values()):
            raise InputError(f"{self.title}: weights {dict(self.layers)}, expected 0 or above")
        if not self.hard and not self.soft:
            raise InputError(f"{self.title}: expected a loss of labels or of the teacher's scores")
        if self.schedule != "one step" and not any(self.layers.values()):
            raise InputError(f"{self.title}: schedule {self.schedule!r} needs losses on layers")
        if not 0 <= self.swapped <= 1 or not 0 < self.labelled <= 1:
            raise InputError(
                f"{self.title}: swapped {self.swapped}, labelled {self.labelled}: expected shares"
            )

    @property
    def needs_teacher(self) -> bool:
        """Whether the teacher's scores are learnt from."""
        return bool(self.soft)


HINGE = Arm("hinge (hard, pairwise)", hard="hinge")
MARGIN_MSE = Arm("Margin-MSE (soft)", soft="margin-mse")
PAIR_KL = Arm("pair KL (soft, T = 1)", soft="pair-kl")
BOTH = Arm("hinge + Margin-MSE", hard="hinge", soft="margin-mse")  # what A11 to A17 add to

ARMS: dict[str, Arm] = {
    "A1": Arm("BCE (hard, pointwise)", hard="bce"),
    "A2": HINGE,
    "A3": Arm("RankNet (hard, pairwise)", hard="ranknet"),
    "A4": Arm("pointwise MSE (soft)", soft="pointwise-mse"),
    "A5": MARGIN_MSE,
    "A6": PAIR_KL,
    "A7": Arm("hinge + pointwise MSE", hard="hinge", soft="pointwise-mse"),
    "A8": BOTH,
    "A9": Arm("hinge + pair KL", hard="hinge", soft="pair-kl"),
    "A10": Arm("BCE + pointwise MSE", hard="bce", soft="pointwise-mse"),
    "A11": replace(BOTH, title="A8 + hidden states", layers={"hidden": 1.0}),
    "A12": replace(BOTH, title="A8 + attention scores", layers={"attention": 1.0}),
    "A13": replace(BOTH, title="A8 + embeddings, hidden states, attention", layers=TINYBERT),
    "A14": replace(
        BOTH, title="A13 with weight 0.01", layers={term: 0.01 for term in TINYBERT}
    ),
    "A15": replace(BOTH, title="A13 in two steps", layers=TINYBERT, schedule="two steps"),
    "A16": replace(BOTH, title="A8 + MiniLM relations", layers={"minilm": 1.0}),
    "A17": replace(
        BOTH, title="layers alone, then the head", layers=TINYBERT, schedule="layers, then head"
    ),
    "C1": replace(BOTH, title="A8, teacher's scores of other groups in any order", shuffled=True),
    "C2": replace(
        BOTH, title="A13, targets of the pre-trained model", layers=TINYBERT,
        layer_teacher="pre-trained",
    ),
    "C3": replace(HINGE, title="A2, 30 % of the labels wrong", swapped=0.3),
}  # fmt: skip


def arm_of(config: Mapping[str, Any]) -> Arm:
    """The arm that a cell's config names, with the changes that its other keys ask for.

    `weight` is then that of every loss on layers; `temperature`, `hard_weight`, `teacher`,
    `swapped`, `labelled`, `schedule` and `convention` replace the arm's. Raises InputError for an
    unknown arm, and for a weight, a temperature, a hard_weight or a teacher where the arm has
    nothing that it would change.
    """
    name = config["arm"]
    if name not in ARMS:
        raise InputError(f"arm {name!r}: expected one of {', '.join(ARMS)}")
    arm = ARMS[name]
    changes = {key: config[key] for key in CHANGES if key in config}
    for key, needed in (
        ("weight", arm.layers),
        ("teacher", arm.needs_teacher),
        ("temperature", arm.soft in WITH_TEMPERATURE),
        ("hard_weight", arm.hard and arm.soft),
    ):
        if key in config and not needed:
            raise InputError(f"arm {name}, {arm.title}: has nothing that a {key} would change")
    if "weight" in config:
        changes["layers"] = {term: float(config["weight"]) for term in arm.layers}
    return replace(arm, **changes)
