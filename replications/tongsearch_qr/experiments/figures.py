"""The figures of the TongSearch QR page, drawn from records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from ir_replications.reports.claims.select import Sample
from ir_replications.reports.pages.drawings import forest
from ir_replications.reports.pages.figures import Plan, drawn
from ir_replications.reports.pages.plots import Figure, lines
from ir_replications.reports.records.record import Record
from ir_replications.shared.evaluation.significance import (
    Interval,
    macro_bootstrap,
    paired_bootstrap,
)
from ir_replications.tongsearch_qr.experiments.bright import ANALYZER, MEASURE
from ir_replications.tongsearch_qr.experiments.e2_bright import ORIGINAL

NAMES = {  # of features, as the page says them
    "words": "words in the text",
    "truncated": "cut off at the end",
    "headings": "headings",
    "list_items": "list items",
    "code_blocks": "code blocks",
    "repeated": "repeated words",
    "query_kept": "query words kept",
    "answer_gained": "answer words gained",
    "answer_lost": "answer words lost",
    "query_words": "words in the question",
    "answer_in_query": "answer words in the question",
}
Row = tuple[str, float, float, float]


def figures(records: Iterable[Record]) -> list[Figure]:
    """Every figure whose experiment has records for it, from the larger tier that has some."""
    return drawn(records, DRAWN)


def proxy(records: Sequence[Record], tier: str) -> Figure | None:
    """E3: reasoned minus original queries, by first stage and by how the reasoned one is used."""
    chosen = [r for r in records if r.config.get("analyzer") == ANALYZER]
    base = {_place(r): r for r in chosen if r.config["queries"] == ORIGINAL}
    rows: list[Row] = []
    table: list[list[object]] = [
        ["collection", "first stage", "queries", "mode", MEASURE, "difference", "low", "high"]
    ]
    for record in chosen:
        original = base.get(_place(record))
        if original is None or record is original:
            continue
        effect = _by_subset(record.per_query[MEASURE], original.per_query[MEASURE])
        collection, system = _place(record)
        queries, mode = record.config["queries"], record.config.get("mode", "")
        numbers = [100 * value for value in (effect.estimate, effect.low, effect.high)]
        label = " · ".join(part for part in (system, queries, mode) if part)
        rows.append((label, numbers[0], numbers[1], numbers[2]))
        mean = f"{100 * record.means[MEASURE]:.2f}"
        table.append([collection, system, queries, mode, mean, *map(_signed, numbers)])
    if not rows:
        return None
    clear = [row for row in rows if row[2] > 0 or row[3] < 0]
    places = " and ".join(dict.fromkeys(collection for collection, _ in base))
    return Figure(
        id="proxy",
        title="Reasoned against original queries, by first stage and use",
        caption=(
            f"Difference to the original queries in points of {MEASURE}, mean over subsets, on "
            f"{places}, tier {tier}; 95 % bootstrap intervals over queries. Of {len(rows)} rows, "
            f"{len(clear)} exclude 0: {sum(row[1] > 0 for row in clear)} above, "
            f"{sum(row[1] < 0 for row in clear)} below."
        ),
        drawing=forest(rows, xlabel=f"points of {MEASURE}"),
        alt="Differences to the original queries for each first stage and each set of queries.",
        table=table,
    )


def features(records: Sequence[Record], tier: str) -> Figure | None:
    """E4: what a standard deviation of each feature goes with, the others held fixed."""
    cells = {(r.config["queries"], r.config["system"]): r.facts for r in records}
    if not cells:
        return None
    shown = max(queries for queries, _ in cells)  # of the two models, the larger
    rows: list[Row] = []
    table: list[list[object]] = [
        ["queries", "first stage", "feature", "mean", "effect", "low", "high", "rho", "low", "high"]
    ]
    for (queries, system), facts in cells.items():
        for name, effect in facts["effects"].items():
            numbers = [100 * effect[key] for key in ("estimate", "low", "high")]
            rho = [facts["spearman"][name][key] for key in ("estimate", "low", "high")]
            mean = f"{facts['feature_means'][name]:.3g}"
            table.append(
                [queries, system, NAMES.get(name, name), mean]
                + [f"{value:+.2f}" for value in (*numbers, *rho)]
            )
    ordered = [name for name in NAMES if any(name in facts["effects"] for facts in cells.values())]
    for name in ordered:
        for (queries, system), facts in cells.items():
            if queries == shown and name in facts["effects"]:
                effect = facts["effects"][name]
                numbers = [100 * effect[key] for key in ("estimate", "low", "high")]
                rows.append((f"{NAMES[name]} · {system}", numbers[0], numbers[1], numbers[2]))
    shares = [f"{facts['r2']:.2f}" for facts in cells.values()]
    return Figure(
        id="features",
        title="What goes with a gain in retrieval",
        caption=(
            f"Change of the gain in {MEASURE} (points) per standard deviation of a feature, the "
            f"others held fixed, for {shown} on the gold-answer proxy, tier {tier}; 95 % bootstrap "
            "intervals over queries. All features together explain "
            f"{min(shares)} to {max(shares)} of the gain's variance; all sets of queries and "
            "Spearman's rho are in the table."
        ),
        drawing=forest(rows, xlabel="points per standard deviation"),
        alt="Effect and interval of each feature of the reasoned queries on the gain.",
        table=table,
    )


def held_out(records: Sequence[Record], tier: str) -> Figure | None:
    """E5: reward on held-out questions, trained minus untrained model."""
    return _against_untrained(
        records,
        "reward",
        1,
        id="held-out",
        title="Reward on held-out questions, against the untrained model",
        caption=(
            f"Difference of the mean reward, tier {tier}, a question's value being its mean over "
            "the trainings; 95 % bootstrap intervals over questions alone. The second embedder "
            "took no part in training."
        ),
        xlabel="reward",
    )


def trained_retrieval(records: Sequence[Record], tier: str) -> Figure | None:
    """E5: retrieval, trained minus untrained model."""
    return _against_untrained(
        records,
        "nDCG@10",
        100,
        id="trained-retrieval",
        title="Retrieval with reasoned queries, against the untrained model",
        caption=(
            f"Difference in points of nDCG@10, tier {tier}, a query's value being its mean over "
            "the trainings; 95 % bootstrap intervals over queries alone. The reasoned query in "
            "place of the original one; behind it: in the table."
        ),
        xlabel="points of nDCG@10",
    )


def _against_untrained(
    records: Sequence[Record], prefix: str, scale: float, *, xlabel: str, **texts: str
) -> Figure | None:
    """Each system, a query's value being its mean over the trainings, minus the untrained model."""
    systems: dict[tuple[Any, ...], dict[str, list[Record]]] = {}
    for record in records:
        system = record.config["system"]
        systems.setdefault(_test_set(record), {}).setdefault(system, []).append(record)
    rows: list[Row] = []
    table: list[list[object]] = [
        ["collection", "system", "seeds", "measure", "value", "untrained", "difference", "low",
         "high"]
    ]  # fmt: skip
    for (collection, *_), found in systems.items():
        untrained = Sample(tuple(found.pop("untrained", ())))
        for system, runs in found.items():
            side = Sample(tuple(runs))
            for measure in runs[0].per_query:
                values, base = side.per_query(measure), untrained.per_query(measure)
                if not (measure.startswith(prefix) and values and base):
                    continue
                effect = paired_bootstrap(values, base)
                numbers = [scale * value for value in (effect.estimate, effect.low, effect.high)]
                if not measure.endswith("append"):
                    label = f"{system} · {collection} · {measure}"
                    rows.append((label, numbers[0], numbers[1], numbers[2]))
                means = [f"{scale * fmean(each.values()):.3f}" for each in (values, base)]
                seeds = ", ".join(str(run.seed) for run in runs if "training" in run.facts)
                table.append(
                    [collection, system, seeds, measure, *means] + [_signed(v) for v in numbers]
                )
    if not rows:
        return None
    alt = "Difference between each trained and the untrained model with its interval."
    return Figure(drawing=forest(rows, xlabel=xlabel), alt=alt, table=table, **texts)


