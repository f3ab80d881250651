"""What is found of each system beside the baseline, and the answer in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ir_replications.reports.pages.formatting import number, p_value, signed
from ir_replications.reports.records.record import Record
from ir_replications.shared.evaluation.power import detectable_difference
from ir_replications.shared.evaluation.run_similarity import rank_biased_overlap
from ir_replications.shared.evaluation.significance import (
    LEAST,
    Interval,
    holm,
    paired_bootstrap,
    randomization_test,
)
from ir_replications.shared.retrieval.runs import Run

MEASURE, RECALL = "nDCG@10", "R@100"
POINTS = 100
LEVEL = 0.05
SHOWN = 10  # queries helped and hurt; results of a ranking
FEW = 200  # queries below which the detectable difference is said first


@dataclass(frozen=True)
class Entry:
    """A system as it was run: name, words, its record, its run (empty where it failed)."""

    name: str
    words: str
    record: Record
    run: Run


@dataclass(frozen=True)
class Row:
    """A system in the table; measures and differences in points, None where there are none.

    `difference` is from the baseline; `p` is Holm's over all systems but the baseline;
    `detectable` the difference that would have been found four times in five at that correction.
    `overlap` is the share of the baseline's first ten documents among the system's, `similarity`
    rank-biased overlap with the baseline, both means over queries.
    """

    name: str
    words: str
    experiment: str
    error: str | None = None
    ndcg: float | None = None
    recall: float | None = None
    difference: Interval | None = None
    p: float | None = None
    detectable: float | None = None
    query_ms: float | None = None
    index_s: float | None = None
    memory_mib: float | None = None
    overlap: float | None = None
    similarity: float | None = None
    front: bool = False

    @property
    def helps(self) -> bool:
        """Told from the baseline, and better."""
        return self._told and self.difference is not None and self.difference.low > 0

    @property
    def hurts(self) -> bool:
        """Told from the baseline, and worse."""
        return self._told and self.difference is not None and self.difference.high < 0

    @property
    def _told(self) -> bool:
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Ranked:
    """A document in a ranking: id, grade (None: not judged), text where it may be shown."""

    docid: str
    grade: int | None
    text: str


@dataclass(frozen=True)
class Query:
    """A query that a system helped or hurt: points of both, and both rankings."""

    qid: str
    text: str
    before: float
    after: float
    baseline: tuple[Ranked, ...]
    system: tuple[Ranked, ...]


@dataclass(frozen=True)
class Bench:
    """All that a bench found."""

    collection: str
    split: str
    documents: int
    queries: int
    judged: bool
    preset: str
    command: str
    answer: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    best: str | None
    helped: tuple[Query, ...]
    hurt: tuple[Query, ...]
    per_query: Mapping[str, Mapping[str, float]]  # system -> query -> points
    machine: str = ""


@dataclass(frozen=True)
class Texts:
    """What may be shown of a collection: query and document texts, and grades."""

    queries: Mapping[str, str]
    documents: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]


def find(
    entries: Sequence[Entry], texts: Texts, *, preset: str, command: str, notes: Sequence[str] = ()
) -> Bench:
    """Compare every system with the first entry, the baseline; raises InputError as the tests do.

    A baseline that failed leaves every other system without a difference.
    """
    baseline, *others = entries
    facts = baseline.record.facts
    judged = bool(baseline.record.per_query)
    base_values = _points(baseline.record)
    rows = [_row(baseline)]
    compared = []
    for entry in others:
        row, values = _row(entry), _points(entry.record)
        if entry.run and baseline.run:
            row = _beside(row, entry.run, baseline.run)
        if values and base_values:
            row = replace(row, difference=paired_bootstrap(values, base_values))
            compared.append((len(rows), randomization_test(values, base_values).p))
        rows.append(row)
    for (place, _), p in zip(compared, holm([p for _, p in compared]), strict=True):
        values = _points(entries[place].record)
        spread = [values[qid] - base_values[qid] for qid in base_values]
        least = detectable_difference(spread, level=LEVEL / len(compared))
        if len(spread) < LEAST or (least or 0) > POINTS:  # no measure differs by more
            least = None
        rows[place] = replace(rows[place], p=p, detectable=least)
    rows = _with_front(rows)
    best = _best(rows)
    helped, hurt = _queries(entries, best, texts) if best else ((), ())
    return Bench(
        collection=str(baseline.record.config.get("collection", "")),
        split=str(facts.get("split", "")),
        documents=int(facts.get("documents", 0)),
        queries=int(facts.get("queries", 0)),
        judged=judged,
        preset=preset,
        command=command,
        answer=_answer(rows, facts, judged, str(baseline.record.config.get("collection", ""))),
        notes=(*_notes(rows, judged), *notes),
        rows=tuple(rows),
        best=best,
        helped=helped,
        hurt=hurt,
        per_query={entry.name: _points(entry.record) for entry in entries},
        machine=_machine(baseline.record),
    )


def _points(record: Record) -> dict[str, float]:
    """nDCG@10 in points by query id, sorted: resamples must not hang on how a record was read."""
    values = record.per_query.get(MEASURE, {})
    return {qid: POINTS * values[qid] for qid in sorted(values)}


def _row(entry: Entry) -> Row:
    record, facts = entry.record, entry.record.facts
    means = {name: POINTS * value for name, value in record.means.items()}
    return Row(
        name=entry.name,
        words=entry.words,
        experiment=record.experiment,
        error=record.error,
        ndcg=means.get(MEASURE),
        recall=means.get(RECALL),
        query_ms=facts.get("query_ms"),
        index_s=facts.get("index_s"),
        memory_mib=facts.get("memory_mib"),
    )


def _beside(row: Row, run: Run, baseline: Run) -> Row:
    qids = list(baseline)
    ours = {qid: run.get(qid, []) for qid in qids}
    shares = []
    for qid in qids:
        first = {docid for docid, _ in baseline[qid][:SHOWN]}
        if first:
            shares.append(len(first & {docid for docid, _ in ours[qid][:SHOWN]}) / len(first))
    similar = rank_biased_overlap(ours, baseline, p=0.9, depth=100)
    return replace(
        row, overlap=fmean(shares) if shares else 0.0, similarity=fmean(similar.values())
    )


def _with_front(rows: Sequence[Row]) -> list[Row]:
    """The rows, marked where no other is as good or better in less or the same time."""

    def beaten(row: Row, other: Row) -> bool:
        if row.ndcg is None or other.ndcg is None or row.query_ms is None or other.query_ms is None:
            return False
        no_worse = other.ndcg >= row.ndcg and other.query_ms <= row.query_ms
        return no_worse and (other.ndcg > row.ndcg or other.query_ms < row.query_ms)

    return [
        replace(row, front=row.ndcg is not None and not any(beaten(row, o) for o in rows))
        for row in rows
    ]


def _best(rows: Sequence[Row]) -> str | None:
    """The system of the highest nDCG@10, the baseline aside; None without judgements."""
    known = [row for row in rows[1:] if row.ndcg is not None]
    return max(known, key=lambda row: row.ndcg or 0.0).name if known else None


def _queries(
    entries: Sequence[Entry], best: str, texts: Texts
) -> tuple[tuple[Query, ...], tuple[Query, ...]]:
    """The queries that the system helped and hurt most, at most SHOWN of each, largest first."""
    system = next(entry for entry in entries if entry.name == best)
    before, after = _points(entries[0].record), _points(system.record)
    order = sorted(before, key=lambda qid: before[qid] - after[qid])  # stable: order of queries

    def shown(qid: str) -> Query:
        grades = texts.grades.get(qid, {})
        sides = [
            tuple(
                Ranked(docid, grades.get(docid), texts.documents.get(docid, ""))
                for docid, _ in run.get(qid, [])[:SHOWN]
            )
            for run in (entries[0].run, system.run)
        ]
        return Query(qid, texts.queries.get(qid, ""), before[qid], after[qid], *sides)

    helped = [qid for qid in order if after[qid] > before[qid]][:SHOWN]
    hurt = [qid for qid in reversed(order) if after[qid] < before[qid]][:SHOWN]
    return tuple(map(shown, helped)), tuple(map(shown, hurt))


def _answer(rows: Sequence[Row], facts: Mapping[str, object], judged: bool, collection: str) -> str:
    """One sentence: which helps, by how much, at which cost, or that none can be told."""
    base, n = rows[0], int(str(facts.get("queries", 0)))
    if base.error or not rows[1:]:
        return f"Nothing can be said of {collection}: {base.error or 'only the baseline was run'}."
    if not judged:
        timed = [row for row in rows[1:] if row.query_ms is not None]
        if timed and all(row.similarity is None for row in timed):
            return f"{collection} has no judgements, and no rankings were kept to compare."
        near = max(timed, key=lambda row: row.similarity or 0.0, default=None)
        far = min(timed, key=lambda row: row.similarity or 0.0, default=None)
        if near is None or far is None:
            return f"{collection} has no judgements, and no system but {base.name} could be run."
        like = "like" if near is far else "most like"
        least = "" if near is far else f", {far.name} least ({number(far.similarity, 2)})"
        return (
            f"{collection} has no judgements, so nothing says which system is better: "
            f"{near.name} ranks {like} {base.name} (rank-biased overlap "
            f"{number(near.similarity, 2)}){least}."
        )
    helping = sorted((r for r in rows if r.helps), key=lambda row: -(row.ndcg or 0.0))
    if helping:
        best = helping[0]
        text = (
            f"{best.name} helps on {collection}: {_gain(best)} over {base.name} on {queries(n)}, "
            f"at {milliseconds(best.query_ms)} a query in place of {milliseconds(base.query_ms)}"
        )
        cheap = min(helping, key=lambda row: row.query_ms or 0.0)
        if cheap is not best:
            text += (
                f"; the cheapest that helps is {cheap.name}, {_gain(cheap)} at "
                f"{milliseconds(cheap.query_ms)}"
            )
        return f"{text}."
    text = f"No system can be told to be better than {base.name} on {queries(n)} of {collection}"
    known = [row for row in rows[1:] if row.difference is not None]
    if not known:
        return f"{text}."
    best = max(known, key=lambda row: row.ndcg or 0.0)
    return f"{text}; the best of the others, {best.name}: {_gain(best)}."


def _gain(row: Row) -> str:
    d = row.difference
    assert d is not None
    return (
        f"{signed(d.estimate, 1)} points of nDCG@10 (95 % interval {signed(d.low, 1)} to "
        f"{signed(d.high, 1)}, p {p_text(row.p)})"
    )


def queries(n: int) -> str:
    """ "1 query", "50 queries"."""
    return f"{n:,} {'query' if n == 1 else 'queries'}"


def p_text(p: float | None) -> str:
    """ "= .012" or "< .001"."""
    text = p_value(p)
    return f"< {text[1:]}" if text.startswith("<") else f"= {text}"


def milliseconds(value: float | None) -> str:
    """A time a query, in the unit that it is read in."""
    if value is None:
        return "an unknown time"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.3g} ms"


def _notes(rows: Sequence[Row], judged: bool) -> list[str]:
    """What else has to be said: what hurts, what could not be found, what failed."""
    notes = []
    if hurting := [row for row in rows if row.hurts]:
        named = [f"{r.name} ({signed(r.difference.estimate, 1)})" for r in hurting if r.difference]
        notes.append(f"Worse than {rows[0].name}: {', '.join(named)}.")
    least = [row.detectable for row in rows if row.detectable is not None]
    unclear = [row for row in rows[1:] if row.difference and not (row.helps or row.hurts)]
    if judged and unclear and least:
        low, high = min(least), max(least)
        size = f"{number(low, 1)} points"
        if high - low >= 0.1:
            size = f"{number(low, 1)} to {number(high, 1)} points, depending on the system,"
        notes.append(
            f"With these queries a true difference of {size} would be found four times in five "
            "(80 % power, corrected for all comparisons); smaller ones mostly stay unseen."
        )
    elif judged and unclear and any(row.difference.estimate for row in unclear if row.difference):
        notes.append(
            "With so few queries no true difference, however large, would be found four times in "
            "five."
        )
    if failed := [row for row in rows if row.error]:
        notes += [f"{row.name} could not be run: {row.error}" for row in failed]
    return notes


def _machine(record: Record) -> str:
    known = record.provenance
    cpu: Mapping[str, object] = known.get("cpu") or {}
    words = [str(cpu.get("model") or ""), f"{cpu.get('count')} cores" if cpu.get("count") else ""]
    return ", ".join(word for word in [*words, str(known.get("gpu") or "")] if word)
