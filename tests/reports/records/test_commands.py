"""Commands name the cells that selectors stand for, as a shell reads them."""

from __future__ import annotations

import shlex

import pytest

from ir_replications.reports.claims.toml_reader import Selector
from ir_replications.reports.records.commands import config_text, run_command

A: Selector = {"experiment": "E2", "collection": "x", "system": "student", "arm": "A8"}


@pytest.mark.parametrize(
    ("selectors", "options"),
    [
        ([A], ["--where", "system=student", "--where", "arm=A8"]),
        ([A, {**A, "arm": "A5"}], ["--where", "system=student", "--where", "arm=A8,A5"]),
        ([A, {**A, "seed": 1}], ["--where", "system=student", "--where", "arm=A8"]),
        ([A, {"collection": "x", "system": "bm25"}], ["--where", "system=student,bm25"]),
        ([{**A, "arm": ["A1", "A2"], "system": ""}], ["--where", "arm=A1,A2"]),
        ([{**A, "system": "of all, together"}], ["--where", "arm=A8"]),
        ([{**A, "label": "x A8", "system": "one of all"}],
         ["--where", "system=one of all", "--where", "arm=A8"]),
    ],
)  # fmt: skip
def test_keys_that_all_selectors_have_narrow_the_run(
    selectors: list[Selector], options: list[str]
) -> None:
    words = shlex.split(run_command("toy", "small", selectors))
    expected = ["replicate", "run", "toy", "--tier", "small"]
    assert words == [*expected, "--experiment", "E2", "--collection", "x", *options]


def test_each_collection_is_named_once_and_as_the_user_names_it() -> None:
    selectors: list[Selector] = [{"collection": name} for name in ("b", "a", "b")]
    command = run_command("toy", "small", selectors, {"a": "./my data"})
    assert command == "replicate run toy --tier small --collection b --collection './my data'"


@pytest.mark.parametrize(
    ("value", "text"), [(10.0, "10"), (1e-4, "0.0001"), (True, "true"), (None, "none"), ("A", "A")]
)
def test_values_are_written_as_they_are_typed(value: object, text: str) -> None:
    assert config_text(value) == text
