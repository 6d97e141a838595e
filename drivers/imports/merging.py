"""A list that comes again: what changes in the profile, and what stays because somebody edited it. Pure.

Three versions of every tag are compared key by key: what the last import gave (``base``), what the
profile says now (``mine``) and what the list says now (``theirs``). Whoever changed something against
the base wins; where both did, the person does, and it is said. Without a record of the last import
everything in the profile counts as written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

Tags = Mapping[str, Mapping[str, Any]]


class Kind(StrEnum):
    """What an import does with a tag, or a key of one."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    KEPT = "kept"
    """It was edited by hand, and the list says something else."""


class Change(NamedTuple):
    """One difference. ``key`` is empty where it is about the whole tag; ``old`` and ``new`` may be None."""

    kind: Kind
    tag: str
    key: str = ""
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        sign = {Kind.ADDED: "+", Kind.CHANGED: "~", Kind.REMOVED: "-", Kind.KEPT: "="}[self.kind]
        if self.kind is Kind.KEPT:
            what = f"{self.key} {_said(self.old)}" if self.key else "the tag"
            return f"{sign} {self.tag}: {what} is kept as edited by hand, the list says {_said(self.new)}"
        if not self.key:
            return f"{sign} {self.tag}"
        return f"{sign} {self.tag}: {self.key} {_said(self.old)} → {_said(self.new)}"


def _said(value: Any) -> str:
    return "nothing" if value is None else str(value)


def merge(mine: Tags, base: Tags | None, theirs: Tags) -> list[Change]:
    """What to do with a profile's tags so that it follows the list and loses nothing written by hand.

    ``KEPT`` changes nothing and is there to be shown.
    """
    return [*_there(mine, base or {}, theirs), *_gone(mine, base or {}, theirs)]


def _there(mine: Tags, base: Tags, theirs: Tags) -> Iterator[Change]:
    for name, new in theirs.items():
        if name in mine:
            yield from _keys(name, mine[name], base.get(name), new)
        elif name not in base:
            yield Change(Kind.ADDED, name, new=new)
        elif new != base[name]:
            # Deleted by hand; said only when the list has something new to say about it.
            yield Change(Kind.KEPT, name, new="that it is there, and changed")


def _gone(mine: Tags, base: Tags, theirs: Tags) -> Iterator[Change]:
    for name, old in base.items():
        if name in mine and name not in theirs:
            edited = dict(mine[name]) != dict(old)
            kind = Kind.KEPT if edited else Kind.REMOVED
            yield Change(kind, name, old=dict(mine[name]), new="nothing of it" if edited else None)


def _keys(
    name: str, mine: Mapping[str, Any], base: Mapping[str, Any] | None, theirs: Mapping[str, Any]
) -> Iterator[Change]:
    for key in dict.fromkeys([*theirs, *mine]):
        now, new = mine.get(key), theirs.get(key)
        was = None if base is None else base.get(key)
        if now == new:
            continue
        if base is not None and now == was:
            yield Change(Kind.CHANGED, name, key, now, new)
        elif new != was:
            # A key that the list does not have is the person's own business.
            if base is None and new is None:
                continue
            yield Change(Kind.KEPT, name, key, now, new)
