"""Run files: canonical order, exact round trips, and one clear line for each kind of bad file."""

from __future__ import annotations

import gzip
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.runs import (
    Run,
    canonical,
    read_run,
    why_not_writable,
    with_trec_eval_ties,
    write_run,
)

RUN: Run = {
    "q2": [("d1", 3.5), ("d3", 1.25), ("d2", -0.5)],
    "q1": [("d9", 0.1)],
}


def order(run: Run) -> dict[str, list[str]]:
    return {qid: [docid for docid, _ in results] for qid, results in run.items()}


def float32_scores(path: Path) -> list[np.float32]:
    return [np.float32(line.split()[4]) for line in path.read_text().splitlines()]


def test_canonical_orders_by_score_then_document_id() -> None:
    run = canonical({"q": {"b": 1.0, "c": 2.0, "a": 1.0, "B": 1.0}})
    assert run == {"q": [("c", 2.0), ("B", 1.0), ("a", 1.0), ("b", 1.0)]}


def test_canonical_accepts_pairs_and_keeps_the_order_of_queries() -> None:
    run = canonical({"q2": [("x", 1.0), ("y", 2.0)], "q1": []})
    assert list(run.items()) == [("q2", [("y", 2.0), ("x", 1.0)]), ("q1", [])]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_canonical_refuses_scores_that_are_not_finite(score: float) -> None:
    with pytest.raises(InputError, match=r"query 'q', document 'd': score .* is not finite"):
        canonical({"q": {"d": score}})


def test_canonical_refuses_a_repeated_document() -> None:
    with pytest.raises(InputError, match="occurs twice"):
        canonical({"q": [("d", 1.0), ("d", 2.0)]})


