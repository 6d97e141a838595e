"""Plain data from the nodes of a YAML document, within bounds, and the way from a key to its node.

Only mappings, sequences and scalars of YAML's own tags are built; nothing is ever executed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from protocols.mistakes import DocumentError, Problem, quoted

MAX_VALUES = 200_000
"""The most values a document may hold once its aliases are followed."""

MAX_DEPTH = 40
"""The deepest nesting that is followed."""


_TRUE, _FALSE = {"true", "yes", "on", "y"}, {"false", "no", "off", "n"}
_TAG = "tag:yaml.org,2002:"


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    return int(digits, 0) if re.match(r"[-+]?0[xob]", digits) else int(digits)


def _real(text: str) -> float:
    digits = text.replace("_", "").lower()
    if digits.endswith(".inf"):
        return -math.inf if digits.startswith("-") else math.inf
    return math.nan if digits.endswith(".nan") else float(digits)


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() in _TRUE,
    "int": _integer,
    "float": _real,
    "str": str,
    "timestamp": str,
    "value": str,
    "merge": str,
}


def _scalar(node: ScalarNode) -> Any:
    make = _SCALARS.get(str(node.tag).removeprefix(_TAG))
    if make is None:
        raise KeyError(node.tag)
    return make(node.value)


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and str(key.tag) == _TAG + "merge"


class Builder:
    """Plain data from a node tree, within bounds; collects what is not plain data as problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self._left = MAX_VALUES

    def build(self, node: Node, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0:
            raise DocumentError([self._at(node, f"more than {MAX_VALUES} values after following aliases")])
        if depth > MAX_DEPTH:
            raise DocumentError([self._at(node, f"nested deeper than {MAX_DEPTH} levels")])
        if isinstance(node, MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, SequenceNode):
            return [self.build(item, depth + 1) for item in node.value]
        assert isinstance(node, ScalarNode)  # noqa: S101 - YAML has three kinds of node
        try:
            return _scalar(node)
        except KeyError:
            self.problems.append(self._at(node, f'the tag "{node.tag}" is not allowed, only plain YAML'))
        except ValueError:
            self.problems.append(self._at(node, f"{quoted(node.value)} is not a number"))
        return None

    def _mapping(self, node: MappingNode, depth: int) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        lines: dict[Any, int] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                for source in sources:
                    built = self.build(source, depth + 1)
                    if isinstance(built, dict):
                        merged = built | merged
                    else:
                        self.problems.append(self._at(source, "<< merges mappings only"))
                continue
            if not isinstance(key_node, ScalarNode):
                self.problems.append(self._at(key_node, "a key must be a single word or number"))
                continue
            key = self.build(key_node, depth + 1)
            if key in lines:
                first = f"first in line {lines[key] + 1}"
                self.problems.append(self._at(key_node, f'the key "{key}" is here twice ({first})'))
                continue
            lines[key] = key_node.start_mark.line
            data[key] = self.build(value_node, depth + 1)
        return merged | data

    def _at(self, node: Node, message: str) -> Problem:
        mark = node.start_mark
        return Problem(self.name, mark.line + 1, mark.column + 1, "", message)


def step(node: Node | None, part: int | str) -> tuple[Node, Node] | None:
    """The nodes of a key and its value (of an index: twice the item); None where there is no such part."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and str(_scalar(key)) == str(part):
                return key, value
        for key, value in node.value:
            if _is_merge(key):
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    if (found := step(source, part)) is not None:
                        return found
    elif isinstance(node, SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
        return node.value[part], node.value[part]
    return None
