"""Damaged inputs through every reader: read and confirmed, or refused in one line; nothing else.

A fault keeps its input in a folder that the message names, and the same seed makes it again.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

for needed in ("torch", "transformers", "gguf", "peft", "pyarrow", "datasets", "numba"):
    pytest.importorskip(needed)

from ir_replications.shared.data.beir import read_qrels
from ir_replications.shared.data.lines import json_lines
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.runs import read_run
from tests.campaign import COUNTS
from tests.campaign import independent as own
from tests.campaign.apart import ROOT, Apart
from tests.campaign.campaign import Reader, try_reader
from tests.campaign.readers import READERS

SEED = 16
INPUTS = {False: 60, True: 500}  # of a reader with share 1; True: with --slow
IN_ALL = {False: 2_000, True: 20_000}


def inputs_of(reader: Reader, slow: bool) -> int:
    return round(INPUTS[slow] * reader.share)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where inputs with a fault stay."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def apart(kept: Path) -> Iterator[Apart]:
    other = Apart(kept)
    yield other
    other.close()


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name.replace(" ", "-"))
def test_damaged_inputs_are_read_rightly_or_refused_in_one_line(
    reader: Reader, kept: Path, apart: Apart, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    count = inputs_of(reader, request.config.getoption("--slow"))
    if reader.apart:
        result = apart.try_reader(reader, count, SEED)
    else:
        result = try_reader(reader, range(count), SEED, tmp_path, kept)
    COUNTS[reader.name] = result
    assert result.tried == count
    assert result.read and result.refused, "no input of both kinds: the damage shows nothing"
    lines = [f"{result.counted[sign]} x {fault}" for sign, fault in result.faults.items()]
    assert not lines, f"{sum(result.counted.values())} of {count} inputs:\n" + "\n".join(lines)


def test_the_campaign_is_as_large_as_it_says(request: pytest.FixtureRequest) -> None:
    slow = request.config.getoption("--slow")
    assert sum(inputs_of(reader, slow) for reader in READERS) >= IN_ALL[slow]
    assert len({reader.name for reader in READERS}) == len(READERS)


def test_a_planted_fault_is_found(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "a.txt").write_text("12")

    def raw(folder: Path) -> int:
        return int((folder / "a.txt").read_text())

    def believing(folder: Path) -> int:
        try:
            return int((folder / "a.txt").read_text().strip())
        except (ValueError, OSError) as error:
            raise InputError(f"{folder / 'a.txt'}: no number") from error

    def confirm(folder: Path, found: int) -> None:
        assert own.whole(own.json_of(own.text_of(folder / "a.txt")), "number") == found

    for read, expected in ((raw, "raises ValueError"), (believing, "accepted, and an independent")):
        reader = Reader("planted", make, {"a.txt": "json"}, read, confirm, (), names_place=True)
        kept = tmp_path / f"kept-{read.__name__}"
        result = try_reader(reader, range(200), 0, tmp_path / read.__name__, kept)
        assert [sign for sign in result.counted if sign.startswith(expected)]
        assert all(Path(f.partition(": ")[0]).is_dir() for f in result.faults.values())


# Readers by name that need no entry, and why.
NO_FILE = {
    "read_json": "what readers are made of", "read_text": "what readers are made of",
    "read_bytes": "what readers are made of", "load_pydocs": "reads what it wrote, as read_beir",
    "load_irds": "reads through ir_datasets; its rows are those of hub rows",
    "load_rows": "the hub's client; its rows are those of hub rows",
    "read_toml": "what readers are made of", "load_figures": "imports a module",
    "read_first_stage": "read_run and load_collection", "load_dense": "load_embedder",
    "read_table": "a table that comes with the package; test_print.py",
}  # fmt: skip


def _public_readers() -> set[str]:
    """Names of public functions of the suite that begin with read_ or load_."""
    found = set()
    for part in ("shared", "reports", "replications"):
        for path in (ROOT / part).rglob("*.py"):
            if not path.name.startswith(("test_", "tiny_", "bench_")):
                body = ast.parse(path.read_text("utf-8")).body
                names = [node.name for node in body if isinstance(node, ast.FunctionDef)]
                found |= {name for name in names if name.startswith(("read_", "load_"))}
    return found


def test_every_reader_is_in_the_table() -> None:
    covered = {name for reader in READERS for name in reader.covers}
    assert _public_readers() - covered - NO_FILE.keys() == set()


# --- texts that hypothesis makes ----------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(["q1", "d1", "Q0", "0", "1", "2.0", "-1", "1e3", "t", '"q 1"', "#", "\u0661"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=4),
)
BLANKS = st.sampled_from([" ", "\t", "  ", "\u00a0", "\x1c", "\x85"])
ENDS = st.sampled_from(["\n", "\n", "\r\n", "\n\n", "\n\ufeff", ""])


def rows(columns: int) -> st.SearchStrategy[str]:
    """Lines of about so many columns, many of which a reader takes."""
    row = st.tuples(
        st.lists(WORDS, min_size=columns - 1, max_size=columns + 1), st.sampled_from([" ", "\t"])
    ).map(lambda pair: pair[1].join(pair[0]))
    good = st.sampled_from(
        {3: ["q1\td1\t1", "q2\td1\t0"], 6: ["q1 Q0 d1 1 2.5 t", "q1 Q0 d2 2 1 t"]}.get(columns, [])
        or ['{"_id": "a"}', '{"a": 1.5}']
    )
    return st.lists(st.tuples(st.one_of(good, good, row), ENDS), max_size=5).map(
        lambda pairs: "".join(line + end for line, end in pairs)
    )


def same_or_refused(
    path: Path, text: str, read: Callable[[Path], object], expected: Callable[[Path], object]
) -> None:
    """What the suite reads, an independent reading reads as well; else it is one line."""
    path.write_bytes(text.encode("utf-8"))
    try:
        found = read(path)
    except InputError as error:
        assert str(error).startswith(str(path)) and str(error).isprintable(), ascii(str(error))
    else:
        assert found == expected(path)


MADE = settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@MADE
@given(text=rows(6))
def test_runs_that_hypothesis_makes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    same_or_refused(tmp_path_factory.getbasetemp() / "h.run", text, read_run, own.run_of)


@MADE
@given(text=rows(3))
def test_qrels_that_hypothesis_makes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    same_or_refused(tmp_path_factory.getbasetemp() / "h.tsv", text, read_qrels, own.qrels_of)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner)
    ),
    max_leaves=4,
)


@MADE
@given(values=st.lists(st.one_of(JSON, st.dictionaries(st.text(max_size=2), JSON)), max_size=4))
def test_json_that_hypothesis_makes(
    tmp_path_factory: pytest.TempPathFactory, values: list[object]
) -> None:
    text = "\n".join(json.dumps(value) for value in values)
    path = tmp_path_factory.getbasetemp() / "h.jsonl"
    same_or_refused(path, text, lambda p: [r for _, r in json_lines(p)], own.objects_of)
