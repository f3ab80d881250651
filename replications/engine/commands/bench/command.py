"""`replicate bench`: which method helps on a collection, at which cost."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ir_replications.bench.systems import (
    GROUPS,
    PRESETS,
    ROLES,
    SYSTEMS,
    BenchJob,
    Preset,
    Request,
    absent,
    bench_command,
    candidates_for,
    chosen_models,
    chosen_systems,
    first_jobs,
    rerank_jobs,
    weight,
)
from ir_replications.engine.commands.bench.answer_table import show_bench
from ir_replications.engine.commands.bench.weighted_progress import WeightedProgress
from ir_replications.engine.commands.chosen import chosen_collections
from ir_replications.engine.commands.options import data_root_option
from ir_replications.engine.context import cached_collection
from ir_replications.engine.door import OUTPUT_FOLDER, tell
from ir_replications.engine.first_stages import chosen_queries
from ir_replications.reports.bench.files import bench_json, per_query_csv, systems_csv
from ir_replications.reports.bench.findings import Bench, Entry, Texts, find
from ir_replications.reports.bench.page import bench_page
from ir_replications.reports.records.provenance import scrub
from ir_replications.reports.records.record import Record, slug
from ir_replications.reports.records.store import Store
from ir_replications.shared.analysis import ANALYZERS
from ir_replications.shared.data.collection import UNJUDGED, Collection, Grades
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.files import atomic_write
from ir_replications.shared.printable import printable
from ir_replications.shared.progress import duration
from ir_replications.shared.retrieval.runs import NO_RESULT, Run, read_run

TEXT = 90  # characters of a document that stand in a ranking


@click.command()
@click.argument("collection")
@click.option("--preset", default="quick", type=click.Choice(list(PRESETS)), show_default=True,
              help="quick: 50 queries, small models, minutes; full: hours.")  # fmt: skip
@click.option(
    "--systems",
    multiple=True,
    metavar="NAME[,NAME]",
    help=f"In place of the preset's: {', '.join(SYSTEMS)}; or groups: {', '.join(GROUPS)}.",
)
@click.option(
    "--models",
    multiple=True,
    metavar="ROLE=REFERENCE",
    help=f"Your own model for a role: a folder, hub:<org>/<name>@<revision>, embedded:<name>. "
    f"Roles: {', '.join(ROLES)}. May be given several times.",
)
@click.option("--depth", type=click.IntRange(1, 100),
              help="Documents reranked; quick: 10, by language models 3; full: 100.")  # fmt: skip
@click.option("--queries", type=click.IntRange(1), help="A fixed choice of so many queries.")
@click.option("--all-queries", is_flag=True, help="All queries, also with --preset quick.")
@click.option("--split", help="Judgements to evaluate; default: test, or the only ones.")
@click.option("--analyzer", default="lucene", type=click.Choice(sorted(ANALYZERS)),
              show_default=True, help="How text becomes tokens.")  # fmt: skip
@click.option("--out", type=OUTPUT_FOLDER, help="Folder of results; default: bench/<collection>.")
@data_root_option
@click.option("--jobs", type=click.IntRange(1),
              help="Systems run side by side; more than one disturbs the times.")  # fmt: skip
@click.option("--executor", type=click.Choice(["local", "ray"]), default="local",
              help="Where they run, as for `replicate run`; models are sent.")  # fmt: skip
@click.option("--keep", is_flag=True, help="Accept finished stages made by other code.")
@click.option("--ids-only", is_flag=True,
              help="No text of queries and documents on the page, to pass it on.")  # fmt: skip
@click.option("--no-download", is_flag=True, help="Use only what is on this machine.")
@click.option("--dry-run", is_flag=True, help="Print what would run; run nothing.")
@click.pass_context
def bench(
    context: click.Context,
    collection: str,
    preset: str,
    systems: tuple[str, ...],
    models: tuple[str, ...],
    depth: int | None,
    queries: int | None,
    all_queries: bool,
    split: str | None,
    analyzer: str,
    out: Path | None,
    data_root: Path | None,
    jobs: int | None,
    executor: str,
    keep: bool,
    ids_only: bool,
    no_download: bool,
    dry_run: bool,
) -> None:
    """Which method helps on COLLECTION (a BEIR folder or an id): one table, one page.

    Runs BM25, BMX, query rewriting, dense retrieval and rerankers as one pipeline, compares each
    with BM25 (interval, corrected p), and writes bench.html, CSV, JSON, records and TREC runs to
    --out. Finished stages of the same data, code and options are kept: run it again to go on.
    """
    find_data_root(data_root)
    if queries and all_queries:
        raise InputError("--queries and --all-queries: give one of the two")
    (name,), folders = chosen_collections(
        [collection], data_root, split, download=not no_download, unjudged=True
    )
    given = chosen_models(models)
    chosen = PRESETS[preset]
    asked = {
        "preset": preset if preset != "quick" else None,
        "models": models,
        "depth": depth,
        "queries": queries,
        "split": split,
        "analyzer": analyzer if analyzer != "lucene" else None,
    }
    own = f"./{folders[name].name}" if name in folders else name
    loaded = cached_collection(folders.get(name, name), data_root, not no_download)
    request = Request(
        collection=name,
        preset=_sized(chosen, depth, queries, all_queries),
        systems=chosen_systems(systems, chosen, given),
        models=given,
        analyzer=analyzer,
        split=_split(loaded, split),
        download=not no_download,
        command=bench_command(own, asked) + (" --all-queries" if all_queries else ""),
    )
    topics = _topics(loaded, request)
    if dry_run:
        _show_plan(request, loaded, len(topics))
        _say_absent(systems, chosen)
        return
    first = first_jobs(request)
    planned = _all_jobs(request, first)  # what no model can do is refused before any work
    _say_absent(systems, chosen)
    place = out or Path("bench") / slug(name.rpartition("/")[2])
    if name in folders and os.path.realpath(place) == os.path.realpath(folders[name]):
        raise InputError(f"{place}: is the collection; name another folder with --out")
    store = _store(place)
    _check_same_data(store, place, name, loaded)
    notes = _notes(loaded, topics, loaded.qrels[_evaluated(loaded, request)])
    options: dict[str, Any] = {
        "n_jobs": jobs,
        "executor": executor,
        "data_root": data_root,
        "download": not no_download,
        "folders": {**folders, **request.folders},
        "keep": keep,
    }
    progress = WeightedProgress(len(loaded.doc_ids), len(topics))
    with progress.shown(planned):
        records = progress.run(first, store.root, **options)
        entries = [_entry(job, records, store) for job in first]
        behind = _best_first(request, first, entries, loaded, topics)
        if later := rerank_jobs(request, behind):
            records |= progress.run(later, store.root, **options)
            entries += [_entry(job, records, store) for job in later]
    entries = [_behind(entry, behind) for entry in entries]
    notes += _without_results(entries, topics)
    chosen_by_name = f" --systems {','.join(systems)}" if systems else ""
    found = find(
        _in_order(entries, request),
        _texts(loaded, topics, loaded.qrels[_evaluated(loaded, request)], entries, ids_only),
        preset=preset,
        # The page may be passed on: no path of this machine.
        command=scrub(f"{request.command}{chosen_by_name}"),
        notes=notes,
    )
    _write(place, found)
    show_bench(found)
    tell(f"page: {place / 'bench.html'}; CSV, JSON, records and runs beside it")
    context.exit(1 if any(row.error for row in found.rows) else 0)


def _say_absent(named: Sequence[str], preset: Preset) -> None:
    if line := absent(named, preset):
        tell(line, err=True)


def _sized(preset: Any, depth: int | None, queries: int | None, every: bool) -> Any:
    """The preset with what the user chose himself; the same object where he chose nothing."""
    changed: dict[str, Any] = {}
    if depth is not None:
        changed |= {"depth": depth, "causal_depth": depth}
    if queries is not None or every:
        changed["queries"] = queries
    return replace(preset, **changed) if changed else preset


def _split(loaded: Collection, split: str | None) -> str | None:
    """The split to name in configs: the user's, or that of a collection without judgements."""
    if split is not None:
        loaded.topics(split)
        return split
    if not loaded.judged:
        return UNJUDGED
    _ = loaded.default_split  # refused now where there are several and none is chosen
    return None


