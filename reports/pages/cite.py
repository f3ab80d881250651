"""How to cite a paper, its replication and the exact records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from importlib import metadata

from ir_replications.reports.claims.types import Paper
from ir_replications.reports.records.record import Record

SUITE = "ir-replications"
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def records_digest(records: Iterable[Record]) -> str:
    """Hex sha256 over the sorted digests: one name for a set of records."""
    return hashlib.sha256("\n".join(sorted(r.digest for r in records)).encode()).hexdigest()


def suite_version() -> str:
    """Version of the installed suite, or "development"."""
    try:
        return metadata.version(SUITE)
    except metadata.PackageNotFoundError:
        return "development"


def paper_bibtex(paper: Paper) -> str:
    """BibTeX entry of the paper itself."""
    fields = {
        "title": f"{{{tex(paper.title)}}}",
        "author": " and ".join(map(tex, paper.authors)),
        "year": str(paper.year or ""),
        "eprint": paper.arxiv,
        "archivePrefix": "arXiv" if paper.arxiv else "",
        "url": paper.url,
    }
    return _entry("misc", paper.id, fields)


def replication_bibtex(paper: Paper, digest: str) -> str:
    """BibTeX entry of this replication, with the digest of the records it rests on."""
    fields = {
        "title": f"{{Replication of {tex(paper.title)}}}",
        "author": "{The authors of ir-replications, see CITATION.cff}",
        "howpublished": f"Software, ir-replications {suite_version()}",
        "note": f"Result records sha256:{digest}",
    }
    return _entry("misc", f"{paper.id}-replication", fields)


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return f"@{kind}{{{key},\n" + "\n".join(lines) + "\n}"


def tex(text: str) -> str:
    """A text with the characters that LaTeX acts on escaped."""
    return re.sub(r"[&%$#_{}\\~^]", lambda match: _TEX.get(match[0], f"\\{match[0]}"), text)
