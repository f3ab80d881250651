"""What a record may hold: the same checks when it is made and when it is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable, shown
from ir_replications.shared.reading import is_finite, is_whole

DEPTH = 30  # of facts and provenance; pages name a nested fact by all its keys
PER_QUERY_DECIMALS = 6
MEAN_TOLERANCE = 1e-6  # two roundings to 6 decimals can move a mean by at most half of this
RUN_KEYS = {"path", "sha256", "rows"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def plain(value: Any, where: str, *keys: str | int) -> Any:
    """Copy made of JSON types only: NumPy scalars become numbers, tuples become lists.

    `keys` lead from the record's field to this value; they are put into words only on an error.
    Raises InputError for what is no JSON, numbers that are not finite or of more than 64 bits,
    and too deep nesting.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None or is_finite(value):
        return value
    if kind is list and set(map(type, value)) <= {float} and all(map(math.isfinite, value)):
        return value.copy()
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item() if getattr(value, "ndim", 0) == 0 else value.tolist()
    if isinstance(value, (Mapping, list, tuple)):
        if len(keys) > DEPTH:
            raise InputError(f"{where}{_place(keys[:4])} is nested too deeply to be recorded")
        if isinstance(value, Mapping):
            return {str(key): plain(item, where, *keys, str(key)) for key, item in value.items()}
        return [plain(item, where, *keys, index) for index, item in enumerate(value)]
    name = where + _place(keys)
    if isinstance(value, (int, float)):  # NumPy's, and subclasses
        number = float(value) if isinstance(value, float) else value
        if isinstance(value, bool) or is_finite(number):
            return value
        raise InputError(
            f"{name} is {shown(value)}; only finite numbers of 64 bits can be recorded"
        )
    if value is None or isinstance(value, str):
        return value
    raise InputError(f"{name} is a {kind.__name__}; use numbers, text, lists and dicts")


def rounded(per_query: Any, where: str) -> dict[str, dict[str, float]]:
    """Per-query values as measure -> query id -> value to 6 decimals.

    Raises InputError for any other shape, a measure without queries and values that are no
    finite numbers.
    """
    if not isinstance(per_query, Mapping):
        raise InputError(f"{where}: per_query is no object; expected measure -> query id -> number")
    found = {}
    for measure, rows in per_query.items():
        place = f"{where}: per_query.{printable(measure)}"
        if not isinstance(rows, Mapping) or not rows:
            raise InputError(f"{place} is {shown(rows)}; expected query id -> number")
        if not (set(map(type, rows.values())) <= {float} and set(map(type, rows)) <= {str}):
            rows = plain(rows, where, "per_query", str(measure))
        floats = set(map(type, rows.values())) == {float}
        for qid, value in () if floats else rows.items():
            if not is_finite(value):
                raise InputError(f"{place}.{printable(qid)} is {shown(value)}; expected a number")
        if "" in rows:
            raise InputError(f"{place} has a query without an id")
        found[str(measure)] = (
            dict(rows)
            if floats and _are_rounded(rows.values())
            else {qid: round(float(value), PER_QUERY_DECIMALS) for qid, value in rows.items()}
        )
    return found


def _are_rounded(values: Collection[float]) -> bool:
    """Whether rounding would change none: each is the float nearest to a number of 6 decimals.

    False where that is not certain; a quotient of two whole numbers is rounded once.
    """
    numbers = np.fromiter(values, np.float64, len(values))
    if not (np.abs(numbers) < 1e6).all():
        return False
    scale = 10.0**PER_QUERY_DECIMALS
    return bool((np.rint(numbers * scale) / scale == numbers).all())


def check_means(means: Any, per_query: Mapping[str, Mapping[str, float]], where: str) -> None:
    """Raise InputError unless means are finite and those of the per-query values."""
    _need(isinstance(means, Mapping), where, "means", means, "an object of finite numbers")
    for measure, mean in means.items():
        _need(bool(measure.strip()), where, "means", measure, "names of measures")
        _need(is_finite(mean), where, f"means.{measure}", mean, "a finite number")
    for measure, rows in per_query.items():
        try:
            mean = math.fsum(rows.values()) / len(rows)
        except (OverflowError, ValueError):  # infinities
            mean = math.nan
        if not math.isfinite(mean):
            plain(rows, where, "per_query", measure)  # names the query
            raise InputError(f"{where}: the per-query values of {printable(measure)} have no sum")
        if measure not in means:
            raise InputError(
                f"{where}: per-query {printable(measure)} has no entry in means; add it"
            )
        if abs(mean - means[measure]) > MEAN_TOLERANCE:
            raise InputError(
                f"{where}: mean {printable(measure)} is {means[measure]!r} but its {len(rows)} "
                f"per-query values average {mean!r}; recompute one from the other"
            )


