"""An attested machine whose numbers can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ir_replications.reports.attestation.machines import Agreement, Machine

OLD, NEW = "a" * 64, "b" * 64


def agreement(records: str = NEW, **fields: Any) -> Agreement:
    """A paper with 10 values compared, without a disagreement."""
    found = Agreement(
        verdicts={"reproduced": 3, "differs (lower)": 1},
        compared={"exact": 4, "float64": 3, "trained": 2, "error-bound": 1},
        deviation={"exact": 0.0, "float64": 3e-16, "trained": 0.4, "error-bound": 0.02},
        disagreements=[],
        left_out=[],
        records=records,
    )
    return replace(found, **fields)


def machine(**fields: Any) -> Machine:
    """One that ran natively and got what was published of the paper "toy"."""
    found = Machine(
        date="2026-03-01",
        processor="Example CPU 9",
        cores=2,
        instruction_sets=["avx2", "fma"],
        system="Example Linux 12, x86_64",
        arithmetic="native",
        emulated=False,
        switches={},
        ignored=[],
        threads={"torch": 1},
        libraries={"torch": "AVX2", "NumPy": "X86_V3"},
        results={"torch": "00ff00ff"},
        python="3.11.7",
        packages={"numpy": "2.4.6", "torch": "2.13.0+cpu"},
        git={"commit": "c" * 40, "dirty": False},
        full=True,
        papers={"toy": agreement()},
    )
    return replace(found, **fields)