def _evaluated(loaded: Collection, request: Request) -> str:
    return request.split or loaded.default_split


def _topics(loaded: Collection, request: Request) -> dict[str, str]:
    texts = loaded.topics(_evaluated(loaded, request))
    return {qid: texts[qid] for qid in chosen_queries(texts, request.preset.queries)}


def _store(place: Path) -> Store:
    """The store of records in the folder of results. Raises InputError where none can be."""
    store = Store(place / "records")
    try:
        store.claim(False)
    except OSError as error:
        raise InputError(
            f"{place}: cannot be written ({error.strerror}); choose another folder with --out"
        ) from error
    return store


def _check_same_data(store: Store, place: Path, name: str, loaded: Collection) -> None:
    """Raise InputError where the folder has the results of other data that are called the same."""
    for record in store.records():
        noted = record.provenance.get("data", {})
        if noted.get(record.config.get("collection")) not in (None, loaded.sha256):
            raise InputError(
                f"{place}: has the results of other data ({record.config['collection']}); name "
                "another folder with --out, or remove it"
            )


def _notes(loaded: Collection, topics: Iterable[str], grades: Grades) -> list[str]:
    """What of the data keeps a bench from saying all that it could."""
    notes = []
    ids = [*topics, *loaded.doc_ids]
    if spaced := [each for each in ids if len(each.split()) > 1]:
        notes.append(
            f"Ids hold white space (first: {printable(spaced[0])!r}), which no TREC run can: there "
            "are no run files, so no rankings and no overlap; write '_' in its place to have them."
        )
    if loaded.judged and not any(g > 0 for qid in topics for g in grades[qid].values()):
        notes.append("No query has a relevant document (a grade above 0): every measure is 0.")
    return notes