def reward_curve(records: Sequence[Record], tier: str) -> Figure | None:
    """E5: mean reward of a step's outputs while training."""
    return _curve(
        records,
        "reward",
        id="reward-curve",
        title="Reward while training",
        caption=f"Mean reward of the outputs sampled in each step, tier {tier}.",
        ylabel="reward",
        alt="Curve of the mean reward against the optimiser step.",
    )


def length_curve(records: Sequence[Record], tier: str) -> Figure | None:
    """E5: mean length of a step's outputs while training."""
    return _curve(
        records,
        "length",
        id="length-curve",
        title="Length of the outputs while training",
        caption=(
            f"Mean number of tokens of the outputs sampled in each step, tier {tier}; outputs end "
            "at the limit of new tokens at the latest."
        ),
        ylabel="tokens",
        alt="Curve of the mean output length against the optimiser step.",
    )


def _curve(records: Sequence[Record], key: str, *, ylabel: str, **texts: str) -> Figure | None:
    runs: dict[str, list[dict[str, Any]]] = {}
    for record in records:  # the cells of one training run hold the same curve
        curve = [point for point in record.facts.get("curve", ()) if key in point]
        if curve:
            runs.setdefault(_training(record), curve)
    series = {name: [(p["step"], p[key]) for p in curve] for name, curve in runs.items()}
    if not series:
        return None
    keys = ("reward", "reward_std", "kl", "length", "clipped")
    table = [["run", "step", *keys]] + [
        [name, point["step"], *(_number(point.get(each)) for each in keys)]
        for name, curve in runs.items()
        for point in curve
    ]
    drawing = lines(series, xlabel="optimiser step", ylabel=ylabel)
    return Figure(drawing=drawing, table=table, **texts)


