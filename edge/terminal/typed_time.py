"""A time as it is typed at a terminal. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from edge.station.refusals import Refusal
from edge.terminal.words import say
from protocols.values import MICROSECONDS

_CLOCK = re.compile(r"(\d{1,2})[:.：](\d{2})|(\d{2})(\d{2})")
_DATE = re.compile(r"(\d{1,2})[-/.](\d{1,2})")


def typed_time(text: str, now: int) -> int:
    """The time (µs UTC) that ``text`` names by the clock of this terminal; ``now`` likewise. Raises Refusal.

    ``14:30`` (``14.30`` and ``1430``, too: a keypad has no colon) and ``Fri 14:30`` are the next such time;
    ``11-27 14:30``, month first, is of the year that brings it nearest.
    """
    here = datetime.fromtimestamp(now / MICROSECONDS).astimezone().replace(tzinfo=None)
    try:
        # as the wall clock reckons, which on two days of the year skips an hour or repeats one
        *day, clock = text.split()
        found = _on(_day(day, here), clock)
        if not day and found <= here:
            found += timedelta(days=1)
        elif day and not _DATE.fullmatch(day[0]) and found <= here:
            found += timedelta(days=7)
    except ValueError:
        raise Refusal("not-a-time", value=text) from None
    return round(found.astimezone().timestamp()) * MICROSECONDS


def _on(day: datetime, clock: str) -> datetime:
    read = _CLOCK.fullmatch(clock)
    if read is None:
        raise ValueError(clock)
    hour, minute = (int(read[1]), int(read[2])) if read[1] else (int(read[3]), int(read[4]))
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)


def _day(words: list[str], today: datetime) -> datetime:
    if not words:
        return today
    (word,) = words
    for language in ("en", "zh"):
        names = say(language, "weekdays").casefold().split()
        if word.casefold() in names:
            return today + timedelta(days=(names.index(word.casefold()) - today.weekday()) % 7)
    date = _DATE.fullmatch(word)
    if date is None:
        raise ValueError(word)
    month, number = int(date[1]), int(date[2])
    # of three years: on the 2nd of January, 12-30 is of last year; not each of them has a 29th of February
    found = []
    for year in (today.year - 1, today.year, today.year + 1):
        try:
            found.append(today.replace(year=year, month=month, day=number))
        except ValueError:
            continue
    return min(found, key=lambda day: abs(day - today))  # ValueError where no year has it
