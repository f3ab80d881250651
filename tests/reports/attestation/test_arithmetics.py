"""Arithmetics: which variables they set, and how an ignored one is seen."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

from ir_replications.reports.attestation.arithmetics import (
    ARITHMETICS,
    BY_HAND,
    SWITCHES,
    ignored,
    named,
    recognise,
    switches_set,
    why_not_offered,
    without_switches,
)
from ir_replications.reports.attestation.libraries import Libraries, _announced, probe
from ir_replications.shared.errors import InputError

SERVER = Libraries(
    runs={
        "torch": "AVX512",
        "oneDNN": "Intel AVX-512 with Intel DL Boost and bfloat16 support",
        "MKL": "Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512) enabled processors",
        "OpenBLAS": "SkylakeX",
        "NumPy": "X86_V3 X86_V4 AVX512_ICL",
        "numba": "sapphirerapids, 512 bits",
    },
    results={"C library": "with-fma"},
    numpy_dispatch=["X86_V3", "X86_V4", "AVX512_ICL"],
    threads={"torch": 1, "openblas": 1},
)
OLDEST = Libraries(
    runs={
        "torch": "DEFAULT",
        "oneDNN": "Intel SSE4.1",
        "MKL": "Intel(R) Streaming SIMD Extensions 4.2 (Intel(R) SSE4.2) enabled processors, "
        "branch COMPATIBLE",
        "OpenBLAS": "Nehalem",
        "NumPy": "baseline only",
        "numba": "generic, 128 bits",
    },
    results={"C library": "without-fma"},
    numpy_dispatch=[],
    threads={"torch": 1, "openblas": 1},
)
AVX2 = replace(
    OLDEST,
    runs={
        "torch": "AVX2",
        "oneDNN": "Intel AVX2",
        "MKL": "Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2) enabled processors",
        "OpenBLAS": "Haswell",
        "NumPy": "X86_V3",
        "numba": "haswell, 256 bits",
    },
)


def test_every_variable_is_known_to_speak_to_a_library() -> None:
    for arithmetic in ARITHMETICS:
        assert set(arithmetic.switches) <= set(SWITCHES)
        assert arithmetic.emulated == bool(set(arithmetic.runs))


def test_numpy_is_only_told_of_features_that_the_processor_has() -> None:
    def features(name: str, native: Libraries) -> str | None:
        return named(name).environment(native).get("NPY_DISABLE_CPU_FEATURES")

    older_numpy = replace(SERVER, numpy_dispatch=["SSE41", "AVX2", "AVX512F", "AVX512_SKX"])
    assert features("avx2", SERVER) == "X86_V4 AVX512_ICL"
    assert features("avx2", older_numpy) == "AVX512F AVX512_SKX"
    assert features("oldest", older_numpy) == "SSE41 AVX2 AVX512F AVX512_SKX"
    assert features("avx2", replace(SERVER, numpy_dispatch=["X86_V3"])) is None
    assert features("native", SERVER) is None


def test_what_was_asked_for_and_runs_is_not_reported() -> None:
    assert ignored(named("oldest"), OLDEST, SERVER) == []
    assert ignored(named("avx2"), AVX2, SERVER) == []
    assert ignored(named("native"), SERVER, SERVER) == []


@pytest.mark.parametrize("library", sorted(SERVER.runs))
@pytest.mark.parametrize(("name", "real"), [("oldest", OLDEST), ("avx2", AVX2)])
def test_an_ignored_switch_is_named_with_what_runs(
    name: str, real: Libraries, library: str
) -> None:
    said = SERVER.runs[library]
    planted = replace(real, runs={**real.runs, library: said})
    (line,) = ignored(named(name), planted, SERVER)
    assert line.startswith(f"{library} ignored ") and line.endswith(f"it says {said}")
    assert any(SWITCHES[switch] == library for switch in SWITCHES if switch in line)


def test_a_processor_that_mkl_does_not_know_is_reported() -> None:
    # MKL reads MKL_ENABLE_INSTRUCTIONS on Intel's processors only, and on others says just this.
    planted = replace(AVX2, runs={**AVX2.runs, "MKL": "Intel(R) Architecture processors"})
    (line,) = ignored(named("avx2"), planted, SERVER)
    assert line.startswith("MKL ignored MKL_ENABLE_INSTRUCTIONS=AVX2")


def test_a_library_that_says_nothing_must_give_other_results() -> None:
    (line,) = ignored(named("oldest"), replace(OLDEST, results=SERVER.results), SERVER)
    assert line.startswith("C library: GLIBC_TUNABLES=") and line.endswith("it computes")


def test_too_few_threads_are_reported() -> None:
    planted = replace(SERVER, threads={"torch": 2, "openblas": 1})
    assert ignored(named("two-threads"), planted, SERVER) == ["threads: openblas 1, not 2"]


def test_an_arithmetic_is_recognised_by_its_variables() -> None:
    for arithmetic in ARITHMETICS:
        environment = {"HOME": "/x", "GLIBC_TUNABLES": "glibc.malloc.check=1"}
        environment |= arithmetic.environment(SERVER)
        real = replace(SERVER, threads={"torch": arithmetic.threads})
        assert recognise(switches_set(environment), real, SERVER) == arithmetic
        assert set(without_switches(environment)) <= {"HOME", "GLIBC_TUNABLES"}
    found = recognise({"ATEN_CPU_CAPABILITY": "avx2"}, SERVER, SERVER)
    assert (found.name, found.emulated) == (BY_HAND, True)


def test_other_processors_are_not_offered_an_x86() -> None:
    offered = [a.name for a in ARITHMETICS if not why_not_offered(a, "aarch64")]
    assert offered == ["native", "two-threads"]
    assert "aarch64" in (why_not_offered(named("avx2"), "aarch64") or "")
    assert not any(why_not_offered(a, "x86_64") for a in ARITHMETICS)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="expected one of: native, avx2, oldest, two-threads"):
        named("quantum")


def test_the_libraries_of_this_machine_say_what_they_run() -> None:
    """A real process, told to be old in every way but one, which is seen to be new."""
    native = probe({**without_switches(os.environ), "OMP_NUM_THREADS": "1"})
    oldest = named("oldest")
    environment = {**without_switches(os.environ), **oldest.environment(native)}
    if why_not_offered(oldest):
        assert native.runs["NumPy"]
        return
    del environment["NUMBA_CPU_FEATURES"], environment["NUMBA_CPU_NAME"]
    environment["OPENBLAS_CORETYPE"] = "Nehalam"  # OpenBLAS ignores what it does not know
    real = probe(environment)
    assert real.runs["NumPy"] == "baseline only" and real.numpy_dispatch == []
    assert real.runs["OpenBLAS"] == native.runs["OpenBLAS"] != "Nehalem"
    lines = ignored(oldest, real, native)
    assert [line.split()[0] for line in lines if "ignored" in line] == ["OpenBLAS", "numba"]
    if "torch" in real.runs:
        assert real.runs["torch"] == "DEFAULT" != native.runs["torch"]
        assert real.results["MKL"] != native.results["MKL"]


@pytest.mark.parametrize(
    ("header", "branch", "expected"),
    [
        ("Intel(R) Architecture processors", "OFF", "Intel(R) Architecture processors"),
        (
            "Intel(R) Architecture processors",
            "COMPATIBLE",
            "Intel(R) Architecture processors, branch COMPATIBLE",
        ),
        # Commas inside: what comes after them says which instructions there are.
        (
            "Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512) with INT8, BF16",
            "OFF",
            "Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512) with INT8, BF16",
        ),
    ],
)
def test_what_mkl_and_onednn_write_is_read(header: str, branch: str, expected: str) -> None:
    output = (
        "MKL_VERBOSE oneMKL 2024.0 Update 2 Product build 20240605 for Intel(R) 64 architecture "
        f"{header}, Lnx 2.60GHz lp64 gnu_thread\n"
        f"MKL_VERBOSE SGEMM(N,N,64,64,64,0x7f,64) 239.21us CNR:{branch} Dyn:1 NThr:1\n"
        "onednn_verbose,v1,info,cpu,runtime:OpenMP,nthr:2\n"
        "onednn_verbose,v1,info,cpu,isa:Intel AVX2\n"
    )
    assert _announced(output) == {"MKL": expected, "oneDNN": "Intel AVX2"}
    assert _announced("nothing of the kind\n") == {}


def test_a_process_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="cannot be asked what they run: exit status 1"):
        probe({})