def check_identity(body: Mapping[str, Any], tiers: Sequence[str], where: str) -> None:
    """Raise InputError unless paper, experiment, tier, label, status, error and config are right.

    Paper and experiment are names of folders; a config is flat, its seed whole or None.
    """
    part = "letters, digits, '.', '_' or '-'"
    for name in ("paper", "experiment"):
        _need(_is_text(body[name]) and bool(_PART.fullmatch(body[name])), where, name, body[name],
              part)  # fmt: skip
    tier = body["tier"]
    _need(isinstance(tier, str) and tier in tiers, where, "tier", tier, " or ".join(tiers))
    _need(_is_text(body["label"]), where, "label", body["label"], "a text that is not empty")
    error, status = body["error"], body["status"]
    _need(error is None or _is_text(error), where, "error", error, "a text or none")
    if status != ("error" if error else "ok"):
        raise InputError(f"{where}: status {shown(status)} with error {shown(error)}")
    for name in ("means", "per_query", "run") if error else ():
        _need(not body[name], where, name, body[name], "nothing beside an error")
    config = body["config"]
    _need(isinstance(config, Mapping), where, "config", config, "an object")
    for key, value in config.items():
        if isinstance(value, (dict, list)) or not key:
            raise InputError(f"{where}: config key {shown(key)} must be a scalar; flatten it")
    seed = config.get("seed")
    _need(seed is None or is_whole(seed), where, "config.seed", seed, "a whole number >= 0 or none")
    for name in ("collection", "system"):
        value = config.get(name)
        _need(value is None or _is_text(value), where, f"config.{name}", value, "a text or none")


def check_run(run: Any, stem: str, where: str) -> None:
    """Raise InputError unless `run` is None or names the run file of this record."""
    if run is None:
        return
    if not isinstance(run, Mapping) or set(run) != RUN_KEYS:
        raise InputError(f"{where}: run is {shown(run)}; expected path, sha256 and rows")
    path = f"runs/{stem}.run.gz"
    _need(run["path"] == path, where, "run.path", run["path"], path)
    sha256 = run["sha256"]
    _need(isinstance(sha256, str) and bool(_SHA256.fullmatch(sha256)), where, "run.sha256", sha256,
          "64 hex digits")  # fmt: skip
    _need(is_whole(run["rows"]), where, "run.rows", run["rows"], "a whole number >= 0")


def check_provenance(known: Any, seed: int | None, where: str) -> None:
    """Raise InputError where what readers use of a record's provenance is of another type."""
    _need(isinstance(known, Mapping), where, "provenance", known, "an object")
    for name, (holds, expected) in _PROVENANCE.items():
        if name in known:
            _need(holds(known[name]), where, f"provenance.{name}", known[name], expected)
    stated = known.get("seed", seed)
    _need(stated == seed, where, "provenance.seed", stated, f"the seed of config, {seed}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_line(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_size(value: Any) -> bool:
    return value is None or (is_finite(value) and value >= 0)


def _is_object(value: object, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, Mapping) and all(map(holds, value.values()))


def _is_scalar(value: object) -> bool:
    return not isinstance(value, (list, Mapping))


def _is_git(value: object) -> bool:
    if not isinstance(value, Mapping):
        return value is None
    kinds = {key: type(item) for key, item in value.items()}
    return kinds == {"commit": str, "dirty": bool}


_LINE = (_is_line, "a text or none")
_TEXTS = (lambda value: _is_object(value, _is_line), "an object of texts")
_SCALARS = (lambda value: _is_object(value, _is_scalar), "an object of texts and numbers")
_SIZE = (_is_size, "a number >= 0 or none")
_PROVENANCE: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("command", "code_sha256", "platform", "python", "started", "gpu"), _LINE),
    **dict.fromkeys(("data", "models", "packages"), _TEXTS),
    **dict.fromkeys(("cpu", "threads"), _SCALARS),
    **dict.fromkeys(("peak_rss_mib", "wall_s"), _SIZE),
    "seed": (lambda value: value is None or is_whole(value), "a whole number >= 0 or none"),
    "git": (_is_git, "a commit and whether it is dirty, or none"),
    "rehearsal": _LINE,
    "data_mismatch": (
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        "a list of texts",
    ),
}


def _need(holds: bool, where: str, name: str, value: object, expected: str) -> None:
    if not holds:
        raise InputError(f"{where}: {printable(name)} is {shown(value)}; expected {expected}")


def _place(keys: Sequence[str | int]) -> str:
    """ ": facts.curve[3]", or "" for the value itself."""
    if not keys:
        return ""
    rest = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys[1:])
    return printable(f": {keys[0]}{rest}")
