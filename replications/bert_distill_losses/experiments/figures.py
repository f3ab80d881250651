"""The figures of the page on distillation losses, drawn from records alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from ir_replications.bert_distill_losses.experiments.axis_figure import Point, axis_figure
from ir_replications.bert_distill_losses.experiments.contrasts import (
    H1,
    H2,
    MEASURE,
    Row,
    combined,
    compared,
    mean,
)
from ir_replications.bert_distill_losses.experiments.hinge_studies import hinge_rows
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.pages.drawings import bars, forest
from ir_replications.reports.pages.figures import Plan, drawn
from ir_replications.reports.pages.plots import Figure, lines
from ir_replications.reports.records.record import Record

TEMPERATURES = (0.5, 1.0, 2.0, 5.0, 10.0)
WEIGHTS = (0.001, 0.01, 0.1, 1.0)
TERMS = ("embedding", "hidden", "attention")
GRADIENTS = ("grad_norm/ranking", "grad_norm/layers")
NAMES = {
    "hard": "hinge", "soft": "Margin-MSE",
    "grad_norm/ranking": "ranking", "grad_norm/layers": "layers",
}  # fmt: skip


@cache
def _words() -> Mapping[str, str]:
    """What pages call an arm, from claims.toml."""
    return load_paper(Path(__file__).resolve().parents[1]).words


def in_words(text: str) -> str:
    """ "A8 - A5" as "Margin-MSE + hinge minus Margin-MSE"; what is no arm stays."""
    named = re.sub(r"\b[AC]\d+\b", lambda match: _words().get(match[0], match[0]), text)
    return named.replace(" - ", " minus ")


def figures(records: Iterable[Record]) -> list[Figure]:
    """Every figure whose experiment has records for it, from the larger tier that has some."""
    return drawn(records, DRAWN)


def hard_labels(records: Sequence[Record], tier: str) -> Figure | None:
    """E2: C-1 and C-2, the mean over collections and each collection."""
    rows = [row for contrast in H1 for row in compared(records, contrast)]
    together = combined(records, H1[:3])
    return _forest(
        "hard-labels",
        "Does a pairwise loss on labels help (H1)?",
        "A soft loss with the hinge less the same loss without it, and the hinge in place of a "
        "pointwise loss; what is not drawn was not run.",
        ([together] if together else []) + rows,
        tier,
    )


def hinge_studies(records: Sequence[Record], tier: str) -> Figure | None:
    """E2 to E4: C-1 again with another weight, other teachers and other labels."""
    return _forest(
        "hinge-studies",
        "Does it help with another weight, other teachers or other labels?",
        "What the hinge adds to a soft loss, means over collections: as planned (E2), with weight "
        "10 beside Margin-MSE and 0.1 beside pair KL (E3), and in the studies of E4. Numbers of "
        "seeds are in the table; an interval of one seed is over queries alone and too narrow.",
        hinge_rows(records),
        tier,
    )


def layers_hurt(records: Sequence[Record], tier: str) -> Figure | None:
    """E2: C-3 and C-4, the mean over collections and each collection."""
    rows = [row for contrast in H2 for row in compared(records, contrast)]
    return _forest(
        "layers-hurt",
        "Do losses on intermediate layers hurt (H2)?",
        'Less the same losses on scores without any on layers; "teacher" where '
        "students begin as the teacher's layers. What is not drawn was not run.",
        rows,
        tier,
    )


def temperature(records: Sequence[Record], tier: str) -> Figure | None:
    """E3: RankNet, pair KL at each temperature, Margin-MSE."""
    points: list[Point] = [("RankNet", {"arm": "A3"})]
    points += [(f"T = {t:g}", {"arm": "A6", "temperature": t}) for t in TEMPERATURES]
    points.append(("Margin-MSE", {"arm": "A5"}))
    return axis_figure(
        "temperature",
        "From labels through pair KL to Margin-MSE",
        "Margin-MSE / 8 is the limit of pair KL as T grows. RankNet is pair KL at T = 1 of a "
        "teacher that is certain of the label, so it stands beside the axis, not at its end.",
        points,
        "Margin-MSE",
        [r for r in records if r.config.get("study") == "temperature"],
        tier,
    )


def weights(records: Sequence[Record], tier: str) -> Figure | None:
    """E3: A13 at each weight of the losses on layers, A8 as weight 0."""
    points: list[Point] = [("weight 0", {"arm": "A8"})]
    points += [(f"{w:g}", {"arm": "A13", "weight": w}) for w in WEIGHTS]
    return axis_figure(
        "weights",
        "The weight of the losses on layers",
        "A13 with other weights; weight 0 is A8. Harm at weight 1 that is gone at smaller weights "
        "is a matter of scale.",
        points,
        "weight 0",
        [r for r in records if r.config.get("study") == "weight"],
        tier,
    )


def ranking_curves(records: Sequence[Record], tier: str) -> Figure | None:
    """E2: the losses on scores of A8 and A13 while they are trained."""
    return _curves(
        "ranking-curves",
        "Losses on scores, with and without losses on layers",
        "In training, before each update.",
        records,
        ("A8", "A13"),
        ("hard", "soft"),
        tier,
    )


def layer_curves(records: Sequence[Record], tier: str) -> Figure | None:
    """E2: the losses on layers of A13 and A15 while they are trained."""
    return _curves(
        "layer-curves",
        "Losses on layers",
        "Without their weights. A15 has them in the first half of its steps alone.",
        records,
        ("A13", "A15"),
        TERMS,
        tier,
    )


def gradients(records: Sequence[Record], tier: str) -> Figure | None:
    """E2: gradient norms of ranking and layers on the encoder, by arm."""
    return _curves(
        "gradients",
        "Gradient norms of ranking and layers on the encoder",
        "With the arm's weights; the table has the cosine between the two as well. Where the norm "
        "of the layers is far above, the ranking's gradient is swamped and clipped.",
        records,
        ("A13", "A14"),
        GRADIENTS,
        tier,
        "gradient norm",
        ("grad_cosine",),
    )


def closeness(records: Sequence[Record], tier: str) -> Figure | None:
    """E2: the losses on layers of every arm's students on held-out pairs."""
    names = [f"{term}, held out" for term in TERMS]
    found = {
        arm: values
        for arm, group in _by_arm(records).items()
        if (values := [mean([r.facts[n] for r in group if n in r.facts]) for n in names])
        and all(map(math.isfinite, values))
    }
    if not found:
        return None
    base = "A8" if "A8" in found else next(iter(found))
    series = {
        term: [values[place] / found[base][place] for values in found.values()]
        for place, term in enumerate(TERMS)
    }
    return Figure(
        id="closeness",
        title="How close the students' layers are to the teacher's",
        caption=(
            f"TinyBERT's losses on held-out pairs over those of {base}, means over seeds, students "
            f"that begin as pre-trained, tier {tier}. Above 1: further away than {base}."
        ),
        drawing=bars(
            [in_words(arm) for arm in found], series, f"loss / loss of {base}", decimals=2
        ),
        alt="Bars of the losses on layers of each arm on held-out pairs.",
        table=[["arm", *names], *([arm, *map(_short, v)] for arm, v in found.items())],
    )