def _without_results(entries: Sequence[Entry], topics: Mapping[str, str]) -> list[str]:
    """A note where systems find nothing for some queries, as another language's analyzer makes."""
    found = {}
    for entry in entries:
        kept = bool(entry.run) or entry.record.facts.get("run_file") == f"none: {NO_RESULT}"
        if kept and (missing := sum(not entry.run.get(qid) for qid in topics)):
            found[entry.name] = missing
    if not found:
        return []
    named = ", ".join(f"{name} {number:,}" for name, number in found.items())
    return [f"Queries without any result, of {len(topics):,}: {named}. Does --analyzer suit them?"]


def _all_jobs(request: Request, first: Sequence[BenchJob]) -> list[BenchJob]:
    """All cells as they will be, rerankers behind some first stage, for the time that is left."""
    return [*first, *rerank_jobs(request, first[0])]


def _entry(job: BenchJob, records: dict[Any, Record], store: Store) -> Entry:
    record = records[job.key]
    path = store.check_run(record)
    run: Run = read_run(path) if path else {}
    name = str(job.config["system"])
    return Entry(name, SYSTEMS[name].words, record, run)


def _behind(entry: Entry, first: BenchJob) -> Entry:
    if entry.record.experiment != "reranked":
        return entry
    depth, name = entry.record.config["candidates"], first.config["system"]
    return replace(entry, words=f"{entry.words}: first {depth} of {name}")


def _best_first(
    request: Request,
    jobs: Sequence[BenchJob],
    entries: Sequence[Entry],
    loaded: Collection,
    topics: dict[str, str],
) -> BenchJob:
    """The first stage that finds most at the depth that is reranked, then by nDCG@10.

    The baseline without judgements.
    """
    if not loaded.judged:
        return jobs[0]
    split = loaded.qrels[_evaluated(loaded, request)]
    qrels = {qid: split[qid] for qid in topics}
    recall = f"R@{request.preset.depth}"
    found: dict[int, tuple[float, float]] = {}
    for place, entry in enumerate(entries):
        if entry.name in candidates_for(request) and entry.run:
            means = evaluate(entry.run, qrels, [recall, "nDCG@10"]).means
            found[place] = (means[recall], means["nDCG@10"])
    return jobs[max(found, key=found.__getitem__, default=0)]


def _in_order(entries: Sequence[Entry], request: Request) -> list[Entry]:
    by_name = {entry.name: entry for entry in entries}
    return [by_name[name] for name in request.systems]


def _texts(
    loaded: Collection,
    topics: dict[str, str],
    grades: Grades,
    entries: Sequence[Entry],
    ids_only: bool,
) -> Texts:
    if ids_only:
        return Texts({}, {}, grades)
    seen = {
        docid for entry in entries for results in entry.run.values() for docid, _ in results[:10]
    }
    documents = {
        docid: _start(loaded.titles[place] or loaded.texts[place])
        for place, docid in enumerate(loaded.doc_ids)
        if docid in seen
    }
    return Texts({qid: _start(text, 200) for qid, text in topics.items()}, documents, grades)


def _start(text: str, length: int = TEXT) -> str:
    words = " ".join(text.split())
    return words if len(words) <= length else f"{words[: length - 1].rstrip()}…"


def _write(place: Path, found: Bench) -> None:
    files = {
        "bench.html": bench_page(found),
        "systems.csv": systems_csv(found),
        "bench.json": bench_json(found),
    }
    if found.judged:
        files["per-query.csv"] = per_query_csv(found)
    for name, text in files.items():
        with atomic_write(place / name) as handle:
            handle.write(text)


def _show_plan(request: Request, loaded: Collection, queries: int) -> None:
    first = first_jobs(request)
    jobs = _all_jobs(request, first)
    for job in jobs:
        name = str(job.config["system"])
        model = f"; {job.config['model']}" if "model" in job.config else ""
        tell(f"{name}: {SYSTEMS[name].words}{model}")
    seconds = sum(weight(job, len(loaded.doc_ids), queries) for job in jobs)
    tell(
        f"{len(jobs)} systems on {len(loaded.doc_ids):,} documents and {queries:,} queries: "
        f"very roughly {duration(seconds)} on two cores"
    )
