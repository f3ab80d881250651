"""Arithmetics: ways in which one processor can be made to compute like another.

An arithmetic is a set of environment variables, each read by one numerical library when it is
loaded. The processor stays what it is, so this emulates the rounding of another machine, not the
machine. A variable can be ignored (MKL reads MKL_ENABLE_INSTRUCTIONS on Intel processors only), so
`ignored` compares what was asked for with what the libraries say they run.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ir_replications.reports.attestation.libraries import Libraries
from ir_replications.reports.records.provenance import THREADS
from ir_replications.shared.errors import InputError

NATIVE = "native"
BY_HAND = "set by hand"
X86 = ("x86_64", "AMD64", "amd64")
# Which library each variable speaks to; other variables do not choose an arithmetic.
SWITCHES = {
    "ATEN_CPU_CAPABILITY": "torch",
    "ONEDNN_MAX_CPU_ISA": "oneDNN",
    "MKL_ENABLE_INSTRUCTIONS": "MKL",
    "MKL_CBWR": "MKL",
    "NPY_DISABLE_CPU_FEATURES": "NumPy",
    "OPENBLAS_CORETYPE": "OpenBLAS",
    "NUMBA_CPU_NAME": "numba",
    "NUMBA_CPU_FEATURES": "numba",
    "GLIBC_TUNABLES": "C library",
}


@dataclass(frozen=True)
class Arithmetic:
    """One way to compute.

    `switches` are environment variables; `numpy_without` matches the features that NumPy shall do
    without (the names differ between its versions); `runs` maps a library to what it must then say
    (a regular expression); `other_results` names libraries that do not say what they run, and
    must then give other results than natively.
    """

    name: str
    title: str
    threads: int = 1
    switches: Mapping[str, str] = field(default_factory=dict)
    numpy_without: str | None = None
    runs: Mapping[str, str] = field(default_factory=dict)
    other_results: tuple[str, ...] = ()

    @property
    def emulated(self) -> bool:
        """True when the instruction sets are not the processor's own."""
        return bool(self.switches)

    def environment(self, native: Libraries) -> dict[str, str]:
        """Every variable to set, on a machine whose libraries are `native` without any."""
        variables = {**dict.fromkeys(THREADS, str(self.threads)), **self.switches}
        if self.numpy_without is not None:
            found = [f for f in native.numpy_dispatch if re.search(self.numpy_without, f)]
            # Naming a feature that the processor lacks is an error in some versions of NumPy.
            if found:
                variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(found)
        return variables


ARITHMETICS = (
    Arithmetic(NATIVE, "as the processor computes, one thread"),
    Arithmetic(
        "avx2",
        "AVX2 and FMA, no AVX-512, no AMX",
        switches={
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
            "NUMBA_CPU_NAME": "haswell",
            "NUMBA_CPU_FEATURES": "",  # else those of the host are added to the name
        },
        numpy_without=r"AVX512|X86_V4",
        runs={
            "torch": r"AVX2|DEFAULT",
            "oneDNN": r"Intel (AVX2|AVX|SSE4\.1)",
            "MKL": r".*\(Intel\(R\) (AVX2|AVX|SSE4\.2)\).*",
            "OpenBLAS": r"Haswell",
            "NumPy": r"(?!.*(AVX512|X86_V4)).*",
            "numba": r"haswell, (256|128) bits",
        },
    ),
    Arithmetic(
        "oldest",
        "the oldest x86-64 that the libraries can be told to use",
        switches={
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",  # Intel processors
            "MKL_CBWR": "COMPATIBLE",  # the others; on Intel's it goes further back too
            "OPENBLAS_CORETYPE": "Nehalem",
            "NUMBA_CPU_NAME": "generic",
            "NUMBA_CPU_FEATURES": "",
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4",
        },
        numpy_without=r"",
        runs={
            "torch": r"DEFAULT",
            "oneDNN": r"Intel SSE4\.1",
            "MKL": r".*branch COMPATIBLE",
            "OpenBLAS": r"Nehalem|Prescott|Core2",
            "NumPy": r"baseline only",
            "numba": r"generic, 128 bits",
        },
        other_results=("C library",),
    ),
    Arithmetic("two-threads", "as the processor computes, two threads", threads=2),
)


def named(name: str) -> Arithmetic:
    """The arithmetic of this name. Raises InputError for another name."""
    for arithmetic in ARITHMETICS:
        if arithmetic.name == name:
            return arithmetic
    known = ", ".join(each.name for each in ARITHMETICS)
    raise InputError(f"no arithmetic named {name!r}; expected one of: {known}")


def switches_set(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that choose an arithmetic."""
    found = {name: environment[name] for name in SWITCHES if name in environment}
    if "hwcaps" not in found.get("GLIBC_TUNABLES", "hwcaps"):  # others tune memory, say
        del found["GLIBC_TUNABLES"]
    return found


def without_switches(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without them, and without numbers of threads."""
    return {k: v for k, v in environment.items() if k not in SWITCHES and k not in THREADS}


def recognise(switches: Mapping[str, str], real: Libraries, native: Libraries) -> Arithmetic:
    """The arithmetic that these variables choose; one named "set by hand" when none is like it."""
    fitting = [
        each for each in ARITHMETICS if switches_set(each.environment(native)) == dict(switches)
    ]
    same_threads = [each for each in fitting if {each.threads} == set(real.threads.values())]
    if same_threads or fitting:
        return (same_threads or fitting)[0]
    return Arithmetic(BY_HAND, "variables set by hand", switches=switches)


def why_not_offered(arithmetic: Arithmetic, machine: str | None = None) -> str | None:
    """Why this type of machine (by default this one) cannot compute so, or None."""
    machine = platform.machine() if machine is None else machine
    if arithmetic.emulated and machine not in X86:
        return f"x86-64 cannot be emulated on {machine or 'this machine'}"
    return None


def ignored(arithmetic: Arithmetic, real: Libraries, native: Libraries) -> list[str]:
    """One line per library that does not run what it was told to; empty when all do."""
    lines = []
    for library, pattern in arithmetic.runs.items():
        said = real.runs.get(library)
        if said is not None and not re.fullmatch(pattern, said):
            lines.append(f"{library} ignored {_switches(arithmetic, library)}: it says {said}")
    for library in arithmetic.other_results:
        if real.results.get(library) == native.results.get(library):
            lines.append(
                f"{library}: {_switches(arithmetic, library)} changed nothing that it computes"
            )
    if arithmetic.threads > 1:
        few = [f"{library} {n}" for library, n in real.threads.items() if n < arithmetic.threads]
        lines += [f"threads: {text}, not {arithmetic.threads}" for text in few]
    return lines


def _switches(arithmetic: Arithmetic, library: str) -> str:
    pairs = arithmetic.switches.items()
    own = [f"{name}={value}" for name, value in pairs if SWITCHES[name] == library]
    return " ".join(own) or "NPY_DISABLE_CPU_FEATURES"
