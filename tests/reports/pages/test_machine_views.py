"""What the pages say about attested machines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ir_replications.reports.attestation.machines import Machine
from ir_replications.reports.pages.machine_views import Verified
from ir_replications.reports.pages.render import render_site
from tests.reports.attestation.machine_example import NEW, OLD, agreement, machine
from tests.reports.example import records, write_paper

PUBLISHED = {"toy": NEW}
EMULATED = machine(
    arithmetic="oldest",
    emulated=True,
    switches={"ATEN_CPU_CAPABILITY": "default"},
    ignored=["MKL ignored MKL_CBWR=COMPATIBLE: it says AVX2"],
)
WRONG = machine(
    processor="Other CPU", papers={"toy": agreement(disagreements=["E1: <b>x</b> moved", "E2: y"])}
)


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        ([], "was not yet run again against these records."),
        ([machine()], "was run again on 1 machine: all agree."),
        # The same processor twice, then once under another arithmetic: one machine.
        (
            [machine(), machine(date="2026-04-01"), EMULATED],
            "was run again on 1 machine and under 1 emulated arithmetic: all agree.",
        ),
        ([machine(), WRONG], "was run again on 2 machines: 1 of 2 runs disagree."),
        ([EMULATED], "was run again under 1 emulated arithmetic: all agree."),
        (
            [machine(), machine(papers={"toy": agreement(OLD)})],
            "was run again on 1 machine: all agree; 1 more run against older records.",
        ),
        ([machine(papers={"other": agreement()})], "was not yet run again against these records."),
    ],
)
def test_a_paper_names_its_machines(machines: list[Machine], expected: str) -> None:
    assert Verified(machines, PUBLISHED).sentence("toy") == f"The embedded tier {expected}"


def test_a_row_says_what_limits_it() -> None:
    partial = machine(
        full=False,
        git={"commit": "c" * 40, "dirty": True},
        papers={
            "toy": agreement(OLD, left_out=["E5/x: other data", "E5/y: other data", "E7: times"])
        },
    )
    (row,) = Verified([partial], PUBLISHED).rows
    assert row.notes == [
        "compared with older records",
        "only toy",
        "2 left out: other data",
        "1 left out: times",
        "code with uncommitted changes",
    ]
    (row,) = Verified([machine()], PUBLISHED).rows
    assert (row.notes, row.agrees, row.compared) == ([], True, "10")
    assert row.sizes == ["3e-16", "", "0.02", "0.40"]


def _index(tmp_path: Path, machines: list[Machine]) -> tuple[str, str]:
    papers = write_paper(tmp_path / "papers").parent
    index = render_site(papers, records(), tmp_path / "html", Verified(machines, PUBLISHED))
    return index.read_text(), (tmp_path / "html/toy.html").read_text()


def test_the_pages_show_machines_escaped(tmp_path: Path) -> None:
    foreign = replace(WRONG, processor="<img src=x>", date="2026-06-01")
    index, paper = _index(tmp_path, [foreign, EMULATED])
    assert "&lt;img src=x&gt;" in index and "<img" not in index
    assert "&lt;b&gt;x&lt;/b&gt; moved" in index and "2 disagree" in index
    assert '<span class="tier">emulated</span>' in index
    assert "MKL ignored MKL_CBWR=COMPATIBLE" in index
    assert "on 1 machine and under 1 emulated arithmetic: 1 of 2 runs disagree." in paper


def test_without_a_machine_the_index_says_so(tmp_path: Path) -> None:
    index, _ = _index(tmp_path, [])
    section = index[index.index('id="verified"') :]
    assert "None yet." in section[: section.index("</section>")] and "<tbody>" in index
