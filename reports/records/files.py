"""The files of records: one record a file, or a pack of a whole experiment, one record a line.

Both are verified alike, and every error names the file, of a pack also the line.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ir_replications.reports.records.record import FIELDS, SCHEMA, TIERS, Record, digest_of, order
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import shown
from ir_replications.shared.reading import parse_json, read_text, user_path

PACK = ".jsonl"


def read_record(path: Path | str) -> Record:
    """Read and verify one record file.

    Raises InputError, naming the file, what differs and what to do, when the file is truncated,
    of an unknown schema, misses a field, when its digest or config hash does not agree, when it
    holds what no record holds, or lies elsewhere than its content says.
    """
    path = user_path(path)
    *_, paper, tier, experiment, name = ("", "", "", *path.absolute().parts)
    record = _verified(read_text(path), str(path), f"delete it and {again(paper, tier)}")
    place = f"{record.paper}/{record.tier}/{record.experiment}/{record.stem}.json"
    if f"{paper}/{tier}/{experiment}/{name}" != place:
        raise InputError(f"{path}: holds {place} (moved or renamed?); put it back under that name")
    return record


def read_pack(path: Path | str) -> list[Record]:
    """Read and verify a pack, paper/tier/experiment.jsonl; its records in the order of the lines.

    Raises InputError, naming file and line, for what `read_record` refuses, for a cell that is
    there twice, and for a last line without its end.
    """
    path = user_path(path)
    *_, paper, tier, name = ("", "", *path.absolute().parts)
    fix = f"restore it from the repository, or {again(paper, tier)}, and publish"
    *lines, rest = read_text(path).split("\n")  # not splitlines: texts hold U+2028 and others
    if rest:
        lines.append(rest)
    found: list[Record] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        record = _verified(line, where, fix)
        place = f"{record.paper}/{record.tier}/{record.experiment}"
        if f"{paper}/{tier}/{name}" != place + PACK:
            raise InputError(f"{where}: holds a record of {place} (moved or renamed?); {fix}")
        if (first := seen.setdefault(record.config_hash, number)) != number:
            raise InputError(
                f"{where}: holds the cell of line {first} again ({record.label}); "
                "delete one of the two lines"
            )
        found.append(record)
    if rest:
        raise InputError(f"{path}:{len(lines)}: the last line has no end; truncated: {fix}")
    return found


def pack_text(records: Iterable[Record]) -> str:
    """The pack of these records of one experiment: one a line, sorted by label and config hash."""
    return "".join(record.to_line() + "\n" for record in sorted(records, key=order))


def _verified(text: str, where: str, fix: str) -> Record:
    """The record of a JSON text, once its digest, config hash and fields agree."""
    try:
        data = parse_json(text, where)
    except InputError as error:
        what = str(error).removesuffix("; correct it")
        raise InputError(f"{what}; truncated or edited: {fix}") from error
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a JSON object; {fix}")
    if type(schema := data.get("schema")) is not int or schema != SCHEMA:
        raise InputError(
            f"{where}: schema {shown(schema)}, this version reads {SCHEMA}; "
            f"use the matching version of the suite or {fix}"
        )
    if missing := [field for field in FIELDS if field not in data]:
        raise InputError(f"{where}: field {missing[0]!r} is missing; {fix}")
    body = {field: data[field] for field in FIELDS if field != "digest"}
    if unknown := sorted(set(data) - set(FIELDS)):
        raise InputError(f"{where}: unknown field {shown(unknown[0])}; {fix}")
    try:
        digest = digest_of(body)
    except (InputError, ValueError, RecursionError) as error:  # infinite, or nested too deeply
        raise InputError(f"{where}: malformed record ({error}); {fix}") from error
    if digest != data["digest"]:
        raise InputError(f"{where}: content does not match its digest (edited?); {fix}")
    try:
        record = Record(**{key: value for key, value in body.items() if key != "config_hash"})
    except InputError as error:
        raise InputError(f"{where}: malformed record ({error}); {fix}") from error
    if record.config_hash != data["config_hash"]:
        raise InputError(f"{where}: config does not match its config_hash; {fix}")
    if record.per_query == body["per_query"]:  # nothing was rounded: the digest is verified
        record.__dict__["digest"] = data["digest"]
    return record


def again(paper: str, tier: str) -> str:
    """What to do about a record that cannot be used: the command that makes it anew."""
    return f"run it again: replicate run {paper} --tier {tier or TIERS[0]}"
