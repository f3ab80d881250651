"""Readers tried in a process of its own, since damage may end it.

python -m tests.campaign.apart KEPT reads lines [reader, first, last, seed] and answers each with
the result as JSON; the process that asks starts another one where it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from threading import Timer

from tests.campaign.campaign import SECONDS, Reader, Result, try_reader

ROOT = Path(__file__).parents[2]


class Apart:
    """The other process; it starts with the first reader and ends with `close`."""

    def __init__(self, kept: Path) -> None:
        self.kept = kept
        self._process: subprocess.Popen[str] | None = None

    def try_reader(self, reader: Reader, count: int, seed: int) -> Result:
        """As campaign.try_reader; an input that ends the process is a fault."""
        result, first = Result(), 0
        while first < count:
            answer = self._ask([reader.name, first, count, seed], SECONDS * (20 + count - first))
            if answer is not None:
                read, refused, faults, counted = answer
                result.read, result.refused = result.read + read, result.refused + refused
                result.faults |= faults
                result.counted += Counter(counted)
                return result
            last = max(int(p.name.rpartition("-")[2]) for p in self.kept.glob(f"{reader.name}-*"))
            sign = "ends the interpreter, or hangs in compiled code"
            result.counted[sign] += 1
            result.faults[sign] = f"{self.kept / f'{reader.name}-{last}'}: {sign}"
            result.lost += last - first  # their results went with the process
            first = last + 1
        return result

    def _ask(self, job: list[str | int], seconds: float) -> list | None:
        """The answer; None where the process ended or had to be ended."""
        if self._process is None:
            command = [sys.executable, "-m", "tests.campaign.apart", str(self.kept)]
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        alarm = Timer(seconds, self._process.kill)
        alarm.start()
        answer = self._process.stdout.readline()
        alarm.cancel()
        if answer:
            return json.loads(answer)
        assert self._process.wait() < 0, "the other process failed; its error is on stderr"
        self._process = None
        return None

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()


def main() -> None:
    """Answer the jobs on stdin."""
    from tests.campaign.readers import READERS

    readers = {reader.name: reader for reader in READERS}
    kept, answers = Path(sys.argv[1]), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # compiled libraries print as well: nothing may come between the answers
    for line in sys.stdin:
        name, first, last, seed = json.loads(line)
        with tempfile.TemporaryDirectory() as scratch:
            found = try_reader(readers[name], range(first, last), seed, Path(scratch), kept)
        result = [found.read, found.refused, found.faults, found.counted]
        print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    main()
