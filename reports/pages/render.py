"""Render the pages: an index, a page per paper, and below them records, values per query, tables.

The same records and code give the same bytes.

The pages need no script to be read and load nothing from elsewhere: the index and the papers' pages
hold their style, script and figures, so they work from a file, off-line and in print. With script,
tables can be sorted and filtered, commands copied, and two systems compared query by query.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ir_replications.reports.claims.judge import judge
from ir_replications.reports.claims.reader import load_papers
from ir_replications.reports.claims.types import Paper
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.pages import cite
from ir_replications.reports.pages.claim_views import checks_held, claim_view, front_lines
from ir_replications.reports.pages.code_views import code_notes
from ir_replications.reports.pages.export import exported
from ir_replications.reports.pages.forked import forked
from ir_replications.reports.pages.formatting import count
from ir_replications.reports.pages.machine_views import Verified
from ir_replications.reports.pages.plots import Figure, with_prefix
from ir_replications.reports.pages.query_views import QueryPage, group_of, query_pages
from ir_replications.reports.pages.record_links import RecordLinks
from ir_replications.reports.pages.record_views import Link, Places, record_view, without_shared
from ir_replications.reports.pages.table_files import index_grid, table_files
from ir_replications.reports.pages.views import PaperView, table_view, tier_view, uses
from ir_replications.reports.records.files import pack_text
from ir_replications.reports.records.provenance import code_digest
from ir_replications.reports.records.record import TIERS, Record
from ir_replications.reports.records.store import overlay
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write
from ir_replications.shared.printable import printable
from ir_replications.shared.reading import read_json, user_path
from ir_replications.shared.rehearsal import is_rehearsal

ASSETS = ("pages.css", "pages.js")
PARTS = ("records", "tables", "data")  # folders of what belongs to one paper
MANIFEST = "pages.json"  # what an earlier render wrote, so that stale pages can go
TIER_MEANING = {
    "embedded": "Text and small models that come with the packages; minutes on two CPU cores. "
    "Shows the direction of an effect, never the paper's value.",
    "small": "Public collections of a few thousand documents; up to hours on CPUs or one GPU. "
    "Cells that the paper has for these collections are compared.",
    "paper": "The paper's own data and models; GPUs. A full replication.",
}

UNIT_MEANING = (
    "A point is a hundredth: differences of measures such as nDCG@10 are shown times 100. In "
    "brackets the 95 % interval, drawn beside it: the dot is our difference, the dashed line no "
    "difference, the stroke what the paper printed."
)
MOST_ROWS = 300  # of a figure's numbers on a page; more are in files alone


def benches_in(out_dir: Path) -> list[str]:
    """The names of the bench pages that lie in a folder of pages, in order."""
    return sorted(page.parent.name for page in out_dir.glob("bench/*/bench.html"))


def render_site(
    papers_root: Path | str,
    records: Iterable[Record],
    out_dir: Path | str,
    verified: Verified | None = None,
    *,
    codes: Mapping[str, str] | None = None,
    benches: Sequence[str] = (),
    processes: int = 1,
) -> Path:
    """Write index.html, one page per paper and the data files; returns the index.

    Pages of an earlier render that are no longer made are removed, unless somebody edited them.
    `verified` are the attested machines that the index lists, `benches` the collections whose
    bench pages it links (`benches_in`).
    Records and run files are linked where their store lies beside `out_dir` (results/ or local/);
    otherwise records are copied below data/. `codes` are the digests of each paper's code that
    pages name, by default those of the code at hand. More than one of the `processes`, which only a
    process without threads may ask for, make the papers' pages side by side where the system can
    fork.
    Raises InputError when `out_dir` cannot be written; and, once all other pages are written, of
    papers whose claims.toml or figures are wrong. Their earlier pages stay.
    """
    out = user_path(out_dir)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder for the pages")
    records = overlay(records, [])  # sorted: the order of arrival must not show
    rehearsal = any(is_rehearsal(record.provenance) for record in records)
    files: dict[str, str] = {}
    views = []
    verified = verified or Verified()
    root = Path(papers_root)

    def made(paper: Paper) -> tuple[PaperView, dict[str, str]] | InputError:
        try:
            return pages_of(paper)
        except InputError as error:
            return error

    def pages_of(paper: Paper) -> tuple[PaperView, dict[str, str]]:
        own = [record for record in records if record.paper == paper.id]
        code = (codes or {}).get(paper.id) or code_digest(paper.id, papers=root.resolve())
        figures = load_figures(root / paper.id, own)
        view, of_records = paper_view(paper, own, figures, out, code)
        page = _template("paper.html", view=view, verified=verified, rehearsal=rehearsal)
        files = {f"{paper.id}.html": page, **of_records, **table_files(view)}
        return view.for_index(), files

    if processes > 1:  # once, not once in every fork
        for library in ("scipy.special", "matplotlib.figure", "matplotlib.backends.backend_svg"):
            importlib.import_module(library)
        _environment().get_template("paper.html")
    papers, wrong = load_papers(papers_root)
    for paper, done in zip(papers, forked(made, papers, processes), strict=True):
        if isinstance(done, InputError):
            wrong[paper.id] = done
        else:
            views.append(done[0])  # what the index shows of a paper
            files |= done[1]
    files["index.html"] = _template(
        "index.html",
        views=views,
        benches=benches,
        verified=verified,
        suite=cite.suite_version(),
        rehearsal=rehearsal,
    )
    files |= {f"records/{name}": _source(name) for name in ASSETS}
    files |= exported("tables/index", index_grid(views))
    _write(out, files, keep=wrong)
    index = out / "index.html"
    if wrong:
        reasons = "; ".join(f"{paper} ({error})" for paper, error in sorted(wrong.items()))
        raise InputError(f"{index}: written without {reasons}")
    return index


def paper_view(
    paper: Paper, records: Sequence[Record], figures: Sequence[Figure], out: Path, code: str
) -> tuple[PaperView, dict[str, str]]:
    """Judge a paper at every tier and collect what its page shows; and the pages of its records.

    `code` is the present digest.
    """
    judgements = {tier: judge(paper, records, tier) for tier in TIERS}
    places = Places(records)
    queries = query_pages(records)
    digest = cite.records_digest(records)
    view = PaperView(
        paper=paper,
        tiers=[tier_view(paper, judgements[tier], records) for tier in TIERS],
        front=front_lines(paper, judgements),
        checks=checks_held(paper, judgements),
        claims=[claim_view(paper, claim, judgements, places, queries) for claim in paper.claims],
        tables=[table_view(paper, table, judgements, places) for table in paper.tables],
        figures=figures,
        pages=places.pages,
        queries=list(queries.values()),
        records=len(records),
        code=code_notes(records, code),
        digest=digest,
        paper_bibtex=cite.paper_bibtex(paper),
        replication_bibtex=cite.replication_bibtex(paper, digest),
    )
    files = record_files(view, places, queries, uses(paper, judgements), RecordLinks(out))
    return view, files


def record_files(
    view: PaperView,
    places: Places,
    queries: Mapping[tuple[str, str, str], QueryPage],
    used: Mapping[str, Sequence[Link]],
    links: RecordLinks,
) -> dict[str, str]:
    """Pages of records, of values per query with their CSV, and of the figures' numbers.

    Records without a store beside the pages are copied below data/.
    """
    rehearsal = any(is_rehearsal(r.provenance) for page in view.pages for r in page.records)
    files: dict[str, str] = {}
    copied: dict[str, list[Record]] = {}
    for page in view.pages:
        shown = [record_view(record, *links.of(record)) for record in page.records]
        for item in shown:
            if not item.json_file.startswith("../"):
                copied.setdefault(item.json_file, []).append(item.record)
        shared, rest = without_shared(shown)
        groups = dict.fromkeys(map(group_of, page.records))
        files[page.name] = _template(
            "records.html",
            view=view,
            page=page,
            shared=shared,
            records=rest,
            used=used,
            queries=[queries[group] for group in groups if group in queries],
            rehearsal=rehearsal,
        )
    for found in queries.values():
        files[f"{found.name}.html"] = _template(
            "queries.html", view=view, page=found, places=places, rehearsal=rehearsal
        )
        files[f"{found.name}.csv"] = found.csv
    if view.figures:
        files[f"records/{view.paper.id}/figures.html"] = _template(
            "numbers.html", view=view, rehearsal=rehearsal
        )
    return files | {name: pack_text(found) for name, found in copied.items()}


def load_figures(folder: Path, records: Sequence[Record]) -> list[Figure]:
    """The figures of the paper's experiments/figures.py; none without it.

    It has `figures(records) -> list[Figure]`. Raises InputError for one that cannot draw these.
    """
    path = folder / "experiments" / "figures.py"
    if not path.is_file() or not records:
        return []
    spec = importlib.util.spec_from_file_location(f"_figures_of_{folder.name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever somebody's unfinished module raises
        raise InputError(f"{path}: cannot be used ({type(error).__name__}: {error})") from error
    try:
        figures = list(module.figures(list(records)))
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: cannot draw these records ({type(error).__name__}: {error}); if code older "
            f"than this made them, run them again: replicate run {folder.name}"
        ) from error
    for figure in figures:
        if not figure.alt.strip():
            raise InputError(f"{path}: figure {figure.id!r} has no alt text; say what it shows")
    return figures


def _source(name: str) -> str:
    """A file of the templates as it is."""
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _template(name: str, **context: object) -> str:
    return _environment().get_template(name).render(**context)


@cache
def _environment() -> Environment:
    """The templates, each compiled once for all pages."""
    environment = Environment(
        loader=PackageLoader("ir_replications.reports.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_visible,
    )
    environment.filters["count"] = count
    environment.globals.update(
        verdicts=list(Verdict),
        tier_meaning=TIER_MEANING,
        unit_meaning=UNIT_MEANING,
        most_rows=MOST_ROWS,
        lines=lambda pairs: "\n".join(f"{key}: {value}" for key, value in pairs),
        drawing=_drawing,
    )
    return environment


def _drawing(figure: Figure) -> Markup:
    """The drawing, whose texts are escaped where it was made, with its words as its name."""
    text, alt = with_prefix(figure.drawing, f"fig-{figure.id}"), escape(figure.alt)
    if text.startswith("<table"):
        head, rest = text.split(">", 1)
        box = f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(figure.title)}">'
        return Markup(f'{box}{head}><caption class="vh">{alt}</caption>{rest}</div>')
    return Markup(text.replace(' role="img">', f' role="img" aria-label="{alt}">', 1))


def _visible(value: object) -> object:
    """A text of records or claims without characters that act; markup and numbers as they are."""
    return printable(value, lines=True) if type(value) is str else value


def _write(out: Path, files: dict[str, str], keep: Iterable[str] = ()) -> None:
    """Write what changed, then remove what an earlier render wrote and this one did not.

    What was written of the papers in `keep` stays.
    """
    digests = {name: _sha256(text.encode()) for name, text in files.items()}
    manifest = out / MANIFEST
    try:
        before = read_json(manifest)
    except InputError:
        before = {}
    before = before if isinstance(before, dict) else {}
    kept = {
        name: digest
        for name, digest in before.items()
        for paper in keep
        if name == f"{paper}.html" or name.startswith(tuple(f"{part}/{paper}/" for part in PARTS))
    }
    for name, text in sorted(files.items()):
        path = out / name
        if not (path.is_file() and _sha256(path.read_bytes()) == digests[name]):
            with atomic_write(path, durable=False) as handle:
                handle.write(text)
    with atomic_write(manifest, durable=False) as handle:
        handle.write(json.dumps(kept | digests, indent=1, sort_keys=True) + "\n")
    for name, digest in before.items():
        parts = PurePosixPath(name).parts
        path = out / name
        if name in files or name in kept or ".." in parts or PurePosixPath(name).is_absolute():
            continue
        if path.is_file() and _sha256(path.read_bytes()) == digest:
            path.unlink()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