def spread(records: Sequence[Record], tier: str) -> Figure | None:
    """E2: the mean over collections of every seed of every arm, less BM25's."""
    base = {
        r.config["collection"]: r.means[MEASURE]
        for r in records
        if r.config.get("system") == "bm25" and MEASURE in r.means
    }
    found: dict[str, dict[int, float]] = {}
    for arm, group in _by_arm(records).items():
        for seed in sorted({r.config["seed"] for r in group}):
            own = {r.config["collection"]: r.means[MEASURE] for r in group
                   if r.config["seed"] == seed}  # fmt: skip
            if base and own.keys() == base.keys():
                gaps = [own[name] - base[name] for name in base]
                found.setdefault(arm, {})[seed] = 100 * mean(gaps)
    if not found:
        return None
    rows = [
        (f"{in_words(arm)} · {len(v)} seed{'s' * (len(v) > 1)}", mean(list(v.values())),
         min(v.values()), max(v.values()))
        for arm, v in found.items()
    ]  # fmt: skip
    table: list[list[object]] = [["arm", "seed", f"{MEASURE} less BM25's, points"]]
    table += [[arm, s, f"{v:+.2f}"] for arm, by_seed in found.items() for s, v in by_seed.items()]
    return Figure(
        id="spread",
        title="Spread over seeds",
        caption=(
            f"Points of {MEASURE} above BM25, mean of {len(base)} "
            f"collection{'s' * (len(base) > 1)}, tier {tier}: "
            "mean, lowest and highest seed. The bars are ranges, not intervals."
        ),
        drawing=forest(rows, xlabel=f"points of {MEASURE} above BM25"),
        alt="Mean, lowest and highest seed of every arm, less BM25.",
        table=table,
    )


