"""The figures of the BMX page, drawn from records alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import geometric_mean

from ir_replications.bmx.experiments.e3_ablation import VARIANTS
from ir_replications.bmx.experiments.e6_robustness import MEASURE, PARAMETERS, opponent
from ir_replications.reports.pages.drawings import bars, heatmap
from ir_replications.reports.pages.figures import Plan, drawn
from ir_replications.reports.pages.plots import Figure, scatter
from ir_replications.reports.records.record import Record
from ir_replications.shared.evaluation.significance import paired_bootstrap

POINTS = 60  # terms drawn of a collection, over the whole range of frequencies
BASELINE = "BM25 k1=1.2 b=0.75"


def figures(records: Iterable[Record]) -> list[Figure]:
    """Every figure whose experiment has records for it, from the larger tier that has some."""
    return drawn(records, DRAWN)


def robustness(records: Sequence[Record], tier: str) -> Figure:
    """E6: BMX - BM25 over collection, analyzer, title handling and BM25's k1 and b."""
    rows: list[str] = []
    values: list[list[float | None]] = []
    marks: list[list[bool]] = []
    clear: list[float] = []
    table: list[list[object]] = [
        ["collection", "analyzer", "title", "k1", "b", "BMX - BM25", "low", "high"]
    ]
    kept: list[tuple[object, ...]] = []
    for record in sorted(records, key=lambda r: r.label):
        values_of = (record.config["collection"], record.config["analyzer"], record.per_query)
        if values_of in kept:
            continue  # a collection without titles has the same values without them
        kept.append(values_of)
        where = [record.config[key] for key in ("collection", "analyzer", "title")]
        rows.append(" · ".join(where))
        line: list[float | None] = []
        stars: list[bool] = []
        for k1, b in PARAMETERS:
            effect = paired_bootstrap(
                record.per_query[f"{MEASURE} BMX"], record.per_query[opponent(k1, b)]
            )
            line.append(100 * effect.estimate)
            stars.append(effect.low > 0 or effect.high < 0)
            if stars[-1]:
                clear.append(100 * effect.estimate)
            numbers = (effect.estimate, effect.low, effect.high)
            table.append([*where, k1, b, *(f"{100 * number:+.2f}" for number in numbers)])
        values.append(line)
        marks.append(stars)
    cells = sum(map(len, values))
    return Figure(
        id="robustness",
        title="Does BMX beat BM25? It depends on the BM25, the analyzer and the titles",
        caption=(
            f"BMX - BM25 (lucene) in points of nDCG@10, tier {tier}. Blue: BMX higher; * the 95 % "
            f"bootstrap interval over queries, uncorrected, excludes 0. Of {cells} comparisons, "
            f"{len(clear)} exclude 0: {sum(v > 0 for v in clear)} for BMX, "
            f"{sum(v < 0 for v in clear)} for BM25."
        ),
        drawing=heatmap(
            rows, [f"k1={k1} b={b}" for k1, b in PARAMETERS], values, decimals=1, marks=marks
        ),
        alt="Table of differences between BMX and BM25 for each collection, analyzer and k1, b.",
        table=table,
    )


def ablation(records: Sequence[Record], tier: str) -> Figure:
    """E3: every variant against BM25 with the paper's default parameters."""
    collections = list(dict.fromkeys(record.config["collection"] for record in records))
    means = {(r.config["variant"], r.config["collection"]): r.means[MEASURE] for r in records}
    variants = [name for name in VARIANTS if name != BASELINE]
    values = [
        [_points(means.get((v, c)), means.get((BASELINE, c))) for c in collections]
        for v in variants
    ]
    table = [
        ["variant", *collections],
        *([v, *row] for v, row in zip(variants, values, strict=True)),
    ]
    return Figure(
        id="ablation",
        title="Where the gain comes from",
        caption=(
            f"Difference to BM25 (k1 = 1.2, b = .75) in points of nDCG@10, tier {tier}. What "
            "remains with beta = 0 is a change of k1 and b; the last rows are BM25 alone."
        ),
        drawing=heatmap(variants, collections, values, decimals=1),
        alt="Table of differences to BM25 for each variant of BMX and each collection.",
        table=[[_cell(value) for value in row] for row in table],
    )


