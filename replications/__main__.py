"""The command line: `replicate`, or `python -m ir_replications`.

Nothing slow is imported here: a signal must find its handler before that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

# Threads of OpenMP spin while they wait; one thread is faster than two on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; bad input is one line on stderr and exit status 2.

    Without arguments it takes those of the process, and ends the process.
    """
    if arguments is None:
        from ir_replications.engine.start import start

        start("ir_replications.engine.commands.group:cli", "replicate")
    from ir_replications.engine.commands.group import cli
    from ir_replications.engine.door import call
    from ir_replications.shared.entry import answered

    return answered(lambda: call(cli, arguments, "replicate"))


if __name__ == "__main__":
    main()