def baseline(records: Sequence[Record], tier: str) -> Figure | None:
    """E6: how far the parameters with and without the subtracted baseline are apart."""
    runs = {_training(r): r.facts["trajectory"] for r in records if r.facts.get("trajectory")}
    if not runs:
        return None
    series = {name: [(p["step"], p["distance"]) for p in run] for name, run in runs.items()}
    return Figure(
        id="baseline",
        title="With and without the subtracted baseline",
        caption=(
            "Distance between the parameters of two runs from one seed, one of which subtracts "
            f"the original query's similarity in the reward, tier {tier}; 1 is as far as training "
            "itself moved them."
        ),
        drawing=lines(series, xlabel="optimiser step", ylabel="distance / distance moved"),
        alt="Curve of the distance between two runs against the optimiser step.",
        table=[
            ["run", "step", "distance"],
            *([name, p["step"], f"{p['distance']:.3g}"] for name, run in runs.items() for p in run),
        ],
    )


DRAWN: Plan = (
    (("E3",), proxy),
    (("E4",), features),
    (("E5",), held_out),
    (("E5",), trained_retrieval),
    (("E5",), reward_curve),
    (("E5",), length_curve),
    (("E6",), baseline),
)


def _place(record: Record) -> tuple[str, str]:
    return record.config["collection"], record.config["system"]


def _test_set(record: Record) -> tuple[Any, ...]:
    return tuple(record.config.get(key) for key in ("collection", "recipe", "model"))


def _training(record: Record) -> str:
    parts = (record.config.get("recipe"), record.config.get("system"))
    seed = record.config.get("seed")
    return " ".join([str(part) for part in parts if part] + ([f"seed {seed}"] if seed else []))


def _by_subset(a: Mapping[str, float], b: Mapping[str, float]) -> Interval:
    """Mean over subsets, which the ids of the proxy's queries begin with, of a - b."""
    groups: dict[str, list[float]] = {}
    for qid, value in a.items():
        subset = qid.partition("/")[0] if "/" in qid else ""
        groups.setdefault(subset, []).append(value - b[qid])
    return macro_bootstrap(list(groups.values()))


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def _number(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value
