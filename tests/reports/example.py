"""A small made-up paper and its records, with numbers that can be checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ir_replications.reports.records.record import Record

CLAIMS = """
[paper]
title = "Doubling Query Terms <script>alert('title')</script> & Other Ideas"
authors = ["Ada Example", "Ben Sample"]
year = 2021
arxiv = "2101.00001"
url = "https://arxiv.org/abs/2101.00001"
code = "https://example.org/code"
licence = "CC BY 4.0"
summary = "Counting a query term twice is said to beat BM25 on two collections."
note = "The paper's ablation table could not be recovered."

[sources.PDF]
title = "The paper, Table 2"
url = "https://arxiv.org/abs/2101.00001"
trust = "primary"
of = "paper"

[sources.blog]
title = "A blog post that quotes the paper"
url = "https://example.org/post"
trust = "second-hand"
of = "paper"

[[deviation]]
id = "D1"
text = "Snowball stemming instead of Porter."
reason = "The reference code does so."

[[open]]
id = "O1"
text = "Title handling is not stated."
choice = "Title and text are joined by a line break."

[[table]]
id = "T2"
title = "nDCG@10 on two collections"
caption = "Printed times 100, one decimal."
scale = 100
decimals = 1
source = "PDF"
tiers = ["small", "paper"]
ours = {experiment = "E1"}
columns = [
  {label = "alpha", ours = {collection = "beir/alpha"}},
  {label = "beta", ours = {collection = "beir/beta"}, source = "blog"},
  {label = "gamma", ours = {collection = "beir/gamma"}, tiers = ["paper"]},
  {label = "mean", over = ["beir/alpha", "beir/beta"]},
]
[[table.row]]
label = "BM25"
values = [50.0, 40.3, 33.3, 45.0]
ours = {system = "bm25"}
tolerance = 0.5
reason = "the analyser is not named in the paper"
[[table.row]]
label = "Doubled <b>terms</b>"
values = [60.0, 35.0, 35.1, ""]
ours = {system = "double"}

[[table]]
id = "O1"
title = "Our numbers on the embedded collection"
decimals = 3
tiers = ["embedded"]
ours = {experiment = "E1", collection = "toydocs"}
columns = [{label = "nDCG@10"}, {label = "R@100", measure = "R@100"}]
[[table.row]]
label = "BM25"
ours = {system = "bm25"}
[[table.row]]
label = "Doubled"
ours = {system = "double"}

[[claim]]
id = "C1"
text = "Every normalised score is at most 1."
source = "PDF"
comparable = true
expect_false = true
[claim.check]
kind = "bound"
select = {experiment = "E2"}
fact = "largest_score"
op = "<="
value = 1.0

[[claim]]
id = "C2"
text = "Doubling beats BM25 on every collection."
source = "blog"
comparable = ["small", "paper"]
[claim.check]
kind = "effect"
where = {experiment = "E1"}
a = {system = "double"}
b = {system = "bm25"}
each = "collection"
expect = "greater"
scale = 100
decimals = 1
paper_a = {"beir/alpha" = 60.0, "beir/beta" = 45.0}
paper_b = {"beir/alpha" = 50.0, "beir/beta" = 40.3}

[[claim]]
id = "C3"
text = "BM25 reaches .50 on alpha."
source = "PDF"
tiers = ["small", "paper"]
comparable = true
[claim.check]
kind = "value"
select = {experiment = "E1", system = "bm25", collection = "beir/alpha"}
value = 0.50
decimals = 2
"""

QUERIES = 40


def values(mean: float, spread: float = 0.2, n: int = QUERIES) -> dict[str, float]:
    """`n` per-query values with exactly this mean: alternately spread above and below it."""
    return {f"q{i}": round(mean + (spread if i % 2 else -spread), 6) for i in range(n)}


def record(
    system: str,
    collection: str,
    mean: float,
    *,
    tier: str = "small",
    experiment: str = "E1",
    seed: int | None = None,
    spread: float = 0.2,
    **fields: Any,
) -> Record:
    """A record whose nDCG@10 is `mean` on 40 queries, or which holds an `error` instead."""
    failed = fields.get("error") is not None
    config: dict[str, Any] = {"system": system, "collection": collection}
    if seed is not None:
        config["seed"] = seed
    return Record.create(
        paper=fields.pop("paper", "toy"),
        experiment=experiment,
        tier=tier,
        label=fields.pop("label", f"{collection} {system}"),
        config={**config, **fields.pop("config", {})},
        means={} if failed else {"nDCG@10": mean, "R@100": 0.9},
        per_query={} if failed else {"nDCG@10": values(mean, spread)},
        provenance={
            "command": f"replicate run toy --tier {tier} --collection {collection}",
            "data": {collection: "aa"},
            "started": "2026-01-02T03:04:05Z",
            **fields.pop("provenance", {}),
        },
        **fields,
    )


def records() -> list[Record]:
    """Records of two tiers: effects of +10, -5 (printed scale) and one on embedded data."""
    return [
        record("bm25", "beir/alpha", 0.5004),
        record("double", "beir/alpha", 0.6, spread=0.25),
        record("bm25", "beir/beta", 0.4),
        record("double", "beir/beta", 0.35, spread=0.15, label="<script>alert(1)</script>"),
        record("bm25", "toydocs", 0.55, tier="embedded"),
        record("double", "toydocs", 0.6, tier="embedded", spread=0.25),
        Record.create(
            paper="toy",
            experiment="E2",
            tier="embedded",
            label="scores",
            config={"system": "double"},
            facts={"largest_score": 2.295, "time_s": 1.0},
        ),
    ]


NUMBERS = """
[all]
exact = ["n"]
float64 = ["nDCG@*", "R@*", "rho.x"]
machine = ["time_s", "index.speed_docs"]

[E1]
error-bound = ["max_error"]
trained = ["loss.#"]
sampled = ["text"]
[[E1.float32]]
names = ["logit"]
relative = 1e-5
reason = "a dozen roundings"
[E1.bounds]
gap = 1e-6
"""


def write_paper(root: Path, text: str = CLAIMS, name: str = "toy", numbers: str = NUMBERS) -> Path:
    """A paper folder with this claims.toml and numbers.toml; returns the folder."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "claims.toml").write_text(text, encoding="utf-8")
    (folder / "numbers.toml").write_text(numbers, encoding="utf-8")
    return folder


# Of the toy paper: hostile texts in every place where a figure has one.
FIGURES = (
    "from ir_replications.reports.pages.drawings import bars, forest\n"
    "from ir_replications.reports.pages.plots import Figure, lines\n"
    "def figures(records):\n"
    "    rows = [('<script>x</script> $1_a$', .1, .05, .2), ('b', -.1, -.2, .1)]\n"
    "    return [Figure('one', 'A <b>figure</b>', 'c', forest(rows), 'alt \"<i>\"',\n"
    "                   [['system', 'mean'], ['<script>y</script>', .1]]),\n"
    "            Figure('two', 'B', 'c', bars(['x'], {'a': [1.0]}), 'bars'),\n"
    "            Figure('three', 'C', 'c', lines({'a': [(0, 1), (1, 2)]}), 'a \"line\"')]\n"
)
