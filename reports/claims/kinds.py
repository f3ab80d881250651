"""The kind of every recorded number: it decides how a fresh value is compared.

A paper's `numbers.toml` says it, one table per experiment and one, [all], for every experiment:

    [E1]
    exact = ["queries"]              counts, ranks, ids, texts, truth values: equal
    float64 = ["nDCG@*"]             closed forms and measures of a fixed ranking: relative 1e-9
    error-bound = ["max_error"]      an error of ours: below the bound of its claim, or [E1.bounds]
    trained = ["curve.*"]            after float32 training: inside the spread of spreads.json,
                                     of a mean over queries at least one swap in one of them
    sampled = ["texts_sha256"]       generated text and what hangs on it: the verdicts alone
    machine = ["seconds"]            times, speeds, sizes in memory: never compared
    [E1.bounds]
    slope_error = 1e-5               an error whose bound no claim states
    [[E1.float32]]                   a forward pass: relative bound and its reason
    names = ["AUC"]
    relative = 1e-5
    reason = "..."

A name is that of a mean, or the dotted name of a fact with "#" for a place in a list; "*" in a
pattern stands for anything. The experiment's table goes before [all], a name in full before a
pattern, a longer pattern before a shorter one.

`spreads.json` beside it is written by spreads.py: for every name of a trained number the largest
difference, in any cell and place, between any two of the arithmetics measured.
A fresh value may lie SPREADS times that far from the published one: an arithmetic that was left
out of the measurement lay up to `left_out` times the spread of the others away.
Where no spread was measured (another tier), only verdicts are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ir_replications.reports.claims.toml_reader import Keys, read_toml
from ir_replications.reports.records.record import TIERS, Record
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable, shown
from ir_replications.shared.reading import is_finite, read_json

CLOSED_FORM = 1e-9  # relative: thousands of float64 roundings, far below any printed digit
SPREADS = 10.0  # above every `left_out` of spreads.json; a defect of 1 % lies far outside
SWAP = 0.5  # most that two neighbours in other order move nDCG, AP or RR of one query
FLOOR = 1e-6  # what rounding to 6 decimals hides; a spread below it says nothing


class Kind(Enum):
    """What a number is; the module docstring says how each is compared."""

    EXACT = "exact"
    FLOAT64 = "float64"
    ERROR = "error-bound"
    FLOAT32 = "float32"
    TRAINED = "trained"
    SAMPLED = "sampled"
    MACHINE = "machine"


COMPARED = tuple(kind for kind in Kind if kind not in (Kind.SAMPLED, Kind.MACHINE))


@dataclass(frozen=True)
class Rule:
    """A kind and its limit: relative (float64, float32), or absolute (an error's own bound).

    `limit` is None where it is not stated here: an error's claim has it, or spreads.json.
    """

    kind: Kind
    limit: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Numbers:
    """The kinds of a paper's numbers, and the spreads (tier, experiment, name) of the trained."""

    place: str
    tables: Mapping[str, Mapping[str, Rule]]
    spreads: Mapping[str, Mapping[str, Mapping[str, float]]]
    _known: dict[tuple[str, str], Rule] = field(default_factory=dict, init=False, compare=False)

    def rule(self, experiment: str, name: str) -> Rule:
        """The rule of a number. Raises InputError when nothing says what it is."""
        key = (experiment, name)
        if key not in self._known:
            self._known[key] = self._search(experiment, name)
        return self._known[key]

    def _search(self, experiment: str, name: str) -> Rule:
        for table in (self.tables.get(experiment, {}), self.tables.get("all", {})):
            if name in table:
                return table[name]
            if fitting := [pattern for pattern in table if fnmatchcase(name, pattern)]:
                return table[max(fitting, key=len)]
        raise InputError(
            f"{self.place}: no kind for {name!r} of {experiment}; add the name to one of "
            f"[{experiment}]'s lists: {', '.join(kind.value for kind in Kind)}"
        )

    def rules(self, record: Record, measure: str) -> list[Rule]:
        """The rules of what a record holds under a mean's or fact's name, nested facts too."""
        names = {name for held in (record.means, record.facts) for name, _ in numbers_of(held)}
        wanted = [n for n in names if n == measure or n.startswith(f"{measure}.")]
        return [self.rule(record.experiment, name) for name in sorted(wanted)]

    def spread(self, tier: str, experiment: str, name: str) -> float | None:
        """The measured spread of a trained number, absolute; None where none was measured."""
        return self.spreads.get(tier, {}).get(experiment, {}).get(name)


def load_numbers(folder: Path | str) -> Numbers:
    """Read folder/numbers.toml and folder/spreads.json (which may be absent).

    Raises InputError naming file, table and key.
    """
    path = Path(folder) / "numbers.toml"
    top = Keys(read_toml(path), str(path))
    tables = {name: _table(top.table(name)) for name in list(top.left)}
    return Numbers(str(path), tables, _spreads(Path(folder) / "spreads.json"))


def _table(keys: Keys) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}

    def add(names: Sequence[str], rule: Rule) -> None:
        for name in names:
            if name in rules:
                keys.fail(rule.kind.value, f"names {name!r}, which has a kind already")
            rules[name] = rule

    for kind in Kind:
        if kind is not Kind.FLOAT32:
            limit = CLOSED_FORM if kind is Kind.FLOAT64 else None
            add(keys.texts(kind.value), Rule(kind, limit))
    for entry in keys.tables(Kind.FLOAT32.value):
        relative = entry.number("relative", required=True, above=0.0, at_most=1.0)
        reason = entry.text("reason", required=True)
        add(entry.texts("names", required=True), Rule(Kind.FLOAT32, relative, reason))
        entry.done()
    bounds = keys.table("bounds")
    for name in list(bounds.left):
        add([name], Rule(Kind.ERROR, bounds.number(name, required=True, above=0.0)))
    keys.done()
    return rules


def _spreads(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    if not path.exists():
        return {}
    found = read_json(path)
    expected = "expected tier -> experiment -> name -> a finite number >= 0; measure them again"
    if not isinstance(found, dict) or not isinstance(found.get("spreads"), dict):
        raise InputError(f"{path}: expected an object with the key spreads; measure them again")

    def need(holds: bool, place: str, value: object) -> None:
        if not holds:
            raise InputError(f"{path}: {printable(place)} is {shown(value)}; {expected}")

    for tier, experiments in found["spreads"].items():
        need(tier in TIERS and isinstance(experiments, dict), tier, experiments)
        for experiment, table in experiments.items():
            need(isinstance(table, dict), f"{tier}.{experiment}", table)
            for name, value in table.items():
                need(is_finite(value) and value >= 0, f"{tier}.{experiment}.{name}", value)
    return found["spreads"]


def numbers_of(value: Any) -> dict[tuple[str, str], Any]:
    """Leaves of nested facts: (name as declared, "#" for list places; name with places) -> leaf."""
    if isinstance(value, Mapping):
        items = [(str(key), str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [("#", str(place), item) for place, item in enumerate(value)]
    else:
        return {("", ""): value}
    found: dict[tuple[str, str], Any] = {}
    for declared, placed, item in items:
        for (inner, full), leaf in numbers_of(item).items():
            name = f"{declared}.{inner}" if inner else declared
            found[name, f"{placed}.{full}" if full else placed] = leaf
    return found
