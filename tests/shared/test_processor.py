"""What the kernel says of the processor decides the precision that is faster here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ir_replications.shared import processor, scratch
from ir_replications.shared.training import bounds, named_recipe


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No GPU, and nothing remembered of this machine."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for remembered in (processor.has_bfloat16, scratch.note_once):
        remembered.cache_clear()
    yield
    for remembered in (processor.has_bfloat16, scratch.note_once):
        remembered.cache_clear()


@dataclass(frozen=True)
class Settings:
    precision: bounds.Precision = "bfloat16"


@pytest.mark.parametrize(
    ("line", "fast"),
    [
        ("flags\t\t: fpu avx2 fma", False),
        ("flags\t\t: fpu avx2 avx512f avx512bw", False),  # what it computes, it emulates
        ("flags\t\t: avx512f avx512_bf16", True),
        ("flags\t\t: avx512f amx_bf16 amx_tile", True),
        ("Features\t: fp asimd bf16", True),
        ("Features\t: fp asimd", False),
        ("", False),
    ],
)
def test_bfloat16_where_there_are_instructions(
    line: str,
    fast: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "auto.yaml").write_text("precision: auto\n")
    (tmp_path / "named.yaml").write_text("precision: bfloat16\n")
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text",
        lambda self, *a, **o: f"{line}\n" if str(self) == "/proc/cpuinfo" else read(self, *a, **o),
    )  # fmt: skip
    assert processor.has_bfloat16() is fast
    suited = named_recipe(tmp_path, "auto", Settings).precision
    assert suited == ("bfloat16" if fast else "float32")
    assert named_recipe(tmp_path, "named", Settings).precision == "bfloat16"
    processor.note_slow_bfloat16()
    processor.note_slow_bfloat16()
    assert capsys.readouterr().err.count("no bfloat16 instructions") == (not fast)


@pytest.mark.parametrize(
    ("system", "driver", "asked"),
    [
        ("linux", False, False),
        ("linux", True, True),
        ("win32", False, True),
        ("darwin", False, False),
    ],
)
def test_torch_is_asked_where_there_can_be_a_gpu(
    system: str, driver: bool, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing it takes seconds, and every command that plans cells reads the recipes."""
    (tmp_path / "nvidiactl").touch()
    node = tmp_path / ("nvidiactl" if driver else "none")
    monkeypatch.setattr(processor, "_GPU_DRIVERS", (str(node),))
    monkeypatch.setattr(processor, "processor_flags", list)
    monkeypatch.setattr(processor.sys, "platform", system)
    looked: list[str] = []
    monkeypatch.setattr(importlib.util, "find_spec", looked.append)
    assert not processor.has_bfloat16()
    assert looked == ["torch"] * asked