DRAWN: Plan = (
    (("E2",), hard_labels),
    (("E2", "E3", "E4"), hinge_studies),
    (("E2",), layers_hurt),
    (("E3",), temperature),
    (("E3",), weights),
    (("E2",), ranking_curves),
    (("E2",), layer_curves),
    (("E2",), gradients),
    (("E2",), closeness),
    (("E2",), spread),
)


def _forest(id: str, title: str, what: str, rows: Sequence[Row], tier: str) -> Figure | None:
    if not rows:
        return None
    head = ["contrast", "where", "difference", "low", "high", "seeds"]
    return Figure(
        id=id,
        title=title,
        caption=(
            f"{what} Points of {MEASURE}, 95 % intervals over queries and, where both sides have "
            f"several, seeds; tier {tier}. Intervals are not corrected for their number: the "
            "claims are."
        ),
        drawing=forest(
            [(f"{in_words(r.contrast)} · {r.where}", r.value, r.low, r.high) for r in rows],
            xlabel=f"points of {MEASURE}",
        ),
        alt=f"Differences in {MEASURE} with intervals, by contrast and collection.",
        table=[
            head,
            *([r.contrast, r.where, *(f"{v:+.2f}" for v in (r.value, r.low, r.high)), r.seeds]
              for r in rows),
        ],
    )  # fmt: skip


def _curves(
    id: str,
    title: str,
    what: str,
    records: Sequence[Record],
    arms: Sequence[str],
    keys: Sequence[str],
    tier: str,
    ylabel: str = "loss",
    more: Sequence[str] = (),
) -> Figure | None:
    """Means over seeds of what a training logs, step by step, on a logarithmic axis."""
    series: dict[str, list[tuple[float, ...]]] = {}
    table: list[list[object]] = [["arm", "step", *keys, *more]]
    for arm, group in _by_arm(records).items():
        if arm not in arms:
            continue
        # A student is the same on all collections: one curve for each seed.
        runs = {r.config["seed"]: r.facts.get("curve", []) for r in group}
        steps = sorted({point["step"] for run in runs.values() for point in run})
        for step in steps:
            at = [p for run in runs.values() for p in run if p["step"] == step]
            values = {k: mean([p[k] for p in at if k in p]) for k in (*keys, *more)}
            for key in keys:
                if math.isfinite(values[key]) and values[key] > 0:
                    curve = series.setdefault(f"{NAMES.get(key, key)}, {arm}", [])
                    curve.append((step, values[key]))
            if any(math.isfinite(values[key]) for key in keys):
                table.append([arm, step, *map(_short, values.values())])
    if not series:
        return None
    return Figure(
        id=id,
        title=title,
        caption=(
            f"{what} Means over seeds, logarithmic, students that begin as pre-trained, "
            f"tier {tier}; single batches, so neighbouring points differ by chance."
        ),
        drawing=lines(series, xlabel="step", ylabel=ylabel, log=True),
        alt=f"Curves of {', '.join(keys)} against the step for {' and '.join(arms)}.",
        table=table,
    )


def _by_arm(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Students that begin as pre-trained, by arm in the order of their numbers."""
    found: dict[str, list[Record]] = {}
    for record in records:
        c = record.config
        if c.get("system") == "student" and c.get("init") == "pre-trained":
            found.setdefault(c["arm"], []).append(record)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], int(item[0][1:]))))


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else ""
