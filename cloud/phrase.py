"""What people are told as a phrase with its values: English by itself, any other language by who shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from protocols.documents import nearest, quoted

NAMED = 30
"""Allowed values that a phrase names."""


class Say(Protocol):
    """A language: an English phrase and its values in, words out."""

    def __call__(self, phrase: str, /, **values: object) -> str: ...


class Phrase(Struct, frozen=True):
    """``text`` is English with ``{name}`` for each value, and the key of every other language.

    A value may be a phrase itself.
    """

    text: str
    values: Mapping[str, str | Phrase] = {}

    def __str__(self) -> str:
        return self.told(_english)

    def told(self, say: Say) -> str:
        """The phrase and those within it in the language of ``say``."""
        values = {n: v.told(say) if isinstance(v, Phrase) else v for n, v in self.values.items()}
        return say(self.text, **values)


def phrase(text: str, /, **values: object) -> Phrase:
    """``text`` with its values as text; what is a :class:`Phrase` stays one."""
    return Phrase(text, {name: v if isinstance(v, Phrase) else str(v) for name, v in values.items()})


def joined(phrases: Iterable[Phrase]) -> Phrase:
    """Several, one behind the other."""
    named = {f"part{number}": one for number, one in enumerate(phrases)}
    return Phrase("; ".join(f"{{{name}}}" for name in named), named)


def one_of(value: object, allowed: Iterable[str]) -> Phrase:
    """``"CBAD" is not one of ABCD, CDAB — did you mean CDAB?``"""
    names = list(allowed)
    shown = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
    hint = nearest(str(value), names)
    if hint is None:
        return phrase("{value} is not one of {names}", value=quoted(value), names=shown)
    return phrase(
        "{value} is not one of {names} — did you mean {hint}?", value=quoted(value), names=shown, hint=hint
    )


def _english(text: str, /, **values: object) -> str:
    return text.format(**values) if values else text
