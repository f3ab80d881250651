"""Bad input on the command line: one line that names file, line and remedy; nothing left behind."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import E2, Replicate, append, beir, files


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _cut_gzip(folder: Path) -> None:
    plain = folder / "corpus.jsonl"
    content = gzip.compress(plain.read_bytes())
    plain.unlink()
    (folder / "corpus.jsonl.gz").write_bytes(content[:-12])


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "malformed JSON": (append("corpus.jsonl", b'{"_id": "d6"'), "corpus.jsonl:6: malformed JSON"),
    "no object": (append("queries.jsonl", b"[1]"), "queries.jsonl:3: expected a JSON object"),
    "no id": (append("corpus.jsonl", b'{"text": "x"}'), 'corpus.jsonl:6: no "_id"'),
    "no text": (append("queries.jsonl", b'{"_id": "x"}'), 'queries.jsonl:3: no "text"'),
    "number as id": (append("corpus.jsonl", b'{"_id": 6, "text": "x"}'), ':6: "_id" is int'),
    "duplicate id": (
        append("corpus.jsonl", b'{"_id": "d1", "text": "x"}'),
        "corpus.jsonl:6: duplicate document id 'd1', first on line 1",
    ),
    "empty corpus": (_write("corpus.jsonl", b"\n"), "corpus.jsonl:1: the file is empty"),
    "empty queries": (_write("queries.jsonl", b""), "queries.jsonl:1: the file is empty"),
    "no corpus": (lambda f: (f / "corpus.jsonl").unlink(), "no corpus.jsonl"),
    "no queries": (lambda f: (f / "queries.jsonl").unlink(), "no queries.jsonl"),
    "latin-1": (
        append("corpus.jsonl", '{"_id": "d6", "text": "\xe9"}'.encode("latin-1")),
        "corpus.jsonl:6: byte 24 is not UTF-8",
    ),
    "cut gzip": (_cut_gzip, "corpus.jsonl.gz:1: the gzip data is cut short"),
    "no qrels": (lambda f: (f / "qrels" / "test.tsv").unlink(), "no judgements; expected qrels/"),
    "qrels of others": (
        _write("qrels/test.tsv", b"query-id\tcorpus-id\tscore\nx\ty\t1\n"),
        "no judgement names a known query and document",
    ),
    "five columns": (append("qrels/test.tsv", b"q1\td1\t1\t2\t3"), "test.tsv:5: found 5 columns"),
    "grade of words": (append("qrels/test.tsv", b"q1\td3\tgood"), "test.tsv:5: grade 'good'"),
    "two grades": (append("qrels/test.tsv", b"q1\td1\t2"), "test.tsv:5: query 'q1', document"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_folders_are_refused_by_file_and_line(
    replicate: Replicate, tiny: Path, tmp_path: Path, case: str
) -> None:
    change, expected = BROKEN[case]
    change(tiny)
    line = replicate.refused("run", "bmx", "--collection", tiny, *E2, "--store", "store")
    assert expected in line and str(tiny) in line
    assert not (tmp_path / "store").exists()
    assert expected in replicate.refused("data", "check", tiny)


REFUSED: dict[str, tuple[str, ...]] = {
    "no paper named 'nope'; the papers are: ": ("run", "nope"),
    "bmx has no experiment 'E99'; its experiments are: E1, E2": (
        "run", "bmx", "--experiment", "E99",
    ),
    "no paper has an experiment 'E99'": ("run", "all", "--experiment", "E99"),
    "'huge' is not one of 'embedded', 'small', 'paper'": ("run", "bmx", "--tier", "huge"),
    "'cloud' is not one of 'local', 'ray'": ("run", "bmx", "--executor", "cloud"),
    "0 is not in the range x>=1": ("run", "bmx", "--jobs", "0"),
    "Missing argument 'PAPER'": ("run",),
    "No such command 'nonsense'": ("nonsense",),
    "no cell at tier small": ("run", "bmx", "--tier", "small", "--experiment", "E1"),
    "collection id 'a/../b': expected": ("run", "bmx", "--collection", "a/../b"),
    "'../b': no such folder": ("run", "bmx", "--collection", "../b"),
    "'': no such folder": ("run", "bmx", "--collection", ""),
    "my/own: no such folder, not in the data root": ("run", "bmx", "--collection", "my/own"),
    "beir/scifact: no such folder, not in the data root (none is set)": (
        "run", "bmx", "--collection", "beir/scifact", "--no-download",
    ),
    "gone: no such folder; the data root must be one that exists": (
        "run", "bmx", "--tier", "small", "--data-root", "gone",
    ),
    "file: cannot be written": ("run", "bmx", "--collection", "tiny", "--store", "file"),
    "file/x: cannot be written": ("run", "bmx", "--collection", "tiny", "--store", "file/x"),
    "file: is a file; give a folder": ("report", "--out", "file", "--store", "store"),
    "cannot be written (Not a directory)": ("report", "--out", "file/x", "--store", "store"),
    "collection id '../x': expected": ("data", "fetch", "../x"),
    "nothing: no such folder": ("data", "check", "nothing"),
    "model 'nothing': no such folder": ("models", "fetch", "nothing"),
    "none.run: no such file": ("compare", "none.run", "b.run", "--qrels", "qrels.tsv"),
    "file:1: 5 columns found": ("compare", "file", "b.run", "--qrels", "qrels.tsv"),
    "nan.run:2: score 'NaN' is not a finite number": (
        "compare", "nan.run", "b.run", "--qrels", "qrels.tsv",
    ),
    "measure 'magic@10' is unknown": (
        "compare", "b.run", "b.run", "--qrels", "qrels.tsv", "--measure", "magic@10",
    ),
    "measure 'nDCG@0' is unknown": (
        "compare", "b.run", "b.run", "--qrels", "qrels.tsv", "--measure", "nDCG@0",
    ),
    "other.tsv: no query of these runs is judged": (
        "compare", "b.run", "b.run", "--qrels", "other.tsv",
    ),
    "high.tsv:2: grade 2147483648, expected one of": (
        "compare", "b.run", "b.run", "--qrels", "high.tsv",
    ),
    "typo: no such folder of records": ("report", "--store", "typo", "--out", "pages"),
    "leave nothing; give one of them": ("report", "--store-only", "--published-only"),
    "leaves the published records out; name a folder": ("report", "--store-only"),
    "qrels-5.tsv:1: found 5 columns": ("compare", "b.run", "b.run", "--qrels", "qrels-5.tsv"),
}  # fmt: skip


@pytest.mark.parametrize("expected", REFUSED)
@pytest.mark.usefixtures("tiny")
def test_bad_requests_are_refused_in_one_line(
    replicate: Replicate, tmp_path: Path, expected: str
) -> None:
    (tmp_path / "file").write_text("q1 Q0 d1 1 2\n")
    (tmp_path / "b.run").write_text("q1 Q0 d1 1 2 b\n")
    (tmp_path / "nan.run").write_text("q1 Q0 d1 1 2 b\nq1 Q0 d2 2 NaN b\n")
    (tmp_path / "qrels.tsv").write_text("q1\td1\t1\n")
    (tmp_path / "other.tsv").write_text("q9\td1\t1\n")
    (tmp_path / "high.tsv").write_text("q1\td1\t1\nq1\td2\t2147483648\n")
    (tmp_path / "store").mkdir()
    (tmp_path / "qrels-5.tsv").write_text("q1\td1\t1\t2\t3\n")
    before = files(tmp_path)
    assert expected in replicate.refused(*REFUSED[expected])
    assert files(tmp_path) == before


def test_two_folders_of_one_name_are_refused(replicate: Replicate, tmp_path: Path) -> None:
    one, two = beir(tmp_path / "a" / "tiny"), beir(tmp_path / "b" / "tiny")
    line = replicate.refused("run", "bmx", "--collection", one, "--collection", two, *E2)
    assert "is recorded as 'tiny', and so is" in line


def test_ray_is_named_with_its_install_line(
    replicate: Replicate, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ir_replications.engine.ray_executor", raising=False)
    line = replicate.refused("run", "bmx", "--collection", tiny, "--executor", "ray", *E2)
    assert "pip install 'ir-replications[ray]'" in line


def test_missing_collections_of_a_tier_are_counted_and_the_others_run(
    replicate: Replicate, tmp_path: Path
) -> None:
    beir(tmp_path / "data" / "classic" / "adi")
    request = ("--tier", "small", *E2, "--data-root", "data", "--no-download", "--store", "s")
    result = replicate("run", "bmx", *request)
    assert result.status == 0 and "9 cells: 9 run" in result.out
    assert "note: 51 of 60 cells left out: 6 collections are not at hand" in result.err
