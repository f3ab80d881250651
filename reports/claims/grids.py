"""The short forms of claims.toml and tables.toml, written out: one entry per claim, per row.

[sets]            NAME = [...]: "@NAME" in a list of a table, a claim or another set stands for
                  the members of that list ("@NAME" alone in an inner list: they are one part)
[defaults.NAME]   keys of a claim or of a table; an entry that says like = "NAME" has those
                  which it does not give itself (`check` key by key). A default may have `like`
grid              `fields` and `rows` in a [[claim]], [[table.row]], [[table.columns]],
                  [[deviation]] or [[open]]: one entry per row, in this order. Where a field
                  stands as "{field}" in the entry, its value is put ("{field}" alone keeps the
                  value's type; there "" leaves the key out). Every other field is a key ("id",
                  "text", "check.value") and sets it; "" or a missing last value does not.
                  `across` (rows) and `across_fields` cross it: all rows for the first of these,
                  then for the next
[sources]         may be a grid as well; its field "tag" names the source
paper_a, paper_b, paper_effect
                  a list: one number for each group of `over`, in its order
columns           of a table: "label" or ["label", "collection"] in place of a table of keys
values            of a table: a CSV file beside it (columns library, which may be absent, system,
                  and one per printed column) that gives the values of the row whose label is
                  library and system; a column is found by its label, or by its key `printed`

tables.toml may use the sets and the defaults of the claims.toml beside it, and have its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

from ir_replications.reports.claims.printed_values import with_values
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable, shown

Entry = dict[str, Any]
LARGEST = 10_000  # members of a set, entries of a grid
SOURCE_KEYS = frozenset({"tag", "title", "url", "trust", "of"})
NOTE_KEYS = frozenset({"id", "text", "reason", "choice"})
ROW_KEYS = frozenset({"label", "values", "ours", "source", "tolerance", "reason", "note"})
COLUMN_KEYS = frozenset(
    {"label", "printed", "ours", "measure", "scale", "decimals", "source", "tiers", "over"}
)
CLAIM_KEYS = frozenset(
    {"id", "text", "source", "tiers", "comparable", "requires", "family", "note", "expect_false"}
)
_PLACE = re.compile(r"\{([A-Za-z_][\w-]*)\}")


def written_out(files: Mapping[Path, Mapping[str, Any]]) -> dict[Path, Entry]:
    """The content of the files, claims.toml before tables.toml, without short forms.

    Raises InputError, one line with file and entry, for a name that nothing defines, a set or a
    default that nothing uses, a grid whose rows and fields do not fit each other, and a CSV file
    whose rows and columns are not those of its table.
    """
    written: dict[Path, Entry] = {}
    writers: list[_Writer] = []
    for path, data in files.items():
        try:
            writers.append(_Writer(data, path, writers[-1] if writers else None))
            written[path] = writers[-1].all()
        except RecursionError:
            raise InputError(f"{path}: nested too deeply; write it flat") from None
    for writer in writers:
        writer.check_used()
    return written


class _Writer:
    """One file's sets and defaults, and which of them were used."""

    def __init__(self, data: Mapping[str, Any], path: Path, above: _Writer | None) -> None:
        self.left = dict(data)
        self.path = path
        self.own = {
            "sets": self._named("sets", list, "a list"),
            "defaults": self._named("defaults", dict, "a table"),
        }
        self.sets, self.defaults = self.own["sets"], self.own["defaults"]
        self.used: set[tuple[str, str]] = set()
        if above is not None:
            for kind, names in (("sets", above.sets), ("defaults", above.defaults)):
                for name in names.keys() & self.own[kind].keys():
                    self._fail(f"[{kind}] {shown(name)}", f"stands in {above.path.name} as well")
            self.sets, self.defaults = above.sets | self.sets, above.defaults | self.defaults
            self.used = above.used

    def check_used(self) -> None:
        """Refuse a set or a default that no entry of any file uses."""
        for kind, names in self.own.items():
            for name in names:
                if (kind, name) not in self.used:
                    self._fail(f"[{kind}] {printable(name)}", "is used by no entry; remove it")

    def all(self) -> Entry:
        """Every entry written out."""
        written = {**self.left}
        for kind in ("table", "claim", "deviation", "open"):
            entries = self.left.get(kind)
            if isinstance(entries, list) and all(isinstance(item, dict) for item in entries):
                written[kind] = [
                    one
                    for n, entry in enumerate(entries, 1)
                    for one in self._entries(kind, entry, f"[[{kind}]] {n}")
                ]
        sources = self.left.get("sources")
        if isinstance(sources, dict) and isinstance(sources.get("rows"), list):
            rows = list(self._grid(dict(sources), SOURCE_KEYS, "[sources]"))
            written["sources"] = {str(row.pop("tag", "")): row for row in rows}
            if len(written["sources"]) < len(rows):
                self._fail("[sources]", "its rows name a tag twice, or none; make tags unique")
        return written

    def _named(self, key: str, kind: type, what: str) -> Entry:
        found = self.left.pop(key, {})
        if not isinstance(found, dict):
            self._fail(f"[{key}]", "must be a table")
        for name, value in found.items():
            if not isinstance(value, kind):
                self._fail(f"[{key}] {shown(name)}", f"must be {what}")
        return found

    def _fail(self, where: str, what: str) -> NoReturn:
        raise InputError(f"{self.path}: {where}: {what}")

    def _entries(self, kind: str, entry: Entry, where: str) -> Iterator[Entry]:
        if isinstance(entry.get("id"), str):
            where = f"{where} {shown(entry['id'])}"
        if kind in ("deviation", "open"):
            yield from self._grid(dict(entry), NOTE_KEYS, where)
            return
        entry = self._spliced(self._like(entry, where), where)
        if kind == "claim":
            for claim in self._grid(entry, CLAIM_KEYS, where):
                yield self._by_group(claim, where)
            return
        for key, keys in (("columns", COLUMN_KEYS), ("row", ROW_KEYS)):
            if isinstance(items := entry.get(key), list):
                entry[key] = [
                    one
                    for n, item in enumerate(items, 1)
                    for one in self._item(item, keys, f"{where}: [[{key}]] {n}")
                ]
        yield with_values(entry, self.path, where)

    def _item(self, item: Any, keys: frozenset[str], where: str) -> Iterator[Any]:
        """The rows or columns of a table that one entry stands for."""
        if isinstance(item, dict):
            yield from self._grid(dict(item), keys, where)
        elif keys is COLUMN_KEYS and isinstance(item, str):
            yield {"label": item}
        elif keys is COLUMN_KEYS and isinstance(item, list) and len(item) == 2:
            yield {"label": item[0], "ours": {"collection": item[1]}}
        else:
            yield item

    def _by_group(self, claim: Entry, where: str) -> Entry:
        """The claim with every list of printed numbers as a table of them, one per group."""
        check = claim.get("check")
        for key in ("paper_a", "paper_b", "paper_effect"):
            if isinstance(check, dict) and isinstance(numbers := check.get(key), list):
                groups = check.get("over")
                if not isinstance(groups, list) or len(groups) != len(numbers):
                    self._fail(where, f"{key} must have a number for each group of `over`, a list")
                if not all(isinstance(group, str) for group in groups):
                    self._fail(where, f"{key} has a list, so every group of `over` must be text")
                check = {**check, key: dict(zip(groups, numbers, strict=True))}
        return claim if check is None else {**claim, "check": check}

    def _like(self, entry: Entry, where: str, above: tuple[str, ...] = ()) -> Entry:
        """The entry with the keys of the default that it names."""
        entry = dict(entry)
        if (name := entry.pop("like", None)) is None:
            return entry
        if not isinstance(name, str) or name not in self.defaults:
            self._fail(where, f"like {shown(name)} names no default; add it to [defaults]")
        if name in above:
            self._fail(where, f"default {shown(name)} is like itself; remove one `like`")
        self.used.add(("defaults", name))
        default = self._like(self.defaults[name], where, (*above, name))
        merged = {**default, **entry}
        if isinstance(default.get("check"), dict) and isinstance(entry.get("check"), dict):
            merged["check"] = {**default["check"], **entry["check"]}
        return merged

    def _spliced(self, value: Any, where: str, above: tuple[str, ...] = ()) -> Any:
        """The value with the members of each "@NAME" in its place."""
        if isinstance(value, dict):
            return {key: self._spliced(item, where, above) for key, item in value.items()}
        if not isinstance(value, list):
            return value
        members: list[Any] = []
        for item in value:
            if not (isinstance(item, str) and item.startswith("@")):
                members.append(self._spliced(item, where, above))
                continue
            name = item[1:]
            if name not in self.sets:
                self._fail(where, f"{shown(item)} names no set; add it to [sets]")
            if name in above:
                self._fail(where, f"set {shown(name)} holds itself; remove it there")
            self.used.add(("sets", name))
            members += self._spliced(self.sets[name], where, (*above, name))
            if len(members) > LARGEST:
                self._fail(where, f"set {shown(name)} makes more than {LARGEST} members")
        return members

    def _grid(self, entry: Entry, keys: frozenset[str], where: str) -> Iterator[Entry]:
        """The entries that a grid stands for, or the entry itself where it is none."""
        if not {"fields", "rows", "across", "across_fields"} & entry.keys():
            yield entry
            return
        rows = self._rows(entry, "fields", "rows", where)
        crossing = self._rows(entry, "across_fields", "across", where, optional=True)
        if len(rows) * len(crossing) > LARGEST:
            self._fail(where, f"makes more than {LARGEST} entries")
        named = set(rows[0][0]) | set(crossing[0][0])
        if len(named) < len(rows[0][0]) + len(crossing[0][0]):
            self._fail(where, "fields and across_fields name one field twice; rename one")
        places = {name for text in _texts(entry) for name in _PLACE.findall(text)}
        for name in sorted(named - places):
            if not _is_key(name, keys):
                self._fail(where, f"field {shown(name)} is no key and stands in braces nowhere; use"
                           " it so or correct it")  # fmt: skip
        for name in sorted(places - named):
            self._fail(where, f"{{{name}}} is the name of no field; add it to fields")
        seen: Counter[str] = Counter()
        for (other, above), (fields, row) in product(crossing, rows):
            given = {
                **dict(zip(other, above, strict=False)),
                **dict(zip(fields, row, strict=False)),
            }
            if lacking := sorted(places - given.keys()):
                self._fail(where, f"row {shown(row[0])} has no {lacking[0]}, which is used")
            one = _filled(entry, given)
            for name, value in given.items():
                if name not in places and value != "":
                    _set(one, name, value)
            if "id" in keys:
                seen[str(one.get("id"))] += 1
                if seen[str(one.get("id"))] > 1:
                    self._fail(where, f"its rows make the id {shown(one.get('id'))} twice")
            yield one

    def _rows(
        self, entry: Entry, head: str, body: str, where: str, *, optional: bool = False
    ) -> list[tuple[list[str], list[Any]]]:
        """(fields, values) of every row; taken out of the entry."""
        if optional and head not in entry and body not in entry:
            return [([], [])]
        fields, rows = entry.pop(head, None), entry.pop(body, None)
        if (
            not isinstance(fields, list)
            or not fields
            or not all(isinstance(f, str) for f in fields)
        ):
            self._fail(where, f'{head} must name the columns of {body}, e.g. {head} = ["id"]')
        if len(set(fields)) < len(fields):
            self._fail(where, f"{head} names a field twice")
        if not isinstance(rows, list) or not rows:
            self._fail(where, f"{body} must hold at least one row, a list of values each")
        for n, row in enumerate(rows, 1):
            if not isinstance(row, list) or not 0 < len(row) <= len(fields):
                found = len(row) if isinstance(row, list) else "no list"
                self._fail(where, f"row {n} of {body} must have 1 to {len(fields)} values, as many"
                           f" as {head}; found {found}")  # fmt: skip
        return [(fields, row) for row in rows]


def _is_key(name: str, keys: frozenset[str]) -> bool:
    return name in keys or ("id" in keys and name.startswith("check."))


def _set(entry: Entry, name: str, value: Any) -> None:
    """Give a key, or a key of the check, its value."""
    outer, _, inner = name.partition(".")
    if not inner:
        entry[outer] = value
    elif isinstance(check := entry.get(outer, {}), dict):
        entry[outer] = {**check, inner: value}


def _texts(value: Any) -> Iterator[str]:
    """Every text inside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _is_place(value: Any) -> bool:
    return isinstance(value, str) and _PLACE.fullmatch(value) is not None


def _filled(value: Any, given: Mapping[str, Any]) -> Any:
    """The value with every "{field}" replaced; keys that are nothing but an empty one go."""
    if isinstance(value, dict):
        return {
            key: _filled(item, given)
            for key, item in value.items()
            if not (_is_place(item) and given[item[1:-1]] == "")
        }
    if isinstance(value, list):
        return [_filled(item, given) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _PLACE.fullmatch(value):
        return given[whole[1]]
    return _PLACE.sub(lambda match: str(given[match[1]]), value)
