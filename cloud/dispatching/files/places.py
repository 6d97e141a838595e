"""Where a value of a JSON text stands: line and column by path, for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

Path = Sequence[str | int]


def line_and_column(text: str, at: int) -> tuple[int, int]:
    """Line and column, from 1, of a character's position."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def position(text: str, path: Path, *, at_key: bool = False) -> int:
    """Where the value at ``path`` begins in well-formed JSON, or the innermost value that exists.

    With ``at_key`` the last key of the path is pointed at instead of its value.
    """
    at = _skip(text, 0)
    for depth, part in enumerate(path):
        found = _member(text, at, part) if isinstance(part, str) else _item(text, at, part)
        if found is None:
            return at
        key, at = found
        if at_key and depth == len(path) - 1:
            return key
    return at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _member(text: str, at: int, name: str) -> tuple[int, int] | None:
    """Position of key and value of the last member called ``name``: the one that counts."""
    if not text.startswith("{", at):
        return None
    result = None
    at = _skip(text, at + 1)
    while text.startswith('"', at):
        key = at
        found, at = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, at) + 1)
        if found == name:
            result = key, value
        at = _skip(text, _DECODER.raw_decode(text, value)[1])
        at = _skip(text, at + 1)
    return result


def _item(text: str, at: int, index: int) -> tuple[int, int] | None:
    if not text.startswith("[", at):
        return None
    at = _skip(text, at + 1)
    for _ in range(index):
        if text.startswith("]", at):
            return None
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        at = _skip(text, at + 1)
    return None if text.startswith("]", at) else (at, at)
