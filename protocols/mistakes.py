"""Mistakes in documents that people write: each with its place, and with what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Location = tuple[int | str, ...]
"""Where in the data: keys and indices from the top."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a document: where (line and column from 1), what, and what would be right."""

    file: str
    line: int
    col: int
    path: str
    message: str

    @property
    def place(self) -> str:
        """``file:line:col``, as editors and terminals open it; the name alone for what stands in no file."""
        return f"{self.file}:{self.line}:{self.col}" if self.line else self.file

    @property
    def text(self) -> str:
        """The message with the path of the key it speaks of."""
        return f"{self.path}: {self.message}" if self.path else self.message

    def __str__(self) -> str:
        return f"{self.place}  {self.text}"


class DocumentError(ValueError):
    """A document that cannot be used as it is. ``problems`` holds every mistake, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        width = max((len(p.place) for p in self.problems), default=0)
        super().__init__("\n".join(f"{p.place:<{width}}  {p.text}" for p in self.problems))


class Finding(NamedTuple):
    """One mistake found by a model's own validator, relative to the model it was found in."""

    location: Location
    message: str


class Findings(ValueError):
    """Raise this in a pydantic validator to report several mistakes, each at its own place."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = list(findings)
        super().__init__("; ".join(f.message for f in self.findings))


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed word that ``word`` was most likely meant to be, if one is near enough."""
    best = max(allowed, key=lambda candidate: _likeness(word, candidate), default=None)
    return best if best is not None and _likeness(word, best) >= 0.6 else None


def _likeness(word: str, candidate: str) -> float:
    """Like difflib's ratio, but a common beginning and letters that only changed places count for more."""
    word, candidate = word.casefold(), candidate.casefold()
    pairs = list(zip(word, candidate, strict=False))
    ratio = difflib.SequenceMatcher(None, word, candidate, autojunk=False).ratio()
    beginning = next((n for n, pair in enumerate(pairs) if pair[0] != pair[1]), len(pairs))
    swapped = 0.0
    if len(word) > 2 and sorted(word) == sorted(candidate):
        # CBAD is CDAB with two letters exchanged rather than BADC turned round.
        swapped = 0.25 + 0.6 * sum(a == b for a, b in pairs) / len(pairs)
    return ratio + 0.05 * min(beginning, 4) + swapped


def not_one_of(value: object, allowed: Iterable[str]) -> str:
    """``"CBAD" is not one of ABCD, CDAB — did you mean CDAB?``"""
    names = list(allowed)
    hint = nearest(str(value), names)
    shown = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
    return f"{quoted(value)} is not one of {shown}" + (f" — did you mean {hint}?" if hint else "")


def quoted(value: object) -> str:
    """A value as a message shows it: text in quotes, long text cut."""
    text = f'"{value}"' if isinstance(value, str) else _yaml_word(value)
    return text if len(text) <= 60 else text[:57] + "…" + ('"' if isinstance(value, str) else "")


def _yaml_word(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return str(value)
