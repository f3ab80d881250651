"""YAML as settings need it: plain mappings, lists, words and numbers in digits, nothing clever.

YAML 1.1 reads 1:30 as 90, 010 as 8 and 1_0 as 10, lets a key come twice, and builds a tree of any
size from a few aliases: none of that can be meant in a file of settings.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import finite_number, whole_number

LONGEST = 65_536  # characters; ours have two thousand
DEEPEST = 8  # mappings and lists inside one another; ours have two
_TAG = "tag:yaml.org,2002:"


class Settings(dict[str, Any]):
    """A mapping that knows the line of each of its keys."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without anchors, tags, dates and numbers that are not digits."""

    def __init__(self, text: str, where: str) -> None:
        self.where, self.depth = where, 0
        super().__init__(text)

    def refuse(self, mark: Any, why: str) -> NoReturn:
        raise InputError(f"{self.where}:{mark.line + 1}: {why}")

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self.refuse(event.start_mark, "no anchors and aliases (&, *) here; write it out")
        if getattr(event, "tag", None):
            self.refuse(event.start_mark, f"no tags here; remove {event.tag!r:.40}")
        if self.depth >= DEEPEST:
            self.refuse(event.start_mark, "nested too deeply; correct that line")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def mapping(self, node: yaml.MappingNode) -> Settings:
        found = Settings()
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                self.refuse(mark, f"{key!r:.40} is no name of a setting; expected a word")
            if key in found:
                first = found.lines[key]
                self.refuse(mark, f"{key!r:.40} is given twice, first in line {first}; keep one")
            found[key] = self.construct_object(value_node, deep=True)
            found.lines[key] = mark.line + 1
        return found

    def whole(self, node: yaml.ScalarNode) -> int:
        number = whole_number(node.value)
        if number is None:
            self.refuse(node.start_mark, "a number of more than 18 digits")
        return number

    def finite(self, node: yaml.ScalarNode) -> float:
        number = finite_number(node.value)
        if number is None:
            self.refuse(node.start_mark, f"{node.value!r:.40} is too large a number")
        return number


_OTHERS = {f"{_TAG}{name}" for name in ("int", "float", "timestamp", "merge", "value")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag not in _OTHERS]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_FIRST = list("+-.0123456789")
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(r"[+-]?(0|[1-9][0-9]*)\Z"), _FIRST)
_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[+-]?([0-9]+[.][0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\Z"), _FIRST
)
_Loader.add_constructor(f"{_TAG}map", _Loader.mapping)
_Loader.add_constructor(f"{_TAG}int", _Loader.whole)
_Loader.add_constructor(f"{_TAG}float", _Loader.finite)


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text; a mapping is `Settings`, at any depth.

    A number is what decimal digits write; 1:30, 0x1F, 010, 1_0, .inf and 1e3 (no point) are texts.
    Raises InputError, starting with `where` and the line, for what is no YAML, a key given twice
    or that is no word, anchors, tags, texts too long or too deep, and numbers too large.
    """
    if len(text) > LONGEST:
        raise InputError(f"{where}: {len(text):,} characters; expected a file of settings")
    try:
        loader = _Loader(text, where)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{where}{line}: not valid YAML; correct that line") from error