def test_a_written_file_is_six_trec_columns(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    write_run(path, RUN, "bm25")
    assert path.read_text() == (
        "q2 Q0 d1 1 3.5 bm25\nq2 Q0 d3 2 1.25 bm25\nq2 Q0 d2 3 -0.5 bm25\nq1 Q0 d9 1 0.1 bm25\n"
    )


@pytest.mark.parametrize("name", ["run.trec", "run.trec.gz"])
def test_a_run_is_read_back_as_written(tmp_path: Path, name: str) -> None:
    write_run(tmp_path / name, RUN, "bm25")
    assert read_run(tmp_path / name) == RUN


def test_gzip_files_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    write_run(tmp_path / "a.gz", RUN, "t")
    write_run(tmp_path / "b.gz", RUN, "t")
    content = (tmp_path / "a.gz").read_bytes()
    assert content == (tmp_path / "b.gz").read_bytes()
    assert content[4:8] == bytes(4), "the gzip header must hold no time"


@pytest.mark.parametrize(
    "scores",
    [
        [0.0, 0.0, 0.0],
        [1.0, 1.0, 1.0 - 1e-12],
        [100.0, 100.0 - 1e-9, 99.99999],
        [-7.0, -7.0, -7.0],
        [1e-40, 1e-41, 0.0],
        [1e-38, 1e-39, -1e-39],
        [1.0, 1.0, 1.0 - 2**-24],
    ],
)
def test_written_scores_strictly_decrease_in_float32(tmp_path: Path, scores: list[float]) -> None:
    path = tmp_path / "run.trec"
    documents = [f"d{i}" for i in range(len(scores))]
    write_run(path, {"q": list(zip(documents, scores, strict=True))}, "t")
    written = float32_scores(path)
    assert all(high > low for high, low in pairwise(written))
    assert all(value == 0 or abs(value) >= np.finfo(np.float32).tiny for value in written)
    assert order(read_run(path)) == {"q": documents}
    assert np.allclose(written, scores, rtol=1e-6, atol=1e-37)


def test_distinct_scores_are_not_moved(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    scores = np.sort(np.random.default_rng(0).normal(size=500).astype(np.float32))[::-1]
    write_run(path, {"q": [(f"d{i}", float(s)) for i, s in enumerate(scores)]}, "t")
    assert float32_scores(path) == list(scores)


def test_depth_keeps_the_best(tmp_path: Path) -> None:
    write_run(tmp_path / "run", RUN, "t", depth=2)
    assert order(read_run(tmp_path / "run")) == {"q2": ["d1", "d3"], "q1": ["d9"]}


def test_metadata_is_a_yaml_comment_block_that_readers_skip(tmp_path: Path) -> None:
    metadata = {
        "method": {"retrieval": [{"name": "bm25", "k1": 0.9}], "automatic": True},
        "platform": {"hardware": {"cpu": 'a "quoted": name # x'}},
        "data": {"test collection": {"name": "scifact"}},
    }
    path = tmp_path / "run"
    write_run(path, RUN, "t", metadata=metadata)
    lines = path.read_text().splitlines()
    assert lines[0] == "# ir_metadata.start"
    end = lines.index("# ir_metadata.end")
    assert yaml.safe_load("\n".join(line[2:] for line in lines[1:end])) == metadata
    assert lines[1] == "# platform:", "components come in the order of the standard"
    assert read_run(path) == RUN


def test_a_metadata_name_that_would_end_its_comment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run metadata 'a\\nq Q0 d 1 1 t': expected a name"):
        write_run(tmp_path / "run", RUN, "t", metadata={"method": {"a\nq Q0 d 1 1 t": 1}})
    assert not list(tmp_path.iterdir())


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.dictionaries(
            st.text(max_size=3), st.floats(width=32, allow_nan=False, allow_infinity=False)
        ),
        max_size=3,
    )
)
def test_any_run_is_read_back_or_refused(
    tmp_path_factory: pytest.TempPathFactory, run: dict[str, dict[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "r.gz"
    try:
        write_run(path, canonical(run), "t")
    except InputError as error:
        assert str(error).isprintable()
        assert not path.exists()
        return
    expected = {qid: list(results) for qid, results in order(canonical(run)).items() if results}
    assert order(read_run(path)) == expected


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"d": None}, "query 'q', document 'd': the score is no number of float64"),
        ({"d": "1"}, "the score is no number of float64"),
        ({"d": 10**400}, "the score is no number of float64"),
        ([("d", 1.0), (1, 1.0)], "query 'q': document ids must all be texts"),
    ],
)
def test_canonical_refuses_what_has_no_order(results: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        canonical({"q": results})  # type: ignore[dict-item]


def test_unknown_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'platfrom': expected one of platform, research goal"):
        write_run(tmp_path / "run", RUN, "t", metadata={"platfrom": {}})
    assert not list(tmp_path.iterdir()), "nothing may be left behind"


@pytest.mark.parametrize(
    ("run", "tag", "message"),
    [
        ({"q 1": [("d", 1.0)]}, "t", "query id 'q 1'"),
        ({"q": [("d\t1", 1.0)]}, "t", "document id"),
        ({"q": [("d\u00a01", 1.0)]}, "t", "document id"),
        ({"q": [("", 1.0)]}, "t", "document id ''"),
        ({"#1": [("d", 1.0)]}, "t", "read as a comment"),
        ({"q": [("d", 1.0)]}, "my tag", "tag 'my tag'"),
        ({"q": []}, "t", "no results to write"),
        ({"q": [("d", 1e39)]}, "t", "beyond the range of float32"),
        ({"q": [("\ud800", 1.0)]}, "t", "holds the character"),
        ({"q": [("a\0", 1.0)]}, "t", "document id 'a.x00' holds the character"),
        ({"\ufeffq": [("a", 1.0)]}, "t", "query id '.ufeffq' holds the character"),
        ({"q": [("a", 1.0)]}, "t\0", "tag 't.x00' holds the character"),
        ({"q": [(1, 1.0)]}, "t", "document id is int"),
        ({1: [("a", 1.0)]}, "t", "query id is int"),
    ],
)
def test_a_run_that_could_not_be_read_back_is_not_written(
    tmp_path: Path, run: Run, tag: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_run(tmp_path / "run", run, tag)
    assert not list(tmp_path.iterdir())


GOOD = "q Q0 a 1 2.0 t\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "q Q0 b 2 1.0\n", r":2: 5 columns found, expected six columns"),
        (GOOD + "q Q0 b 2 high t\n", r":2: score 'high' is not a finite number"),
        (GOOD + "q Q0 b 2 nan t\n", r":2: score 'nan'"),
        (GOOD + "q Q0 b 2 -inf t\n", r":2: score '-inf'"),
        (GOOD + "q Q0 b 2 1e999 t\n", r":2: score '1e999'"),
        (GOOD + "q Q0 b 2 1_0 t\n", r":2: score '1_0'"),
        (GOOD + "q Q0 b 2.0 1.0 t\n", r":2: rank '2.0' is not an integer"),
        (GOOD + "q Q0 b +-2 1.0 t\n", r":2: rank '\+-2' is not an integer"),
        (GOOD + "q Q0 b \u0662 1.0 t\n", r":2: rank '.' is not an integer"),
        (GOOD + "q Q0 b 1_0 1.0 t\n", r":2: rank '1_0' is not an integer"),
        (GOOD + "q Q0 b 2 \uff11\uff10 t\n", r":2: score '..' is not a finite number"),
        (GOOD + "q Q0 b\0 2 1.0 t\n", r":2: document id 'b.x00' holds the character"),
        (GOOD + "q\x1b Q0 b 2 1.0 t\n", r":2: query id 'q.x1b' holds the character"),
        (GOOD + "\ufeffq Q0 b 2 1.0 t\n", r":2: a byte order mark at the start of this line"),
        (GOOD + "q Q0 a 2 1.0 t\n", r":2: document 'a' is listed twice for query 'q'"),
        ("", r"no results in the file"),
        ("# ir_metadata.start\n# ir_metadata.end\n", r"no results in the file"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.trec"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_run(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin1.trec"
    path.write_bytes(GOOD.encode() + "q Q0 caf\xe9 2 1.0 t\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin1.trec:2: byte 9 is not UTF-8"):
        read_run(path)


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.gz"
    text = "".join(f"q Q0 d{i} {i} {-i} t\n" for i in range(1, 2000))
    path.write_bytes(gzip.compress(text.encode())[:-20])
    with pytest.raises(InputError, match="gzip data is cut short or damaged"):
        read_run(path)


def test_an_absent_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.trec: cannot be read"):
        read_run(tmp_path / "none.trec")


def test_document_ids_with_spaces_are_read_where_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("4 Q0 a/Memory  Management_2.txt 1 0.6 t\n4 Q0 plain 2 0.5 t\n")
    with pytest.raises(InputError, match=":1: 7 columns found"):
        read_run(path)
    found = [("a/Memory  Management_2.txt", 0.6), ("plain", 0.5)]
    assert read_run(path, spaced_ids=True) == {"4": found}
    path.write_text("4 Q0 a 1 0.6 my tag\n")
    with pytest.raises(InputError, match=":1: score 'my' is not a finite number"):
        read_run(path, spaced_ids=True)
    path.write_text("4 Q0 a 0.6 t\n")
    with pytest.raises(InputError, match=":1: 5 columns found"):
        read_run(path, spaced_ids=True)


def test_scores_decide_the_order_and_ranks_do_not(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("q Q0 a 1 1.0 t\nq Q0 b 2 5.0 t\nq Q0 d 3 1.0 t\nq Q0 c 4 1.0 t\n")
    assert order(read_run(path)) == {"q": ["b", "a", "c", "d"]}


def test_byte_order_mark_windows_line_ends_and_interleaved_queries_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_bytes(b"\xef\xbb\xbfq1 Q0 a 1 2 t\r\nq2 Q0 a 1 2 t\r\nq1 Q0 b 2 1 t\r\n")
    assert order(read_run(path)) == {"q1": ["a", "b"], "q2": ["a"]}


def test_trec_eval_ties_fall_by_descending_document_id() -> None:
    run = {"q": [("a", 2.0), ("b", 2.0), ("c", 3.0), ("d", 2.0 + 1e-9)]}
    assert with_trec_eval_ties(run) == {"q": [("c", 0.0), ("d", -1.0), ("b", -2.0), ("a", -3.0)]}


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({"q1": []}, "no query has a result"),
        ({"q 1": [("d", 1.0)]}, "query id 'q 1': a run file cannot hold"),
        ({"#1": [("d", 1.0)]}, "query id '#1': a line starting with '#'"),
        ({"q": [("a", 2.0), ("d\t1", 1.0)]}, "document id 'd\\t1': a run file cannot hold"),
    ],
)
def test_why_not_writable_is_what_writing_refuses(tmp_path: Path, run: Run, reason: str) -> None:
    assert (why_not_writable(run) or "").startswith(reason)
    with pytest.raises(InputError):
        write_run(tmp_path / "x.run", run, "t")
    assert why_not_writable(RUN) is None


def test_columns_lie_between_blanks_of_ascii_as_for_trec_eval(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    for blank in ("\u00a0", "\u3000", "\x85", "\x1c"):
        path.write_text(f"q1{blank}Q0 d1 1 2.5 t\n", "utf-8")
        with pytest.raises(InputError, match=r"a\.run:1: 5 columns"):
            read_run(path)
    path.write_text("q1\u4e2d Q0 d\u3000x 1 2.5 t\n", "utf-8")
    assert read_run(path) == {"q1\u4e2d": [("d\u3000x", 2.5)]}
