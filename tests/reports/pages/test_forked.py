"""A function over items in forks: the same results, and errors that come through."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os
from ir_replications.reports.pages.forked import forked
from ir_replications.shared.errors import InputError

parent = os.getpid()
held = {"big": object()}  # cannot be pickled: a fork need not

def work(n):
    if n == 9:
        raise InputError(f"{n}: too much")
    return n * n, os.getpid() != parent, len(held)

for processes in (1, 2):
    print(forked(work, [3, 1, 2], processes))
try:
    forked(work, [1, 9], 2)
except InputError as error:
    print(error)
"""


def test_forks_give_what_one_process_gives() -> None:
    # In a process of its own: that of pytest has threads, and a fork would inherit their locks.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    alone, side, error = done.stdout.splitlines()
    assert alone == "[(9, False, 1), (1, False, 1), (4, False, 1)]"
    assert side == alone.replace("False", "True")
    assert error == "9: too much"
