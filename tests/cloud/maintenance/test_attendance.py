"""Maintenance is done while people are there: weekends, shifts, crews; and what is missing is said."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from cloud.maintenance.attendance import Lack, Shortage, done_by, shortages
from cloud.maintenance.prognosis import HOUR, PlannedLoad, Prognosis
from cloud.maintenance.work_order import BoundFrom, Foreseen, WorkOrder, propose
from protocols.site import Site
from protocols.site_maintenance import Upkeep

BERLIN = ZoneInfo("Europe/Berlin")
WEEKDAYS = [1, 2, 3, 4, 5]


def at(day: int, hour: int, minute: int = 0) -> int:
    """Of November 2026, local time; the 27th is a Friday. µs UTC."""
    return int(datetime(2026, 11, day, hour, minute, tzinfo=BERLIN).timestamp() * 1e6)


def site(**fitters: Any) -> Site:
    """Two shifts on weekdays, with a break in the early one; fitters only in the early one if not said."""
    shifts = [
        {
            "name": "early",
            "start": "06:00",
            "end": "14:00",
            "days": WEEKDAYS,
            "breaks": [{"start": "10:00", "end": "10:30"}],
        },
        {"name": "late", "start": "14:00", "end": "22:00", "days": WEEKDAYS},
    ]
    return Site.model_validate(
        {
            "id": "works",
            "uuid": "7d6dd0d4-1f1c-4a60-9a3e-1a1d6d7d2b11",
            "areas": [],
            "edges": [],
            "title": "Works",
            "calendar": {
                "timezone": "Europe/Berlin",
                "shifts": shifts,
                "holidays": {"2026-11-30": "St Andrew's Day"},
            },
            "crew": {"fitter": {"title": "Fitters", "heads": 1, **fitters}},
            "tools": {"hoist": {"title": "Hoist", "count": 1}},
        }
    )


@pytest.mark.parametrize(
    ("needs", "parts_at", "hours", "expected"),
    [
        ({}, at(27, 8), 2, at(27, 10)),
        ({}, at(27, 9), 2, at(27, 12, 30)),  # not over the break
        ({}, at(27, 21), 2, at(1, 8) + 30 * 24 * HOUR),  # not over the weekend, nor on the holiday
        ({"fitter": 1}, at(26, 13), 2, at(27, 8)),  # nobody is there in the late shift
        ({"fitter": 2}, at(27, 8), 2, at(27, 10)),  # there are never so many: the clock counts
        ({}, at(27, 8), 20, at(28, 4)),  # no stretch is so long: likewise
        ({"hoist": 1}, at(27, 8), 2, at(27, 10)),
    ],
)
def test_when_it_is_done_at_the_earliest(
    needs: dict[str, int], parts_at: int, hours: int, expected: int
) -> None:
    assert done_by(site(shifts={"late": 0}), needs)(parts_at, hours * HOUR) == expected


def test_late_parts_put_the_bound_off_to_when_somebody_is_there() -> None:
    """Parts on Friday at 21:00 for a machine that may fail on Saturday: Tuesday, and time for it twice."""
    load = PlannedLoad(((0, 2**62),), 2**62)
    upkeep = Upkeep(seconds=7200, lead_hours=1, margin=0.0)
    foreseen = Foreseen(Prognosis(10.0), BoundFrom.RUL)
    order = propose(upkeep, "mill-1", at(27, 20), load, foreseen, done_by(site(), {}))
    tuesday = at(1, 6) + 30 * 24 * HOUR
    assert order.late_parts
    assert order.bound == tuesday + 4 * HOUR
    later = replace(order, bound=at(28, 6)).supplied_at(at(27, 21, 30), done_by(site(), {}))
    assert (later.late_parts, later.bound) == (True, tuesday + 4 * HOUR)


ORDER = WorkOrder("mill-1", 7200, at(27, 8), at(27, 20), BoundFrom.RUL, {"fitter": 1}, ("bearing",))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (ORDER, [Shortage(Lack.PARTS, "bearing", 1, 0, at(27, 8))]),
        (replace(ORDER, parts=()), []),
        (replace(ORDER, earliest=at(26, 7)), []),
        (replace(ORDER, parts=(), skills={"fitter": 3}), [Shortage(Lack.NUMBER, "fitter", 3, 1)]),
        (replace(ORDER, parts=(), skills={"hoist": 2}), [Shortage(Lack.NUMBER, "hoist", 2, 1)]),
        (replace(ORDER, parts=(), skills={"gone": 2}), []),
        (
            replace(ORDER, parts=(), earliest=at(27, 13), bound=at(28, 13)),
            [Shortage(Lack.TIME, "fitter", 1, 1, at(1, 6) + 30 * 24 * HOUR)],
        ),
        (replace(ORDER, parts=(), seconds=72_000), [Shortage(Lack.TIME, "fitter", 1, 1, 0)]),
    ],
)
def test_what_is_missing_for_an_order(order: WorkOrder, expected: list[Shortage]) -> None:
    assert shortages(site(shifts={"late": 0}), order, at(26, 8)) == expected
