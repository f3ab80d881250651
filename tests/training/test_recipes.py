"""Recipes: typed values from YAML, and one clear line for everything else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from shared.errors import InputError
from shared.training import read_recipe


@dataclass(frozen=True)
class Inner:
    rank: int = 4


@dataclass(frozen=True)
class Settings:
    name: str
    rate: float = 0.5
    steps: int = 3
    kind: Literal["a", "b"] = "a"
    cap: int | None = None
    words: tuple[str, ...] = ()
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
        ("name: x\nstep: 1\n", "unknown key 'step'"),
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
    ],
)
def test_a_bad_recipe_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(write(tmp_path, text), Settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_recipe(tmp_path / "none.yaml", Settings)
