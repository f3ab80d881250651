"""The figures of the ProRank page, drawn from records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ir_replications.reports.pages.drawings import forest
from ir_replications.reports.pages.figures import Plan, drawn
from ir_replications.reports.pages.plots import Figure, lines
from ir_replications.reports.records.record import Record
from ir_replications.shared.evaluation.significance import paired_bootstrap

MEASURE = "nDCG@10"
BASES = ("bm25", "zero-shot")
STEPS = 8  # averaged for curves of noisy single batches
Curves = dict[str, list[dict[str, Any]]]


def figures(records: Iterable[Record]) -> list[Figure]:
    """Every figure whose experiment has records for it, from the larger tier that has some."""
    return drawn(records, DRAWN)


def stages(records: Sequence[Record], tier: str) -> Figure | None:
    """E3: each system minus BM25 and minus the untrained model, by query."""
    rows: list[tuple[str, float, float, float]] = []
    table: list[list[object]] = [
        ["collection", "system", MEASURE, "compared with", "difference", "low", "high"]
    ]
    by_place = {(r.config["collection"], r.config["system"]): r for r in records}
    for base in BASES:
        for (collection, system), record in by_place.items():
            other = by_place.get((collection, base))
            if other is None or system in ("bm25", "oracle", base) or "all" in system:
                continue
            effect = paired_bootstrap(record.per_query[MEASURE], other.per_query[MEASURE])
            low, high = 100 * effect.low, 100 * effect.high
            rows.append((f"{system} - {base} · {collection}", 100 * effect.estimate, low, high))
            table.append(
                [collection, system, f"{100 * record.means[MEASURE]:.2f}", base]
                + [f"{value:+.2f}" for value in (100 * effect.estimate, low, high)]
            )
    if not rows:
        return None
    return Figure(
        id="stages",
        title="What each stage adds",
        caption=(
            f"Difference in points of {MEASURE}, tier {tier}; 95 % bootstrap intervals over "
            "queries. One training run of each system: its own chance is not in the intervals."
        ),
        drawing=forest(rows, xlabel=f"points of {MEASURE}"),
        alt="Differences between each system and BM25, and the untrained model, with intervals.",
        table=table,
    )


def answers(records: Sequence[Record], tier: str) -> Figure | None:
    """Probability of "1" while stage 1 is trained, by reward, and while supervised."""
    runs = _curves(records, ("warmup", "sft"), "p0")
    series = {name: [(p["step"], p["p1"]) for p in curve] for name, curve in runs.items()}
    if not series:
        return None
    return Figure(
        id="answers",
        title='How often the model says "1" while it is trained',
        caption=(
            f"Means over each step's prompts before its update, tier {tier}; half of the prompts "
            'have a relevant document. A policy that says "1" whatever the document has collapsed.'
        ),
        drawing=lines(series, xlabel="step", ylabel='P("1")'),
        alt="Curves of the probability of the answer 1 against the step; the table has both.",
        table=_table(runs, ("p0", "p1", "accuracy", "reward", "frac_reward_zero_std", "entropy")),
    )


def ordered(records: Sequence[Record], tier: str) -> Figure | None:
    """Share of training negatives below their relevant document, while stage 2 is trained."""
    runs = _curves(records, ("fine_grained",), "ordered")
    series = {name: _smoothed(curve, "ordered") for name, curve in runs.items()}
    if not series:
        return None
    return Figure(
        id="ordered",
        title="Order of training groups while stage 2 is trained",
        caption=(
            "Share of negatives that score below their relevant document, before each update, "
            f"means of {STEPS} steps, tier {tier}. Chance is 0.5."
        ),
        drawing=lines(series, xlabel="step", ylabel="share in order"),
        alt="Curves of the share of training negatives in order against the step.",
        table=_table(runs, ("loss", "ordered", "margin", "grad_norm")),
    )


def depth(records: Sequence[Record], tier: str) -> Figure | None:
    """E4: nDCG@10 by the number of candidates that may be moved."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for record in records:
        if record.config.get("study") == "depth":
            k, system = record.config["depth"], record.config["system"]
            found.setdefault(system, []).append((k, record.means[MEASURE]))
    if not found:
        return None
    series = {system: sorted(points) for system, points in found.items()}
    return Figure(
        id="depth",
        title="How many candidates are reranked",
        caption=f"{MEASURE} after reranking BM25's first k documents, tier {tier}.",
        drawing=lines(series, xlabel="k", ylabel=MEASURE),
        alt=f"Curves of {MEASURE} against the depth of reranking.",
        table=[
            ["system", "k", MEASURE],
            *([name, int(k), f"{v:.4f}"] for name, points in series.items() for k, v in points),
        ],
    )


DRAWN: Plan = (
    (("E3",), stages),
    (("E3", "E4"), answers),
    (("E3", "E4"), ordered),
    (("E4",), depth),
)


def _curves(records: Sequence[Record], kinds: Sequence[str], key: str) -> Curves:
    """Training run -> its curve; the cells of one run hold the same curve."""
    runs: Curves = {}
    for record in records:
        for stage, curve in record.facts.get("curves", {}).items():
            kept = [point for point in curve if key in point]
            if stage in kinds and kept:
                runs.setdefault(_name(stage, record.config), kept)
    return runs


def _name(stage: str, config: Mapping[str, Any]) -> str:
    """What tells a run of a stage from the others: not the collection it is judged on."""
    system = config["system"]
    parts = ["supervised" if stage == "sft" else system if stage == "fine_grained" else "stage 1"]
    if stage == "warmup" and config.get("reward", "both") != "both":
        parts.append(f"{config['reward']} alone")
    # The cell of the recipe's own loss holds the run that E3 has without naming it.
    if stage == "fine_grained" and config.get("loss", "softmax") != "softmax":
        parts.append(config["loss"])
    return ", ".join(parts)


def _smoothed(curve: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, ...]]:
    """Means of STEPS points each, at the last step of each."""
    pieces = [curve[i : i + STEPS] for i in range(0, len(curve), STEPS)]
    return [(p[-1]["step"], sum(point[key] for point in p) / len(p)) for p in pieces]


def _table(runs: Curves, keys: Sequence[str]) -> list[list[object]]:
    rows: list[list[object]] = [["run", "step", *keys]]
    for name, curve in runs.items():
        for point in curve:
            values = [f"{point[key]:.4g}" if key in point else "" for key in keys]
            rows.append([name, point["step"], *values])
    return rows
