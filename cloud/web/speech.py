"""The page's languages. Its English words are the keys; :mod:`cloud.web.chinese` has the Chinese ones.

What comes from outside stays as it is: texts of machines, notices of edges, summaries of cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cloud.web.chinese import CHINESE
from protocols.site import Workcell

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Speech:
    """One language: call it with an English phrase and its values."""

    language: Language = "en"

    def __call__(self, phrase: str, /, **values: object) -> str:
        """The phrase in this language; English where there is no other word for it."""
        words = CHINESE.get(phrase, phrase) if self.language == "zh" else phrase
        return words.format(**values) if values else words

    def code(self, table: Mapping[str, str], code: str) -> str:
        """The words of a code of the site (``English | 中文``); the code itself where it has none."""
        english, _, chinese = table.get(code, code).partition("|")
        return (chinese if self.language == "zh" and chinese.strip() else english).strip()

    def title(self, cell: Workcell) -> str:
        """A workcell as people call it."""
        return self.either(cell.title, cell.title_zh)

    def either(self, english: str, chinese: str) -> str:
        """A title in this language; English where it has no other."""
        return chinese if self.language == "zh" and chinese else english


ENGLISH, CHINA = Speech("en"), Speech("zh")
SPEECHES: Mapping[str, Speech] = {"en": ENGLISH, "zh": CHINA}


def preferred(chosen: str | None, accepted: str) -> Speech:
    """The language somebody chose, else the first that the browser accepts (RFC 9110, 12.5.4) and we have."""
    if chosen is not None and chosen in SPEECHES:
        return SPEECHES[chosen]
    wishes = []
    for place, part in enumerate(accepted.split(",")[:20]):
        name, _, more = part.strip().partition(";")
        try:
            weight = float(more.strip().removeprefix("q=") or 1.0)
        except ValueError:
            weight = 0.0
        wishes.append((-weight, place, name.strip().lower()[:2]))
    known = (SPEECHES[name] for weight, _, name in sorted(wishes) if name in SPEECHES and weight)
    return next(known, ENGLISH)
