"""Times, ages and codes as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from cloud.dispatching.questions.durations import words
from protocols.values import MICROSECONDS


def ago(seconds: float) -> str:
    """An age in words short enough for a tile: ``0.4 s``, ``12 s``, ``3 min``, ``2 h``, ``4 d``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def lateness(seconds: float) -> str:
    """How late something is: whole seconds, since a plan knows no more."""
    return f"{seconds:.0f} s" if seconds < 10 else ago(seconds)


def span(seconds: float) -> str:
    """How long something is, or by how much it moves: two units, and no seconds where nobody minds them."""
    whole = round(abs(seconds))
    return words(whole if whole < 600 else 60 * round(whole / 60))


def clock_words(ts: int | None, now: int, zone: ZoneInfo) -> str:
    """A time as people read it: with the day when it is not today."""
    if not ts:
        return "–"
    moment = datetime.fromtimestamp(ts / MICROSECONDS, zone)
    today = datetime.fromtimestamp(now / MICROSECONDS, zone).date()
    form = "%H:%M:%S" if moment.date() == today else "%a %d %b %H:%M"
    return moment.strftime(form)


def english(table: Mapping[str, str], code: str) -> str:
    """The English words of a code of the site; the code itself where the site does not know it."""
    return table.get(code, code).split("|")[0].strip()
