"""Packs: read like loose records, and every fault named with its line."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ir_replications.reports.pages.render import render_site
from ir_replications.reports.records.files import pack_text, read_pack
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.reports.example import record, records, write_paper
from tests.reports.records.test_resealed import MUTATIONS, canonical, change, sealed

RUN = {"q1": [("d1", 1.0)]}


def three() -> list[Record]:
    """Records of one experiment, in the order of a pack; one label holds U+2028 and U+0085."""
    provenance = {"git": {"commit": "0" * 40, "dirty": False}, "packages": {"numpy": "2"}}
    return [
        record("bm25", f"beir/{name}", 0.5, seed=3, label=name,
               facts={"text": "a\u2028b\x85c"}, provenance={"seed": 3, **provenance})
        for name in ("alpha", "beta", "gamma")
    ]  # fmt: skip


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack of three records, of which the second has a run file, and no loose record."""
    store = Store(tmp_path)
    written = [store.put(each, RUN if each.label == "beta" else None) for each in three()]
    path = store.pack("toy", "small", "E1")
    path.write_text(pack_text(reversed(written)), "utf-8")
    for each in written:
        store.path(each).unlink()
    return path


def lines(pack: Path) -> list[str]:
    return pack.read_text("utf-8").split("\n")[:-1]


def test_both_forms_read_alike(pack: Path, tmp_path: Path) -> None:
    loose = Store(tmp_path / "loose")
    for each in three():
        loose.put(each, RUN if each.label == "beta" else None)
    packed = Store(tmp_path)
    assert packed.records("toy") == loose.records("toy")
    assert [json.loads(line)["label"] for line in lines(pack)] == ["alpha", "beta", "gamma"]
    for number, each in enumerate(loose.records(), 1):
        assert packed.get("toy", "E1", "small", each.config) == each
        assert packed.where(each) == f"{pack}:{number}"
        assert packed.has_run(each) and json.loads(lines(pack)[number - 1]) == json.loads(
            loose.path(each).read_text("utf-8")
        )
    assert packed.get("toy", "E1", "small", {"system": "x"}) is None
    assert packed.records("toy", "paper") == packed.records("other") == []


@pytest.mark.parametrize(("place", "value"), MUTATIONS, ids=lambda value: str(value)[:20])
def test_a_packed_record_is_checked_like_a_loose_one(pack: Path, place: str, value: Any) -> None:
    before = lines(pack)
    data = copy.deepcopy(json.loads(before[1]))
    change(data, place, value)
    data["config_hash"] = canonical({k: data[k] for k in ("paper", "experiment", "tier", "config")})
    if place == "label" and value == "another":
        return  # a file's name says the label, a line of a pack does not
    before[1] = json.dumps(sealed(data), ensure_ascii=False).replace("Infinity", "1e999")
    pack.write_text("\n".join([*before, ""]), "utf-8")
    with pytest.raises(InputError) as error:
        read_pack(pack)
    message = str(error.value)
    assert message.startswith(f"{pack}:2: ") and message.isprintable() and len(message) < 700


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_one_damaged_byte_names_its_line(pack: Path, share: float) -> None:
    content = bytearray(pack.read_bytes())
    place = int(len(content) * share)
    content[place] ^= 1
    line = content.count(b"\n", 0, place) + 1
    pack.write_bytes(content)
    with pytest.raises(InputError) as error:
        Store(pack.parents[2]).records()
    assert str(error.value).startswith(f"{pack}:{line}: ")


@pytest.mark.parametrize("cut", [1, 2, 300])
def test_a_truncated_last_line_is_refused(pack: Path, cut: int) -> None:
    pack.write_bytes(pack.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"truncated.*restore it from the repository") as error:
        read_pack(pack)
    assert str(error.value).startswith(f"{pack}:3: ")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda found: [*found, found[0]], r":4: holds the cell of line 1 again \(alpha\)"),
        (lambda found: [found[0], "", *found[1:]], r":2: malformed JSON"),
        (lambda found: [found[0], "[]"], r":2: expected a JSON object"),
    ],
)
def test_what_is_no_pack(pack: Path, edit: Callable[[list[str]], list[str]], message: str) -> None:
    pack.write_text("\n".join([*edit(lines(pack)), ""]), "utf-8")
    with pytest.raises(InputError, match=message):
        read_pack(pack)


@pytest.mark.parametrize("place", ["toy/small/E2", "toy/paper/E1", "other/small/E1"])
def test_a_pack_elsewhere_is_refused(pack: Path, tmp_path: Path, place: str) -> None:
    other = tmp_path / f"{place}.jsonl"
    other.parent.mkdir(parents=True, exist_ok=True)
    pack.rename(other)
    with pytest.raises(InputError, match=r":1: holds a record of toy/small/E1 \(moved"):
        Store(tmp_path).records()


def test_a_cell_in_a_pack_and_in_a_file_is_one_clear_line(pack: Path, tmp_path: Path) -> None:
    beta, store = three()[1], Store(tmp_path)
    store.path(beta).write_text(beta.to_json(), "utf-8")
    with pytest.raises(InputError) as error:
        store.records()
    assert str(error.value) == (
        f"{store.path(beta)}: holds the cell of {pack}:2 too; delete one of the two, or pack this "
        f"one: replicate publish toy --tier small --store {tmp_path}"
    )


def test_an_altered_run_file_names_the_line_that_says_so(pack: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    beta = store.records()[1]
    store.run_path(beta).write_bytes(b"x")
    with pytest.raises(InputError, match=rf"sha256 differs from {pack}:2"):
        store.check_run(beta)
    store.run_path(beta).unlink()
    with pytest.raises(InputError, match=rf"run file is missing, which {pack}:2 names"):
        store.check_run(beta)


def test_hidden_files_are_no_packs_and_no_run_writes_into_published_records(
    pack: Path, tmp_path: Path
) -> None:
    pack.with_name("._E1.jsonl").write_bytes(b"\0")
    assert len(Store(tmp_path).records()) == 3
    with pytest.raises(InputError, match=r"are published; run into a store of its own"):
        Store(tmp_path).put(record("double", "beir/alpha", 0.5))


def test_one_changed_record_is_one_changed_line(pack: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.jsonl"
    before.write_bytes(pack.read_bytes())
    changed = [*three()[:2], record("bm25", "beir/gamma", 0.6, seed=3, label="gamma")]
    pack.write_text(pack_text([changed[0], Store(tmp_path).records()[1], changed[2]]), "utf-8")
    command = ["git", "diff", "--no-index", "--numstat", str(before), str(pack)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split("\t")[:2] == ["1", "1"]


def test_a_page_links_to_the_pack_and_names_the_cell(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    write_paper(papers)
    store = Store(tmp_path / "results")
    first = store.put(records()[0], RUN)
    pack = store.pack("toy", first.tier, first.experiment)
    pack.write_text(pack_text([first]), "utf-8")
    store.path(first).unlink()
    render_site(papers, store.records(), tmp_path / "html")
    place = f"records/toy/{first.tier}-{first.experiment}.html"
    page = (tmp_path / "html" / place).read_text("utf-8")
    link = f'<a href="../../../results/toy/{first.tier}/{first.experiment}.jsonl">'
    assert link in page and first.run is not None and first.run["path"] in page
    cell = first.config_hash[:10]
    assert f"the line of cell <code>{cell}</code>" in page
    assert [cell in line for line in lines(pack)] == [True]
    assert not (tmp_path / "html" / "data").exists()
