"""Recipes: typed values from YAML, and one clear line for everything else."""

from __future__ import annotations

import dataclasses
import time
import tracemalloc
import typing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.training import named_recipe, read_recipe
from ir_replications.shared.training.bounds import (
    Bounds,
    Words,
    bounds_of,
    check_bounds,
    hints_of,
    options_of,
)


@dataclass(frozen=True)
class Inner:
    rank: Annotated[int, Bounds(1, 64)] = 4


@dataclass(frozen=True)
class Settings:
    name: str
    rate: Annotated[float, Bounds(0, 10, above=True)] = 0.5
    steps: Annotated[int, Bounds(1, 100)] = 3
    kind: Literal["a", "b"] = "a"
    cap: int | None = None
    words: Annotated[
        tuple[Annotated[str, Words("[a-z]+", "small letters")], ...], Bounds(0, 3)
    ] = ()
    inner: Inner | None = None
    switch: Literal["off", "auto"] = "auto"


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_values_take_the_types_of_the_dataclass(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "name: x\nrate: 1e-6\nsteps: 7\nkind: b\ncap: null\nwords: [u, v]\ninner: {rank: 8}\n",
    )
    assert read_recipe(path, Settings) == Settings("x", 1e-6, 7, "b", None, ("u", "v"), Inner(8))


@pytest.mark.parametrize("text", ["off", '"off"', "no"])
def test_the_word_off_need_not_be_quoted(tmp_path: Path, text: str) -> None:
    """YAML 1.1 reads it as false."""
    path = write(tmp_path, f"name: x\nswitch: {text}\n")
    assert read_recipe(path, Settings).switch == "off"


