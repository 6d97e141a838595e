"""When a maintenance order may begin: from when its parts are there until it is still done before its bound.

Pure. The station asks before it accepts a move, with no network; the service asks again, as the bound may
have moved meanwhile. One rule for both, or each would tell the person something else.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from protocols.values import MICROSECONDS

MINUTE = 60 * MICROSECONDS
"""µs. People say minutes: a begin within the minute of a limit is at the limit."""


class Outside(StrEnum):
    """Why an order cannot begin at a time."""

    PAST = "past"
    PARTS = "parts"
    """Its parts are not there before."""
    BOUND = "bound"
    """It would end after its bound."""


class Declined(msgspec.Struct, frozen=True):
    """A begin that is outside the window: ``limit`` is the first or last begin that is within it, ``at`` when
    somebody asked. µs UTC.
    """

    start: int
    why: Outside
    limit: int
    at: int


def latest(bound: int, seconds: int) -> int:
    """The last begin (µs UTC) of work of so many seconds that is done before ``bound``."""
    return bound - seconds * MICROSECONDS


def check(start: int, *, now: int, earliest: int, bound: int, seconds: int) -> Declined | None:
    """What stands against a begin at ``start``; None where nothing does. Times in µs UTC; a ``bound`` of 0 is
    none.
    """
    last = latest(bound, seconds)
    if start + MINUTE <= now:
        return Declined(start, Outside.PAST, now, now)
    if start + MINUTE <= earliest:
        return Declined(start, Outside.PARTS, earliest, now)
    if bound and start >= last + MINUTE:
        return Declined(start, Outside.BOUND, last, now)
    return None
