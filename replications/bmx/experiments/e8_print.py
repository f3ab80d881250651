"""E8: what the authors' printed tables support, by arithmetic on the print alone.

A data set is one observation: the gain of one printed row over another, its mean with Student's
95 % interval over the data sets, the exact sign test, and exact sign flips. That treats the data
sets as a sample of such data sets; how many queries each has is not used, the print does not say.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

from ir_replications.bmx.experiments.printed_tables import PrintedTable, read_table
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.evaluation.significance import randomization_test, student

COMPARISONS = (
    {"table": "beir", "a": "Baguetter BMX", "b": "Baguetter BM25"},
    {"table": "bright", "a": "BMX (alpha=0.05)", "b": "BM25 (k1=.9, b=.4)"},
    {"table": "bright", "a": "BMX (alpha=0.05) + WQA", "b": "BM25 (k1=.9, b=.4) + WQA"},
    {"table": "multilingual", "a": "BMX", "b": "BM25"},
)
FEW = 4  # of BEIR's 15: FEVER, Touche, HotpotQA and TREC-COVID
HALF_DIGIT = 0.005 + 1e-9  # averages have two decimals; half of one is no binary fraction
FLIPS = 2**15  # all sign patterns of 15 data sets


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per comparison; the print needs no collection, so only the embedded tier runs it."""
    return [dict(pair) for pair in COMPARISONS] if plan.tier == "embedded" else []


def run(config: Config, context: Context) -> Outcome:
    """The facts of one comparison."""
    table = read_table(config["table"])
    return Outcome(facts=compare(table, config["a"], config["b"]))


def compare(table: PrintedTable, a: str, b: str) -> dict[str, Any]:
    """Facts on the table and on the gain of row a over row b, in points."""
    from scipy.stats import binomtest

    gains = {column: round(gain, 6) for column, gain in table.differences(a, b).items()}
    wins = sum(gain > 0 for gain in gains.values())
    losses = sum(gain < 0 for gain in gains.values())
    peers = [name for name in table.rows if table.libraries[name] == table.libraries[a]]
    gaps = [abs(fmean(row) - table.averages[name]) for name, row in table.rows.items()]
    largest = sorted(gains, key=gains.__getitem__, reverse=True)[:FEW]
    values = list(gains.values())
    flips = randomization_test(values, [0.0] * len(values), FLIPS)
    facts: dict[str, Any] = {
        "columns": len(table.columns),
        "rows": len(table.rows),
        "averages_off": sum(gap > HALF_DIGIT for gap in gaps),
        "largest_average_gap": max(gaps),
        "best_of_library": best(table, a, peers),
        "best_of_all": best(table, a, list(table.rows)),
        "wins": wins,
        "losses": losses,
        "gain": interval(values),
        "relative_gain": 100 * (table.averages[a] / table.averages[b] - 1),
        "p_sign_test": float(binomtest(wins, wins + losses).pvalue),
        "p_sign_flips": flips.p,
    }
    if len(values) > 2 * FEW:
        rest = [gain for column, gain in gains.items() if column not in largest]
        facts |= {
            "largest_gains": largest,
            "share_of_largest": sum(gains[column] for column in largest) / sum(values),
            "gain_without_largest": interval(rest),
        }
    return facts


def best(table: PrintedTable, name: str, rivals: list[str]) -> int:
    """On how many data sets the row is above each of the rivals."""
    others = [table.rows[rival] for rival in rivals if rival != name]
    return sum(
        all(row[place] < value for row in others) for place, value in enumerate(table.rows[name])
    )


def interval(values: list[float]) -> dict[str, float]:
    """Mean of the data sets with Student's 95 % interval and p."""
    (span,) = student(values, [0.95])
    p = 1.0 if span.p is None else span.p
    return {"estimate": span.estimate, "low": span.low, "high": span.high, "p": p}


EXPERIMENT = Experiment(
    id="E8",
    title="the authors' printed tables: what they support by themselves",
    cells=cells,
    run=run,
    cost={"embedded": "1 s"},
)
