"""Read a paper's claims.toml, the claims to test, and tables.toml, its tables as printed.

Format (every key that is not listed here is refused, so a typing error cannot hide a number):

    [paper]           title, name (short), authors (list), year, arxiv, url, code, licence, summary,
                      result (what the committed records show, in a sentence or two), note
    [words]           value = "words": what pages call a value of a config, as "A8" of an arm, or a
                      fact, as "two_logit_error"
    [index]           ID = "what was measured": two to four claims, in the words that stand on the
                      index of all papers beside collections and seeds; without it, the first
                      headlines do
    [sources.TAG]     title, url, trust = "primary" | "second-hand" | "derived" | "ours",
                      of = "paper" | "release" | "other": what it tells of (default: other)
    [[deviation]]     id, text, reason                what we do differently, and why
    [[open]]          id, text, choice                what the paper leaves open, what we chose

    [[table]]         here, or all of them in a tables.toml beside this file:
                      id, title, caption, measure, scale (printed = scale x measure), decimals,
                      source, tiers, comparable, tolerance + reason, ours, columns
      columns         list of {label, ours, and to override the table: measure, scale, decimals,
                      source, tiers, over}; `over` lists collections, the cell is their mean; a
                      list inside it (CQADupStack's forums) weighs as much as one collection
      [[table.row]]   label, values (one per column; "" = no sourced value; absent = only our
                      numbers), ours (false: another system, not run here), source,
                      tolerance + reason, note

    [[claim]]         id, text, source, tiers, comparable (true, false or a list of tiers),
                      requires (claims that must hold first), family (Holm family), note,
                      expect_false (the paper's statement is expected to fail)
                      kind = "headline": what the paper says first of all; these stand first. The
                      others are claims of the paper where their source is `of` it, else checks
      [claim.check]   kind and, by kind:
        bound         select, fact or measure, op (<= >= == < >), value, tolerance, seeds
        interval      select, fact (of {estimate, low, high}), op (<= >= < >), value
        value         select, measure, over, value, decimals, scale, subtract_from,
                      tolerance + reason
        effect        a, b, where, measure, expect = "greater" | "less", each or pool = "macro",
                      over, sesoi, seeds, these_weights, paper_effect or paper_a + paper_b
                      (number, or one per group), scale, decimals, tolerance + reason
        equivalent    a, b, where, measure, each or pool = "macro", over, bound, seeds,
                      these_weights

Short forms (sets, defaults, grids of claims and of rows) are in reports/claims/grids.py. A line
break in a text counts as a blank.

`seeds` is how many trainings the plan has; fewer are called preliminary. `these_weights = true`
says that an effect is claimed of the very weights at hand (a gate), not of their recipe: then one
training is all there is to test. A Holm family has all tests that the file plans, run or not.

`over` of a check names the groups (collections) to judge, as one list or as a table of lists per
tier, {small = ["beir/scifact"]}; without it, every group that has records is judged. Name them
where `comparable` is true, so that a user's own collection is never taken for the paper's. A value
with `over` is the mean over these collections, as in a table's column; with `subtract_from`, a
number of the paper in its scale, it is that number less our own.

Tables, values, effects and equivalences of a measure that is a share (nDCG@10) are judged and shown
in points, times 100: without a scale, the numbers of the file are shares and are multiplied.

Numbers are finite and below 1e15, scale is positive, tolerance not negative, sesoi and bound are
above 0, decimals at most 15; `requires` leads to no circle.

A selector (ours, select, a, b, where) is a table of config values, plus `experiment` and `label`;
a list stands for any of its values; select, a and b are not empty. A cell takes the records that
hold every pair of the table's, the row's and the column's selector; records that differ in nothing
but the seed are one cell. `measure` names a mean (nDCG@10) or a fact ("train.reward_gain", dots go
into nested facts, and "a / b" is the ratio of two).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ir_replications.reports.claims.checks import check_references
from ir_replications.reports.claims.grids import written_out
from ir_replications.reports.claims.points import in_points
from ir_replications.reports.claims.toml_reader import Keys, read_toml
from ir_replications.reports.claims.types import (
    Check,
    Claim,
    Column,
    Note,
    Numbers,
    Paper,
    Row,
    Source,
    Table,
)
from ir_replications.reports.records.record import TIERS
from ir_replications.shared.errors import InputError

OF = ("paper", "release", "other")
TRUST = ("primary", "second-hand", "derived", "ours")
KINDS = ("bound", "interval", "value", "effect", "equivalent")
OPS = ("<=", ">=", "==", "<", ">")


def load_papers(root: Path | str) -> tuple[list[Paper], dict[str, InputError]]:
    """Every paper below `root`, each folder that holds a claims.toml, by name; and by name of the
    folder what is wrong where one cannot be read.
    """
    read, wrong = [], {}
    for path in sorted(Path(root).glob("*/claims.toml")):
        try:
            read.append(load_paper(path.parent))
        except InputError as error:
            wrong[path.parent.name] = error
    return read, wrong


def load_paper(folder: Path | str) -> Paper:
    """Read folder/claims.toml and, where it is, tables.toml and the CSV files that it names.

    Raises InputError naming the file, the entry and the key.
    """
    path, beside = Path(folder) / "claims.toml", Path(folder) / "tables.toml"
    files = {path: read_toml(path)}
    if beside.exists() or beside.is_symlink():  # a link that leads nowhere is a fault
        files[beside] = read_toml(beside)
    written = written_out(files)
    top = Keys(written[path], str(path))
    tables = Keys(written[beside], str(beside)) if beside in written else top
    if tables is not top and "table" in top.left:
        top.fail("table", "stands here and in tables.toml; move these there")
    card = top.table("paper", required=True)
    raw_sources = top.mapping("sources")
    words, index = _texts(top.mapping("words")), _texts(top.mapping("index"))
    sources = {tag: _source(tag, raw_sources.table(tag)) for tag in list(raw_sources.left)}
    title = card.text("title", required=True)
    paper = Paper(
        id=path.parent.name,
        title=title,
        name=card.text("name") or title.partition(":")[0],
        authors=card.texts("authors"),
        year=card.integer("year", at_most=9999),
        arxiv=card.text("arxiv"),
        url=card.url("url"),
        code=card.url("code"),
        licence=card.text("licence"),
        summary=card.text("summary"),
        result=card.text("result"),
        note=card.text("note"),
        words=words,
        index=index,
        sources=sources,
        deviations=tuple(_note(keys, "reason") for keys in top.tables("deviation")),
        open_points=tuple(_note(keys, "choice") for keys in top.tables("open")),
        tables=tuple(_table(keys) for keys in tables.tables("table")),
        claims=tuple(_claim(keys, sources) for keys in top.tables("claim")),
    )
    card.done()
    top.done()
    tables.done()
    check_references(paper, path, beside if beside in written else path)
    return in_points(paper)


def _texts(keys: Keys) -> dict[str, str]:
    return {name: keys.text(name, required=True) for name in list(keys.left)}


def _source(tag: str, keys: Keys) -> Source:
    source = Source(
        tag,
        keys.text("title", required=True),
        keys.url("url"),
        keys.choice("trust", TRUST, required=True),
        keys.choice("of", OF) or "other",
    )
    keys.done()
    return source


def _note(keys: Keys, reason: str) -> Note:
    note = Note(keys.text("id"), keys.text("text", required=True), keys.text(reason, required=True))
    keys.done()
    return note


def _table(keys: Keys) -> Table:
    keys.name_by("id")
    tiers = keys.choices("tiers", TIERS) or TIERS
    tolerance = keys.tolerance("tolerance")
    table = Table(
        id=keys.text("id", required=True),
        title=keys.text("title", required=True),
        caption=keys.text("caption"),
        measure=keys.name("measure", default="nDCG@10"),
        scale=keys.scale("scale") or 1.0,
        decimals=keys.decimals("decimals", default=4),
        source=keys.text("source") or None,
        tiers=tiers,
        comparable=_comparable(keys, tiers, required=False),
        tolerance=tolerance,
        reason=keys.text("reason", required=tolerance is not None),
        ours=keys.selector("ours"),
        columns=tuple(_column(column) for column in keys.tables("columns", required=True)),
        rows=(),
    )
    rows = tuple(_row(row, len(table.columns)) for row in keys.tables("row", required=True))
    keys.done()
    return replace(table, rows=rows)


def _column(keys: Keys) -> Column:
    keys.name_by("label")
    column = Column(
        label=keys.text("label", required=True),
        ours=keys.selector("ours"),
        measure=keys.name("measure") or None,
        scale=keys.scale("scale"),
        decimals=keys.decimals("decimals") if "decimals" in keys.left else None,
        source=keys.text("source") or None,
        tiers=keys.choices("tiers", TIERS) or None,
        over=keys.parts("over"),
    )
    keys.done()
    return column


def _row(keys: Keys, width: int) -> Row:
    keys.name_by("label")
    tolerance = keys.tolerance("tolerance")
    values = keys.values("values", width)
    compared = keys.left.get("ours") is not False
    if not compared:
        keys.left.pop("ours")
    row = Row(
        label=keys.text("label", required=True),
        values=values,
        ours=keys.selector("ours"),
        source=keys.text("source") or None,
        tolerance=tolerance,
        reason=keys.text("reason", required=tolerance is not None),
        note=keys.text("note"),
        compared=compared,
    )
    keys.done()
    return row


def _claim(keys: Keys, sources: Mapping[str, Source]) -> Claim:
    keys.name_by("id")
    source = keys.text("source") or None
    of_paper = source is not None and source in sources and sources[source].of == "paper"
    headline = bool(keys.choice("kind", ("headline",)))
    if headline and not of_paper:
        keys.fail("kind", "is for claims whose source tells of the paper; remove it")
    tiers = keys.choices("tiers", TIERS) or TIERS
    claim = Claim(
        id=keys.text("id", required=True),
        text=keys.text("text", required=True),
        kind="headline" if headline else "claim" if of_paper else "check",
        source=source,
        tiers=tiers,
        comparable=_comparable(keys, tiers, required=True),
        requires=keys.texts("requires"),
        family=keys.text("family", default="claims"),
        note=keys.text("note"),
        expect_false=keys.flag("expect_false"),
        check=_check(keys.table("check", required=True)),
    )
    keys.done()
    return claim


def _check(keys: Keys) -> Check:
    kind = keys.choice("kind", KINDS, required=True)
    pair = kind in ("effect", "equivalent")
    where = keys.selector("where") if pair else {}
    limit = kind in ("bound", "interval")
    if limit and {"fact", "measure"} <= keys.left.keys():
        keys.fail("fact", "cannot stand beside measure; keep one of them")
    measure = keys.name("fact" if limit and "fact" in keys.left else "measure")
    tolerance = keys.tolerance("tolerance")
    effect = kind == "effect"
    check = Check(
        kind=kind,
        measure=measure or "nDCG@10",
        select={} if pair else keys.selector("select", required=True),
        a={**where, **keys.selector("a", required=True)} if pair else {},
        b={**where, **keys.selector("b", required=True)} if pair else {},
        op=keys.choice("op", OPS, required=True) if limit else "",
        value=0.0 if pair else keys.number("value", required=True) or 0.0,
        expect=keys.choice("expect", ("greater", "less"), required=True) if effect else "",
        each=(keys.text("each") or None) if pair else None,
        pool=(keys.choice("pool", ("macro",)) or None) if pair else None,
        over=keys.parts_by("over", TIERS) if pair or kind == "value" else {},
        subtract_from=keys.number("subtract_from") if kind == "value" else None,
        bound=keys.number("bound", required=True, above=0.0) or 0.0
        if kind == "equivalent"
        else 0.0,
        sesoi=keys.number("sesoi", above=0.0) if effect else None,
        seeds=keys.integer("seeds", default=0) if pair or kind == "bound" else 0,
        these_weights=keys.flag("these_weights") if pair else False,
        paper_a=keys.numbers("paper_a") if effect else None,
        paper_b=keys.numbers("paper_b") if effect else None,
        paper_effect=keys.numbers("paper_effect") if effect else None,
        scale=keys.scale("scale") or 1.0,
        decimals=keys.decimals("decimals", default=4),
        tolerance=tolerance,
        reason=keys.text("reason", required=tolerance is not None),
    )
    if check.each and check.pool:
        keys.fail("each", "cannot stand beside pool; keep one of them")
    if check.over and pair and not (check.pool or check.each):
        keys.fail("over", "needs each or pool")
    if (check.paper_a is None) != (check.paper_b is None):
        keys.fail("paper_a", "and paper_b must be given together")
    if _groups(check.paper_a) != _groups(check.paper_b):
        keys.fail("paper_a", "and paper_b must name the same groups")
    if pair and check.a == check.b:
        keys.fail("a", "and b stand for the same records; name two systems")
    keys.done()
    return check


def _groups(values: Numbers) -> set[str]:
    return set(values) if isinstance(values, Mapping) else set()


def _comparable(keys: Keys, tiers: tuple[str, ...], *, required: bool) -> tuple[str, ...]:
    """Tiers whose data are the paper's; by default every tier but the embedded one."""
    if isinstance(flag := keys.left.get("comparable"), bool):
        keys.left.pop("comparable")
        return tiers if flag else ()
    chosen = keys.choices("comparable", TIERS, required=required, none=True)
    return chosen if flag is not None else tuple(tier for tier in tiers if tier != TIERS[0])
