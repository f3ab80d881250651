"""PyDocs: docstrings taken apart, relevance, the pins, and independence of the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ir_replications.shared.data import Collection, check_collection, load_collection, pinned
from ir_replications.shared.data.pydocs import Doc, load_pydocs, parse_docstring, split_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pydocs")


@pytest.fixture(scope="module")
def pydocs(cache: Path) -> Collection:
    return load_pydocs(cache)


def test_docstring_taken_apart() -> None:
    text = """
    solve(a, b, /, *,
          out=None) -> x

    Solve a thing
    in one go.

    Parameters
    ----------
    a : array
        First.

    See Also
    --------
    numpy.inv, det : Other things.
    :func:`lstsq`
        Least squares, with eig.
    scipy.linalg.lu :
        Factor.

    Notes
    -----
    Lives at 0x7f00deadbeef today.
    Stays.
    """
    assert parse_docstring(text) == Doc(
        "Solve a thing in one go.",
        "Parameters\n----------\na : array\n    First.\n\nNotes\n-----\nStays.",
        ("numpy.inv", "det", "lstsq", "scipy.linalg.lu"),
    )


def test_docstring_with_the_signature_on_its_first_line() -> None:
    assert parse_docstring("f(x)\nDo it.\n\nBody.") == Doc("Do it.", "Body.", ())
    assert parse_docstring("") == Doc("", "", ())


def test_pins(pydocs: Collection) -> None:
    pin = pinned("pydocs")
    if pin is None or not pin.sha256:
        assert "no golden value is compared" in check_collection(pydocs)[0]
        pytest.skip(f"nothing is pinned for {pydocs.source}")
    assert check_collection(pydocs) == []
    assert (len(pydocs.doc_ids), pydocs.sha256) == (pin.docs, pin.sha256)


def test_size_and_splits(pydocs: Collection) -> None:
    assert 2300 < len(pydocs.doc_ids) < 2700
    assert 2000 < len(pydocs.queries) < 2400
    assert len(set(pydocs.texts)) == len(pydocs.texts)
    assert len(set(pydocs.queries.values())) == len(pydocs.queries)
    shares = [len(pydocs.qrels[split]) / len(pydocs.queries) for split in ("train", "dev", "test")]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.04)


def test_relevance_follows_see_also(pydocs: Collection) -> None:
    grades = pydocs.qrels[split_of("numpy.hanning")]["q-numpy.hanning"]
    listed = {"numpy.bartlett", "numpy.blackman", "numpy.hamming", "numpy.kaiser"}
    assert grades == {"numpy.hanning": 2} | dict.fromkeys(listed, 1)


def test_a_document_is_title_and_body_without_the_query(pydocs: Collection) -> None:
    at = pydocs.doc_ids.index("scipy.linalg.lu_factor")
    assert pydocs.titles[at] == "scipy.linalg.lu_factor"
    query = pydocs.queries["q-scipy.linalg.lu_factor"]
    assert query not in pydocs.texts[at]
    assert "See Also" not in pydocs.texts[at]
    assert "Parameters" in pydocs.texts[at]


def test_query_ids_are_no_document_ids(pydocs: Collection) -> None:
    # Retrieval drops a query's own id; here the own document is the relevant one.
    assert not set(pydocs.queries) & set(pydocs.doc_ids)


def test_nothing_of_the_machine(pydocs: Collection) -> None:
    text = "\n".join(pydocs.texts)
    for word in (str(ROOT), os.path.expanduser("~"), sys.prefix, "# may vary", "on this platform"):
        assert word not in text


BUILD = "from ir_replications.shared.data import build_pydocs; print(build_pydocs().sha256)"


@pytest.mark.parametrize(
    ("first", "seed"),
    [
        ("import scipy.stats, scipy.special, numpy.testing", "1"),
        ("import pandas, numba", "2"),
        ("import numpy as np; np.set_printoptions(precision=2); np.sinc.__doc__", "3"),
    ],
)
def test_import_order_hash_seed_and_other_packages_do_not_matter(
    pydocs: Collection, first: str, seed: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{first}\n{BUILD}"],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert (done.stdout.strip(), done.stderr) == (pydocs.sha256, "")


def test_environment_that_changes_docstrings(
    pydocs: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    assert load_pydocs(tmp_path).sha256 == pydocs.sha256


def test_cache_is_used_and_mended(
    pydocs: Collection, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            "ir_replications.shared.data.pydocs._build_apart",
            lambda folder: pytest.fail("built again"),
        )
        assert load_collection("pydocs", cache_dir=cache).sha256 == pydocs.sha256
    corpus = next((cache / "pydocs").glob("*/corpus.jsonl"))
    corpus.write_text(corpus.read_text().replace("array", "arrow"))
    assert load_collection("pydocs", cache_dir=cache).sha256 == pydocs.sha256


def test_of_two_processes_one_builds(
    pydocs: Collection, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []
    together = threading.Barrier(2)
    source = next((cache / "pydocs").glob("*/corpus.jsonl")).parent

    def build(folder: Path) -> None:
        built.append(folder)
        time.sleep(0.2)  # the other one is at the lock by then
        shutil.copytree(source, folder)

    def load() -> Collection:
        together.wait()
        return load_pydocs(tmp_path)

    monkeypatch.setattr("ir_replications.shared.data.pydocs._build_apart", build)
    with ThreadPoolExecutor(2) as pool:
        loaded = [pool.submit(load) for _ in range(2)]
    assert [found.result().sha256 for found in loaded] == [pydocs.sha256] * 2
    assert len(built) == 1


def test_cache_that_cannot_be_written(pydocs: Collection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert load_pydocs(tmp_path / "file").sha256 == pydocs.sha256
