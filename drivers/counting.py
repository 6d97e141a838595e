"""A part counter that wraps, is reset, set, glitches or was away: how many parts were made. Pure: no clock.

A machine's counter is raw. What is needed is a total that never falls and never leaps: a part too few is
put right by hand, thousands too many go into bookings. So what could be a count or a setting counts nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from drivers.profile.profile import Tag
from drivers.scaling import FLOATS, whole_range

SLACK = 10
"""Parts that may come between two readings however short the time is: readings come in bunches."""

BATCH = 1000
"""Parts that a counter may go up by at once: a sheet whose parts are counted when it is done."""


class Rule(NamedTuple):
    """How a counter behaves: ``wraps_at`` is its highest value, ``rate`` the most parts a second."""

    wraps_at: int | None = None
    resets: bool = True
    rate: float = 20.0


class Count(msgspec.Struct, frozen=True):
    """A counter as it was read: its ``raw`` value and the ``total`` of parts, which only grows.

    After a fall, ``fell_from`` and ``fell_total`` hold what was before it, until the next change shows that
    it was meant. ``at`` is when it was last read (µs UTC), for whoever keeps it over a restart.
    """

    raw: int
    total: int
    fell_from: int | None = None
    fell_total: int = 0
    at: int = 0


def rule_of(tag: Tag) -> Rule:
    """How the counter of a tag behaves; without ``counter`` in the profile it wraps where its type ends."""
    counter = tag.counter
    if counter is None:
        return Rule(whole_range(tag.type)[1] if tag.type not in FLOATS and not tag.scaled else None)
    return Rule(tag.wraps_at, counter.reset, counter.rate)


def count(before: Count | None, raw: int, seconds: float, rule: Rule) -> Count:
    """The count after a reading, ``seconds`` after the one before it.

    The first reading starts the total where the counter stands. A fall is, in this order: a glitch by one
    (the higher value stands), a wrap, a reset to zero or the few parts made since, or a counter that was set
    to a number. A leap that no machine makes in the time was set as well: both count nothing.
    """
    if before is None:
        return Count(raw, max(0, raw))
    if raw == before.raw:
        return before
    few = SLACK + int(rule.rate * max(0.0, seconds))
    if raw > before.raw:
        return _up(before, raw, few, rule)
    if before.raw - raw == 1 and not (raw == 0 and rule.resets):
        return before
    return _down(before, raw, few, rule)


def _up(before: Count, raw: int, few: int, rule: Rule) -> Count:
    step = raw - before.raw
    back = before.fell_from is not None and raw >= before.fell_from and step > 1
    if back and raw - (before.fell_from or 0) <= few:
        # It stands where it stood before it fell: the fall was a glitch, and so is what was counted since.
        return Count(raw, max(before.total, before.fell_total + raw - (before.fell_from or 0)))
    return Count(raw, before.total + (step if step <= BATCH + few - SLACK else 0))


def _down(before: Count, raw: int, few: int, rule: Rule) -> Count:
    made = 0
    wrapped = None if rule.wraps_at is None else rule.wraps_at - before.raw + raw + 1
    if wrapped is not None and 0 < wrapped <= (few if rule.resets else few + BATCH):
        return Count(raw, before.total + wrapped)
    if rule.resets and 0 <= raw <= few:
        made = raw
    return Count(raw, before.total + made, before.raw, before.total)
