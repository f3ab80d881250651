"""What each numerical library really runs on this machine, asked of the library itself.

Environment variables that choose an instruction set are requests: some processors, builds and
versions ignore them without a word. `probe` starts a process under given variables, lets every
library compute something and returns what each one says about itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from ir_replications.reports.records.provenance import threads
from ir_replications.shared.errors import InputError

MARK = "LIBRARIES "
# Both write what they run to standard output, from C, at the first product or convolution.
VERBOSE = {"MKL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"}
_MKL = re.compile(r"MKL_VERBOSE .*? for .*? architecture (.*?), (?:Lnx|Win|OSX|Mac)\b")
_MKL_BRANCH = re.compile(r"MKL_VERBOSE .*\bCNR:(\S+)")
_ONEDNN = re.compile(r"onednn_verbose,.*cpu,isa:(.*)")


@dataclass(frozen=True)
class Libraries:
    """What the libraries of one process say.

    `runs` maps a library to the instruction set that it uses, `results` a library to a digest of
    numbers it computed from fixed input (equal digests: the same arithmetic as far as these go),
    `numpy_dispatch` are the features beyond NumPy's baseline that it found and uses, `threads`
    maps a library to its number of threads.
    """

    runs: dict[str, str]
    results: dict[str, str]
    numpy_dispatch: list[str]
    threads: dict[str, int]


def probe(environment: Mapping[str, str] | None = None) -> Libraries:
    """What libraries run in a process with these variables, by default this process's own.

    Raises InputError, with the last line of what the process said, when it fails.
    """
    given = os.environ if environment is None else environment
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ir_replications.reports.attestation.libraries"],
        env={**given, **VERBOSE},
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not lines:
        said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise InputError(f"the numerical libraries cannot be asked what they run: {said}")
    found = json.loads(lines[-1].removeprefix(MARK))
    if "torch" in found["runs"]:
        found["runs"] |= _announced(done.stdout)
    return Libraries(**found)


def _announced(output: str) -> dict[str, str]:
    """What MKL and oneDNN, which have no function for it, wrote about themselves."""
    found = {}
    if instructions := _MKL.search(output):
        branch = _MKL_BRANCH.search(output)  # "OFF", or the code branch that MKL_CBWR chose
        chosen = f", branch {branch[1]}" if branch and branch[1] != "OFF" else ""
        found["MKL"] = f"{instructions[1]}{chosen}"
    if onednn := _ONEDNN.search(output):
        found["oneDNN"] = onednn[1].strip()
    return found


def _ask() -> Libraries:
    """What the libraries of this process say; each computes first, since some decide only then."""
    import numpy as np
    import scipy.linalg
    from threadpoolctl import threadpool_info

    core = import_module("numpy._core._multiarray_umath")  # np.show_config() asks it, too
    numbers = ((np.arange(256 * 256) * 7919 % 1009) / 1009 - 0.5).reshape(256, 256)
    dispatch = [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]
    results = {
        "NumPy": _digest(np.exp(numbers), np.sin(numbers), numbers.sum(0)),
        "OpenBLAS": _digest(numbers @ numbers, scipy.linalg.lu_factor(numbers)[0]),
        "C library": _digest([f(x) for f in (math.exp, math.sin, math.tanh) for x in numbers.flat]),
    }
    runs = {"NumPy": " ".join(dispatch) or "baseline only", "numba": _numba()}
    if torch_runs := _torch(numbers.astype(np.float32), results):
        runs["torch"] = torch_runs
    pools = threadpool_info()
    blas = sorted({pool["architecture"] for pool in pools if pool.get("architecture")})
    if blas:
        runs["OpenBLAS"] = ", ".join(blas)
    counts = {pool["internal_api"]: pool["num_threads"] for pool in pools}
    if torch_runs:
        counts["torch"] = threads()["torch"]
    return Libraries(runs, results, dispatch, counts)


def _torch(numbers: object, results: dict[str, str]) -> str | None:
    """torch's instruction set, None without torch; adds digests of its results to `results`."""
    try:
        import torch
    except ImportError:
        return None
    matrix = torch.as_tensor(numbers)
    results["torch"] = _digest(matrix.exp().numpy(), matrix.softmax(-1).numpy())
    results["MKL"] = _digest((matrix @ matrix).numpy())
    image, kernel = matrix[None, None].repeat(1, 8, 1, 1), matrix[:72, :9].reshape(8, 9, 3, 3)
    with torch.inference_mode():
        folded = torch.nn.functional.conv2d(image, kernel[:, :8].contiguous())
    results["oneDNN"] = _digest(folded.numpy())
    return torch.backends.cpu.get_cpu_capability()


def _numba() -> str:
    """The processor that numba compiles for, and the widest registers of a loop it compiled.

    The name alone says nothing: features of the host are added to it unless they are given.
    """
    import llvmlite.binding as llvm
    import numba
    import numpy as np

    @numba.njit
    def add(a: np.ndarray, b: np.ndarray) -> None:
        for i in range(a.size):
            a[i] += b[i]

    add(np.ones(8, np.float32), np.ones(8, np.float32))
    code = "".join(add.inspect_asm().values())
    width = {"zmm": 512, "ymm": 256, "xmm": 128}
    bits = max((n for name, n in width.items() if re.search(rf"%{name}\d", code)), default=0)
    name = import_module("numba.core.config").CPU_NAME or llvm.get_host_cpu_name()
    return f"{name}, {bits} bits" if bits else name


def _digest(*arrays: object) -> str:
    import numpy as np

    content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(content).hexdigest()[:8]


if __name__ == "__main__":
    print(f"\n{MARK}{json.dumps(vars(_ask()))}")