def entropy(records: Sequence[Record], tier: str) -> Figure:
    """E4: a term's entropy against its document frequency."""
    series = {}
    for record in records:
        pairs = zip(record.facts["sample_df"], record.facts["sample_entropy"], strict=True)
        points = sorted((math.log10(df), math.log10(value)) for df, value in pairs if value > 0)
        series[record.config["collection"]] = points[:: -(-len(points) // POINTS) or 1]
    rows = [
        [
            r.config["collection"],
            r.facts["terms"],
            f"{r.facts['spearman_entropy_df']:.4f}",
            f"{r.facts['spearman_entropy_idf']:.4f}",
        ]
        for r in records
    ]
    return Figure(
        id="entropy",
        title="Entropy follows document frequency",
        caption=(
            f"Each point is a term ({POINTS} of each vocabulary), tier {tier}: the more documents "
            "hold it, the more entropy weight it gets, against the paper's reading."
        ),
        drawing=scatter(series, xlabel="log10 document frequency", ylabel="log10 entropy"),
        alt="Scatter of term entropy against document frequency: a rising line.",
        table=[["collection", "terms", "Spearman with df", "Spearman with IDF"], *rows],
    )


def augmentation(records: Sequence[Record], tier: str) -> Figure:
    """E5: nDCG@10 without and with paraphrases, for BMX's forms and the BM25 control."""
    collections = list(dict.fromkeys(record.config["collection"] for record in records))
    means = {(_system(r), r.config["collection"]): r.means[MEASURE] for r in records}
    systems = list(dict.fromkeys(system for system, _ in means))
    values = [
        [_points(means.get((s, c)), means.get((f"{s.split()[0]} none", c))) for c in collections]
        for s in systems
        if not s.endswith("none")
    ]
    labels = [s for s in systems if not s.endswith("none")]
    return Figure(
        id="augmentation",
        title="What the paraphrases bring",
        caption=(
            "Difference to the same system without augmentation, in points of nDCG@10, "
            f"tier {tier}."
        ),
        drawing=heatmap(labels, collections, values, decimals=1),
        alt="Table of differences that query augmentation makes for each system and collection.",
        table=[
            ["system", *collections],
            *([s, *(_cell(means.get((s, c))) for c in collections)] for s in systems),
        ],
    )


def speed(records: Sequence[Record], tier: str) -> Figure:
    """E7: queries per second, one thread, top 10."""
    records = [record for record in records if "collection" in record.config]
    names = list(dict.fromkeys(k for r in records for k in r.facts["speed_queries_per_second"]))
    labels = [record.config["collection"] for record in records]
    series = {
        name: [r.facts["speed_queries_per_second"].get(name, 0.0) for r in records]
        for name in names
    }
    return Figure(
        id="speed",
        title="Queries per second, one thread, top 10",
        caption=f"All systems in turn in one process, best of the repetitions; tier {tier}.",
        drawing=bars(labels, series, ylabel="queries per second", decimals=0),
        alt="Bars of queries per second for each system and collection.",
        table=[
            ["collection", *names],
            *(
                [label, *(f"{values[i]:,.0f}" for values in series.values())]
                for i, label in enumerate(labels)
            ),
        ],
    )


def grid(records: Sequence[Record], tier: str) -> Figure | None:
    """E10: how much longer bm25s takes than BMX, by collection, length of queries and k."""
    records = [record for record in records if "speed_ratio" in record.facts]
    if not records:
        return None
    depths = list(records[0].facts["speed_ratio"])
    rows = []
    for record in records:
        size = record.config.get("synthetic")
        name = f"Zipf {size:,}" if size else record.config["collection"]
        rows.append(f"{name}, {'short' if record.config['queries'] == 'short' else 'long'} queries")
    ratios = [[r.facts["speed_ratio"][k]["bm25s"] for k in depths] for r in records]
    flat = [value for line in ratios for value in line]
    return Figure(
        id="grid",
        title="BMX against bm25s on short and long queries",
        caption=(
            f"How much longer bm25s (numba back end) takes than BMX, in percent, tier {tier}: "
            "above 0, BMX is faster. CPU time of one thread, systems in turn in one process, the "
            f"fastest of the turns. bm25s's time over BMX's: least {min(flat):.2f}, geometric mean "
            f"{geometric_mean(flat):.2f}."
        ),
        drawing=heatmap(
            rows, depths, [[100 * (ratio - 1) for ratio in line] for line in ratios], decimals=0
        ),
        alt="Table of how much longer bm25s takes, by collection, length of queries and k.",
        table=[
            ["collection and queries", "k", "system", "microseconds a query", "over BMX's"],
            *(
                [row, k, system, f"{value:,.1f}", f"{value / times['bmx']:.2f}"]
                for row, r in zip(rows, records, strict=True)
                for k, times in r.facts["time_microseconds"].items()
                for system, value in times.items()
            ),
            *(
                [row, "all", system, reason, ""]
                for row, r in zip(rows, records, strict=True)
                for system, reason in r.facts.get("speed_absent", {}).items()
            ),
        ],
    )


def _system(record: Record) -> str:
    return f"{record.config['system'].upper()} {record.config['augmentation']}"


def _points(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else 100 * (value - base)


def _cell(value: object) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value


DRAWN: Plan = (
    (("E6",), robustness),
    (("E3",), ablation),
    (("E4",), entropy),
    (("E5",), augmentation),
    (("E7",), speed),
    (("E10",), grid),
)
