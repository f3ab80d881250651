"""Reading pages in tests: tags, ids, links and text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from ir_replications.reports.pages.formatting import MINUS

LOADING = {"img", "iframe", "object", "embed", "audio", "video", "source", "base"}
VOID = {"meta", "br", "hr", "col", "wbr", "input", "link", *LOADING}


class Page(HTMLParser):
    """Tags, ids, links and text of a page; checks that tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "data"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += f"{data} "


def words(tmp_path: Path, page: str = "toy.html") -> str:
    """The text of a page, blanks collapsed, with plain hyphens for minus signs."""
    text = Page((tmp_path / "out" / page).read_text()).text
    return re.sub(r"\s+", " ", text).replace(MINUS, "-")


def html_files(out: Path) -> list[Path]:
    return sorted(out.rglob("*.html"))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
