"""What the hinge adds to a soft loss in every study: weights, teachers, labels (C-1 again)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ir_replications.bert_distill_losses.experiments.contrasts import Row, between
from ir_replications.bert_distill_losses.experiments.e4_labels import CHANGES
from ir_replications.reports.records.record import Record

PAIRS = (("A8", "A5"), ("A9", "A6"))  # with the hinge, without
AT_ONE_RATE: dict[str, dict[str, Any]] = {"A5": {}, "A6": {"temperature": 1.0}}


def hinge_rows(records: Sequence[Record]) -> list[Row]:
    """The mean over collections of each difference, as planned (E2) and in E3's and E4's studies.

    None where nothing but E2 has records: that is another figure.
    """
    found = []
    for with_hinge, without in PAIRS:
        rows = [
            row
            for label, a, b in sides(with_hinge, without)
            for row in between(records, f"{with_hinge} - {without}, {label}", a, b)[:1]
        ]
        found += rows if len(rows) > 1 else []
    return found


def sides(arm: str, base: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(label, what the configs of both students hold) of every study."""
    planned: dict[str, Any] = {"experiment": "E2", "init": "pre-trained"}
    axis: dict[str, Any] = {"experiment": "E3", "study": "temperature", **AT_ONE_RATE[base]}
    found = [
        ("as planned", planned | {"arm": arm}, planned | {"arm": base}),
        (
            "other weight",
            {"experiment": "E3", "study": "hard weight", "arm": arm},
            axis | {"arm": base},
        ),
    ]
    for study, _, arms in CHANGES:
        if arm in arms and base in arms:
            here = {"experiment": "E4", "study": study}
            found.append((study, here | {"arm": arm}, here | {"arm": base}))
    return found
