"""When a site works: shifts of local time turned into spans of UTC, days of 23 and 25 hours included."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from protocols.site import Calendar, Shift
from protocols.values import MICROSECONDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Span(NamedTuple):
    """From ``start`` up to, not including, ``end``; µs UTC."""

    start: int
    end: int


def zone(calendar: Calendar) -> ZoneInfo:
    """The calendar's time zone; raises ValueError naming it when this machine does not know it."""
    try:
        return ZoneInfo(calendar.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f'time zone "{calendar.timezone}" is not known here: write an IANA name, e.g. Europe/Berlin'
        ) from None


def working(calendar: Calendar, start: int, end: int) -> list[Span]:
    """The spans within [start, end) µs UTC in which the site works, ascending, touching ones joined.

    No shifts means round the clock. A local time that a clock change skips counts as the moment of the
    change; one that comes twice, as the first (PEP 495, fold 0).
    """
    if end <= start:
        return []
    if not calendar.shifts:
        return [Span(start, end)]
    joined: list[Span] = []
    for span in sorted(_shift_spans(calendar, start, end)):
        clipped = Span(max(span.start, start), min(span.end, end))
        if clipped.end <= clipped.start:
            continue
        if joined and clipped.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, clipped.end))
        else:
            joined.append(clipped)
    return joined


def resting(calendar: Calendar, start: int, end: int) -> list[Span]:
    """The spans within [start, end) in which the site does not work."""
    gaps: list[Span] = []
    at = start
    for span in working(calendar, start, end):
        if span.start > at:
            gaps.append(Span(at, span.start))
        at = span.end
    if at < end:
        gaps.append(Span(at, end))
    return gaps


def longest_stretch(calendar: Calendar) -> int | None:
    """Seconds of the longest uninterrupted work of an ordinary fortnight; None when there is no end to it."""
    fortnight = 14 * 86_400 * MICROSECONDS
    spans = working(calendar, 0, 2 * fortnight)
    longest = max((span.end - span.start for span in spans), default=0)
    return None if longest >= fortnight else longest // MICROSECONDS


def _shift_spans(calendar: Calendar, start: int, end: int) -> Iterator[Span]:
    place = zone(calendar)
    day = (_EPOCH + start * _MICROSECOND).astimezone(place).date() - timedelta(days=2)
    last = (_EPOCH + end * _MICROSECOND).astimezone(place).date() + timedelta(days=1)
    while day <= last:
        for shift in calendar.shifts:
            if day.isoweekday() in shift.days:
                yield _span(shift, day, place)
        day += timedelta(days=1)


def _span(shift: Shift, day: date, place: ZoneInfo) -> Span:
    begins, ends = time.fromisoformat(shift.start), time.fromisoformat(shift.end)
    last_day = day if ends > begins else day + timedelta(days=1)
    return Span(_utc(datetime.combine(day, begins), place), _utc(datetime.combine(last_day, ends), place))


def _utc(local: datetime, place: ZoneInfo) -> int:
    """µs UTC of a local time, by way of UTC so that differences are real elapsed time."""
    return (local.replace(tzinfo=place).astimezone(UTC) - _EPOCH) // _MICROSECOND
