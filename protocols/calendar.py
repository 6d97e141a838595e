"""When a site works: shifts of local time turned into spans of UTC, days of 23 and 25 hours included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

    No shifts means round the clock, but for holidays. Breaks are not worked, even where two shifts overlap
    and only one of them pauses: who covers for whom is not in the file. A local time that a clock change
    skips counts as the moment of the change; one that comes twice, as the first (PEP 495, fold 0).
    """
    if end <= start:
        return []
    worked = [span for _, span in shifts(calendar, start, end)] if calendar.shifts else [Span(start, end)]
    off = list(_breaks(calendar, start, end))
    if not calendar.shifts:
        off += holidays(calendar, start, end).values()
    return without(_joined(worked, start, end), off)


def _joined(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans):
        clipped = Span(max(span.start, start), min(span.end, end))
        if clipped.end <= clipped.start:
            continue
        if joined and clipped.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, clipped.end))
        else:
            joined.append(clipped)
    return joined


def without(spans: Iterable[Span], off: Iterable[Span]) -> list[Span]:
    """Ascending ``spans`` that do not overlap, less everything in ``off``."""
    gone = sorted(off)
    left: list[Span] = []
    first = 0
    for span in spans:
        while first < len(gone) and gone[first].end <= span.start:
            first += 1
        at = span.start
        for index in range(first, len(gone)):
            if gone[index].start >= span.end:
                break
            if gone[index].start > at:
                left.append(Span(at, gone[index].start))
            at = max(at, gone[index].end)
        if at < span.end:
            left.append(Span(at, span.end))
    return left


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


def shifts(calendar: Calendar, start: int, end: int) -> list[tuple[Shift, Span]]:
    """The shifts that touch [start, end), each from its start to its end, breaks included.

    A shift belongs to the day on which it begins: none begins on a holiday.
    """
    place = zone(calendar)
    found = [
        (shift, _span(shift.start, shift.end, day, place))
        for day in _days(start, end, place)
        if day.isoformat() not in calendar.holidays
        for shift in calendar.shifts
        if day.isoweekday() in shift.days
    ]
    return [(shift, span) for shift, span in found if span.start < end and start < span.end]


def holidays(calendar: Calendar, start: int, end: int) -> dict[str, Span]:
    """The holidays that touch [start, end), from midnight to midnight, by their day."""
    place = zone(calendar)
    return {
        day.isoformat(): _span("00:00", "00:00", day, place)
        for day in _days(start, end, place)
        if day.isoformat() in calendar.holidays
    }


def _breaks(calendar: Calendar, start: int, end: int) -> Iterator[Span]:
    place = zone(calendar)
    for shift, span in shifts(calendar, start, end) if any(s.breaks for s in calendar.shifts) else ():
        begins = (_EPOCH + span.start * _MICROSECOND).astimezone(place).date()
        for pause in shift.breaks:
            day = begins if pause.start >= shift.start else begins + timedelta(days=1)
            yield _span(pause.start, pause.end, day, place)


def _days(start: int, end: int, place: ZoneInfo) -> Iterator[date]:
    day = (_EPOCH + start * _MICROSECOND).astimezone(place).date() - timedelta(days=2)
    last = (_EPOCH + end * _MICROSECOND).astimezone(place).date() + timedelta(days=1)
    while day <= last:
        yield day
        day += timedelta(days=1)


def _span(start: str, end: str, day: date, place: ZoneInfo) -> Span:
    begins, ends = time.fromisoformat(start), time.fromisoformat(end)
    last_day = day if ends > begins else day + timedelta(days=1)
    return Span(_utc(datetime.combine(day, begins), place), _utc(datetime.combine(last_day, ends), place))


def _utc(local: datetime, place: ZoneInfo) -> int:
    """µs UTC of a local time, by way of UTC so that differences are real elapsed time."""
    return (local.replace(tzinfo=place).astimezone(UTC) - _EPOCH) // _MICROSECOND