def test_what_is_left_out_keeps_its_default_and_changes_win(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nsteps: 7\nrate: 2\n")
    assert read_recipe(path, Settings, steps=9, kind=None) == Settings("x", 2.0, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nstep: 1\n", "yaml:2: unknown key 'step'"),
        ("steps: 1\n", "the key 'name' is missing"),
        ("name: x\nsteps: many\n", "steps is 'many'; expected int"),
        ("name: x\nsteps: 1.5\n", "steps is 1.5; expected int"),
        ("name: x\nsteps: true\n", "steps is True; expected int"),
        ("name: x\nkind: c\n", "kind is 'c'; expected 'a' or 'b'"),
        ("name: x\nkind: off\n", "kind is False; expected 'a' or 'b'"),
        ("name: x\nswitch: on\n", "switch is True; expected 'off' or 'auto'"),
        ("name: x\ninner: {size: 1}\n", "unknown key 'size'"),
        ("name: [x\n", "recipe.yaml:2: not valid YAML"),
        ("just words\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("name: x\n---\nname: y\n", "recipe.yaml:2: not valid YAML"),
        ("name: \x01\n", "recipe.yaml: not valid YAML"),
        # a key twice, at any depth, and under another spelling
        ("name: x\nsteps: 1\nsteps: 1\n", "yaml:3: 'steps' is given twice, first in line 2"),
        ("name: x\ninner:\n  rank: 1\n  rank: 2\n", "yaml:4: 'rank' is given twice, first in"),
        ('name: x\n"steps": 1\nsteps: 2\n', "yaml:3: 'steps' is given twice"),
        ("name: x\n1: 2\n", "yaml:2: 1 is no name of a setting"),
        ("name: x\n[a]: 2\n", "yaml:2: ['a'] is no name of a setting"),
        ("name: x\non: 2\n", "yaml:2: True is no name of a setting"),
        # numbers that are not decimal digits
        ("name: x\nsteps: 1:30\n", "yaml:2: steps is '1:30'; expected int, 1 or more"),
        ("name: x\nsteps: 0x1F\n", "steps is '0x1F'; expected int"),
        ("name: x\nsteps: 0b11\n", "steps is '0b11'; expected int"),
        ("name: x\nsteps: 010\n", "steps is '010'; expected int"),
        ("name: x\nsteps: 1_0\n", "steps is '1_0'; expected int"),
        ("name: x\nsteps: \uff11\uff10\n", "steps is '１０'; expected int"),  # noqa: RUF001
        ("name: x\nsteps: 2001-01-01\n", "steps is '2001-01-01'; expected int"),
        (f"name: x\nsteps: {'9' * 5000}\n", "yaml:2: a number of more than 18 digits"),
        ("name: x\nrate: 1:30.5\n", "rate is '1:30.5'; expected a finite number, above 0"),
        ("name: x\nrate: 1_0.5\n", "rate is '1_0.5'; expected a finite number"),
        ("name: x\nrate: .nan\n", "rate is '.nan'; expected a finite number"),
        ("name: x\nrate: nan\n", "rate is 'nan'; expected a finite number"),
        ("name: x\nrate: -.inf\n", "rate is '-.inf'; expected a finite number"),
        ("name: x\nrate: infinity\n", "rate is 'infinity'; expected a finite number"),
        ("name: x\nrate: 1.0e+999\n", "yaml:2: '1.0e+999' is too large a number"),
        ("name: x\nrate: '1e999'\n", "rate is '1e999'; expected a finite number"),
        # out of bounds
        ("name: x\nsteps: 0\n", "yaml:2: steps is 0; expected 1 or more, at most 100"),
        ("name: x\nsteps: -3\n", "steps is -3; expected 1 or more"),
        ("name: x\nsteps: 101\n", "steps is 101; expected 1 or more, at most 100"),
        ("name: x\nrate: 0\n", "rate is 0.0; expected above 0, at most 10"),
        ("name: x\nrate: -0.0\n", "rate is -0.0; expected above 0"),
        ("name: x\ninner:\n  rank: 65\n", "yaml:3: inner: rank is 65; expected 1 or more"),
        ("name: x\nwords: [a, b, c, d]\n", "words has 4 entries; expected 0 or more, at most 3"),
        ("name: x\nwords: [a, '']\n", "words is ''; expected small letters"),
        # what builds more than is written
        ("name: &a x\nkind: *a\n", "yaml:1: no anchors and aliases"),
        ("name: x\ninner: {<<: {rank: 1}}\n", "unknown key '<<'"),
        ("name: !!binary eA==\n", "yaml:1: no tags here"),
        ("name: x\nsteps: !!int 1:30\n", "yaml:2: no tags here"),
        ("name: x\nsteps: !!timestamp x\n", "yaml:2: no tags here"),
        ("name: x\nsteps: !!python/object/apply:os.getpid []\n", "yaml:2: no tags here"),
    ],
)
def test_a_bad_recipe_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(write(tmp_path, text), Settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'recipe.yaml'}:")


def bomb(depth: int) -> str:
    """Ten times ten times ...: lists of aliases."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "name: " + "[" * 3_000,
        "name: " + "[" * 60_000,
        "name: " + "{a: " * 10_000,
        "- " * 20_000 + "x",
        "? " * 20_000 + "x",
        "[" * 100_000,
        "x" * 10_000_000,
        bomb(12),
    ],
    ids=["lists", "more lists", "mappings", "dashes", "keys", "10^5 lists", "10 MB", "aliases"],
)
def test_a_recipe_that_would_take_all_memory_is_refused_at_once(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    tracemalloc.start()
    try:
        before = time.process_time()
        with pytest.raises(InputError) as caught:
            read_recipe(path, Settings)
        took, most = time.process_time() - before, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert took < 5 and most < 4 * len(text) + 2**24


def test_numbers_are_read_as_they_are_written(tmp_path: Path) -> None:
    for text, value in (("7", 7), ("+7", 7), ("100", 100)):
        assert read_recipe(write(tmp_path, f"name: x\nsteps: {text}\n"), Settings).steps == value
    for text, value in (("1e-3", 1e-3), ("1.5E-1", 0.15), (".5", 0.5), ("5.", 5.0), ("10", 10.0)):
        assert read_recipe(write(tmp_path, f"name: x\nrate: {text}\n"), Settings).rate == value
    for text in ("1:30", "2001-01-01", "010", "1_0", ".inf"):
        assert read_recipe(write(tmp_path, f"name: {text}\n"), Settings).name == text


def test_changes_are_checked_like_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nsteps: 7\n")
    with pytest.raises(InputError, match=r"yaml: steps is -1; expected 1 or more"):
        read_recipe(path, Settings, steps=-1)


def test_a_recipe_by_name_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "name: x\nsteps: 7\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("recipe", str(path), "~/recipe.yaml"):
        assert named_recipe(tmp_path, name, Settings).steps == 7
    for name in ("other", "other.yaml", "re\0cipe", "x" * 5_000, ""):
        with pytest.raises(InputError) as caught:
            named_recipe(tmp_path, name, Settings)
        assert "\n" not in str(caught.value) and "\0" not in str(caught.value)


PAPERS = ("bert_distill_losses", "prorank", "tongsearch_qr")


def numbers(kind: Any, inside: str = "") -> list[tuple[str, list[Any]]]:
    """(place, its bounds) of every number and list in a recipe's dataclass."""
    found = []
    for field in dataclasses.fields(kind):
        for option in options_of(hints_of(kind)[field.name]):
            plain, declared = bounds_of(option)
            if dataclasses.is_dataclass(plain):
                found += numbers(plain, f"{inside}{field.name}.")
            elif plain in (int, float):
                found.append((f"{inside}{field.name}", declared))
    return found


@pytest.mark.parametrize("paper", PAPERS)
def test_every_number_of_every_recipe_has_bounds_that_hold(paper: str) -> None:
    module = import_module(f"ir_replications.{paper}.training.recipe")
    found = numbers(module.Recipe)
    assert len(found) > 15
    for place, declared in found:
        assert [type(bound) for bound in declared] == [Bounds], f"{place}: declare its bounds"
        (bound,) = declared
        for wrong in (float("nan"), float("inf"), -float("inf"), -(10**10), 10**10):
            assert not bound.allow(wrong), f"{place} may be {wrong}"


@pytest.mark.parametrize("paper", PAPERS)
def test_bounds_hold_for_recipes_that_no_file_gave(paper: str) -> None:
    module = import_module(f"ir_replications.{paper}.training.recipe")
    recipe = module.load_recipe("embedded")
    check_bounds(recipe, "x")
    for name, value in (("name", "../../other"), ("name", ""), ("name", "a\nb")):
        with pytest.raises(InputError, match=r"name is .*; expected 1 to 100 letters"):
            dataclasses.replace(recipe, **{name: value})
    with pytest.raises(InputError, match=r"precision is 'int3'; expected 'bfloat16' or"):
        dataclasses.replace(recipe, precision="int3")
    for field in dataclasses.fields(recipe):
        if typing.get_origin(bounds_of(hints_of(module.Recipe)[field.name])[0]) is None:
            for option in options_of(hints_of(module.Recipe)[field.name]):
                if bounds_of(option)[0] in (int, float):
                    with pytest.raises(
                        InputError,
                        match=rf"{field.name} is (10{{10}}|1e+10|10000000000.0); expected",
                    ):
                        dataclasses.replace(recipe, **{field.name: 10**10})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_recipe(tmp_path / "none.yaml", Settings)
