"""A rehearsal says what it is, has places of its own, and is neither published nor counted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from ir_replications.engine import evidence as evidence_module
from ir_replications.engine.commands.papers import report as report_module
from ir_replications.engine.evidence import Evidence, gather
from ir_replications.reports.claims.judge import cell_counts, judge
from ir_replications.reports.claims.kinds import Numbers
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.pages.render import render_site
from ir_replications.reports.records.provenance import collect
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import MARK, Store, overlay
from ir_replications.shared.data.agreement import check_collection
from ir_replications.shared.data.hub import check_counts
from ir_replications.shared.data.manifest import pinned
from ir_replications.shared.errors import InputError
from ir_replications.shared.rehearsal import ELSEWHERE, KEY, OWN, VARIABLE, rehearsal, shortened
from tests.cli import E2, Replicate
from tests.reports.example import record, records, write_paper


@pytest.fixture
def rehearsing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in OWN:
        monkeypatch.setenv(name, str(tmp_path / "own"))
    for name in ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, "steps=2")


def rehearsed() -> list[Record]:
    """The toy paper's records as a rehearsal would have made them."""
    return [
        record("bm25", "beir/alpha", 0.5004, provenance={KEY: "1"}),
        record("double", "beir/alpha", 0.6, spread=0.25, provenance={KEY: "1"}),
    ]


