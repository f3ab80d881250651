"""The stage of a rehearsal: a loopback hub that has everything, caches and stores of its own.

Commands run as a user runs them, in processes of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ir_replications.reports.records.provenance import ROOT
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.models.references import list_models
from ir_replications.shared.rehearsal import KEY, VARIABLE
from ir_replications.shared.sealed_folder import ensure_sealed
from tests.hub import LoopbackHub


class Stage:
    """The environment of a paper's commands; `folder` holds all that they read and write."""

    def __init__(self, folder: Path, hub: LoopbackHub) -> None:
        self.folder, self.hub = folder, hub
        self.cache, self.store, self.pages = folder / "cache", folder / "store", folder / "pages"
        for name in ("home", "cache", "root"):
            (folder / name).mkdir(parents=True)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_"))},
            **hub.environment(),
            "HF_HOME": str(folder / "home" / "hf"),
            "IR_REPLICATIONS_CACHE": str(self.cache),
            "IR_REPLICATIONS_DATA": str(folder / "root"),
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONPATH": str(ROOT),
            VARIABLE: "1",
        }

    @property
    def root(self) -> Path:
        """The data root, empty but for what a test puts there."""
        return self.folder / "root"

    def stand_in(self, ref: str, build: Callable[[Path], Any]) -> None:
        """Put a model where the cache has an embedded one, which hours of CPU would be spent on."""
        (entry,) = (model for model in list_models() if model.ref == ref)
        name = f"{ref.removeprefix('embedded:')}-{entry.weights_sha256[:12]}"
        ensure_sealed(self.cache / "models" / name, build, ref)

    def python(self, *arguments: str, code: int = 0) -> str:
        """Run `python -m` with these arguments; its output, once it ended with `code`."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def replicate(self, *arguments: str, code: int = 0) -> str:
        """`replicate run` with these arguments, into the stage's store."""
        store = ("--store", str(self.store))
        return self.python("ir_replications", "run", *arguments, *store, code=code)

    def records(self, paper: str) -> list[Record]:
        """The records made, digests and run files verified; every one says that it is rehearsed."""
        store = Store(self.store)
        records = store.records(paper)
        for record in records:
            store.check_run(record)
            assert record.provenance[KEY] == self.environment[VARIABLE]
        return records

    def page(self, paper: str) -> str:
        """The paper's page, rendered from the stage's store alone."""
        out = ("--out", str(self.pages))
        self.python("ir_replications", "report", "--store", str(self.store), *out)
        return (self.pages / f"{paper}.html").read_text()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the files below a folder; yields the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of a training folder's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
