"""Where stderr is no terminal a training tells in lines how far it is."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("torch")

from ir_replications.shared import progress
from ir_replications.shared.training import followed as module
from ir_replications.shared.training.followed import followed


def test_lines_where_no_terminal_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    with followed(9, "things", done=3) as steps:
        steps.advance(2)
        steps.note(loss=0.5)
    err = capsys.readouterr().err
    assert re.search(r"^3 of 9 things$", err, re.M)
    assert re.search(r"^5 of 9 things, about \d+ s left$", err, re.M)


def test_of_several_processes_the_first_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    monkeypatch.setattr(module, "is_first", lambda: False)
    with followed(4, "things") as steps:
        steps.advance()
    assert capsys.readouterr().err == ""