@pytest.mark.parametrize("value", ["", "0"])
def test_without_the_variable_nothing_is_rehearsed(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert rehearsal() is None
    assert KEY not in collect(paper="bmx", command="x")
    assert shortened({"steps": 9}) == {"steps": 9}


@pytest.mark.parametrize("missing", OWN)
def test_hub_and_caches_must_be_its_own(
    rehearsing: None, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(InputError, match=f"{missing} not: stand-ins would end in the caches"):
        collect(paper="bmx", command="x")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_cache_named_apart_is_refused(
    rehearsing: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "somewhere")
    with pytest.raises(InputError, match=f"so is {name}; unset"):
        rehearsal()


def test_settings_shorten_a_recipe(rehearsing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv(VARIABLE, "steps=2, first.rate=1e-3,first.kind=exact")
    before = {"steps": 9, "first": {"rate": 1.0, "size": 4}}
    changed = shortened(before)
    assert changed == {"steps": 2, "first": {"rate": "1e-3", "size": 4, "kind": "exact"}}
    assert before == {"steps": 9, "first": {"rate": 1.0, "size": 4}}
    monkeypatch.setenv(VARIABLE, "steps")
    with pytest.raises(InputError, match=r"'steps': expected key=value"):
        shortened(before)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("name.x=1", "name holds no settings of its own"),
        ("steps=1_0", "steps is '1_0'; expected int"),
        ("steps=1:30", "steps is '1:30'; expected int"),
        ("steps=.nan", "steps is '.nan'; expected int"),
        ("steps=[" + "[" * 9_000, "nested too deeply"),
        ("steps=&a 2", "no anchors"),
    ],
)
def test_settings_are_read_as_strictly_as_a_recipe(
    rehearsing: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    value: str,
    message: str,
) -> None:
    from ir_replications.shared.training import read_recipe

    @dataclass(frozen=True)
    class Settings:
        name: str = ""
        steps: int = 9

    (tmp_path / "r.yaml").write_text("name: x\n")
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(InputError) as caught:
        read_recipe(tmp_path / "r.yaml", Settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_recipes_are_read_with_them(
    rehearsing: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("yaml")
    from ir_replications.shared.training import read_recipe

    @dataclass(frozen=True)
    class Settings:
        steps: int = 9

    path = tmp_path / "r.yaml"
    path.write_text("steps: 5\n")
    assert read_recipe(path, Settings) == Settings(2)
    monkeypatch.setenv(VARIABLE, "stepz=2")
    with pytest.raises(InputError, match="unknown key 'stepz'"):
        read_recipe(path, Settings)


def test_every_record_says_so(rehearsing: None) -> None:
    assert collect(paper="bmx", command="x")[KEY] == "steps=2"


def test_a_shrunk_download_is_kept_and_never_as_pinned(
    rehearsing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ir_replications.shared.data.collection import make_collection

    pin = pinned("beir/scifact")
    assert pin is not None
    few = make_collection(pin.id, {"d": ("", "text")}, {"q": "text"}, {"test": {"q": {"d": 1}}})
    check_counts(few, pin)
    assert "1 documents, pinned 5183" in check_collection(few)[0]
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(InputError, match="nothing was kept"):
        check_counts(few, pin)


def test_a_store_holds_rehearsals_or_evidence(tmp_path: Path) -> None:
    published = Store(tmp_path / "published")
    published.put(records()[0])
    with pytest.raises(InputError, match="a rehearsal needs a store of its own"):
        published.put(rehearsed()[0])
    own = Store(tmp_path / "own")
    own.put(rehearsed()[0])
    own.put(rehearsed()[1])
    assert own.rehearsed and len(own.records()) == 2
    with pytest.raises(InputError, match="is the store of a rehearsal"):
        own.put(records()[0])


def test_copied_among_published_records_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that somebody copies by hand pass no Store.put."""
    published, own = Store(tmp_path / "published"), Store(tmp_path / "own")
    paper = load_paper(write_paper(tmp_path / "papers"))
    published.put(record("bm25", "beir/beta", 0.4))
    stray = own.put(rehearsed()[0])
    shutil.copyfile(own.path(stray), published.path(stray))
    monkeypatch.setattr(evidence_module, "PUBLISHED", published.root)
    with pytest.raises(InputError, match="is of a rehearsal; delete it"):
        _ = Evidence(paper, Numbers("", {}, {}), "small", None).published
    with pytest.raises(InputError, match="1 of 2 records are of a rehearsal"):
        overlay(published.records(), [])
    with pytest.raises(InputError, match="1 of 2 records are of a rehearsal"):
        render_site(tmp_path / "papers", published.records(), tmp_path / "html")


def test_its_verdicts_count_for_nothing(tmp_path: Path) -> None:
    paper = load_paper(write_paper(tmp_path / "papers"))
    judged = judge(paper, rehearsed(), "small")
    measured = [f for f in judged.findings if f.value is not None]
    assert measured and {f.verdict for f in measured} == {Verdict.NOT_COMPARABLE}
    effect = next(f for f in measured if f.claim == "C2")
    assert effect.why.startswith("rehearsal: on the real thing this would read: direction only")
    cells = [cell for cell in judged.cells if cell.values]
    assert cells and all(cell.verdict is Verdict.NOT_COMPARABLE for cell in cells)
    assert set(judged.counts()) | set(cell_counts(judged.cells)) <= {
        Verdict.NOT_COMPARABLE, Verdict.NOT_RUN,
    }  # fmt: skip
    real = judge(paper, records(), "small")
    assert Verdict.NOT_COMPARABLE not in real.counts()


def test_claims_are_not_tested_in_one(rehearsing: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no claim is tested in a rehearsal"):
        gather("bmx", "embedded", store=tmp_path, data_root=None, run=False)


def test_pages_of_one_say_so_and_stand_apart(
    replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "own")
    for each in rehearsed():
        store.put(each)
    monkeypatch.setattr(report_module, "PAPERS_FOLDER", write_paper(tmp_path / "papers").parent)
    said = replicate.refused("report", "--store", store.root)
    assert "name a folder for its pages with --out" in said
    assert replicate("report", "--store", store.root, "--out", tmp_path / "html").status == 0
    for name in ("index.html", "toy.html"):
        page = (tmp_path / "html" / name).read_text()
        assert page.count('<strong class="hand">Rehearsal.</strong>') == 1
    render_site(tmp_path / "papers", records(), tmp_path / "html")
    assert "Rehearsal." not in (tmp_path / "html" / "toy.html").read_text()


def test_the_command_keeps_it_apart(
    replicate: Replicate, tiny: Path, tmp_path: Path, rehearsing: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run = ("run", "bmx", "--collection", tiny, *E2)
    monkeypatch.delenv(VARIABLE)
    assert replicate(*run, "--store", tmp_path / "real").status == 0
    monkeypatch.setenv(VARIABLE, "1")
    assert "store of its own" in replicate.refused(*run, "--store", tmp_path / "real")
    done = replicate(*run, "--store", tmp_path / "stage")
    assert done.status == 0 and "no number here is evidence" in done.err
    assert (tmp_path / "stage" / MARK).is_file()
    assert all(found.provenance[KEY] == "1" for found in Store(tmp_path / "stage").records())
    # Other settings: what another rehearsal made is made again.
    monkeypatch.setenv(VARIABLE, "steps=3")
    assert "9 run, 0 kept" in replicate(*run, "--store", tmp_path / "stage").out
    assert "0 run, 9 kept" in replicate(*run, "--store", tmp_path / "stage").out
    monkeypatch.delenv(VARIABLE)
    assert "store of a rehearsal" in replicate.refused(*run, "--store", tmp_path / "stage")
