"""Times as people type them with gloves on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from edge.station.refusals import Refusal
from edge.terminal.typed_time import typed_time


def local(*when: int) -> datetime:
    """By the clock of this machine, whatever its zone."""
    return datetime(*when).astimezone()  # type: ignore[arg-type]


def read(text: str, now: datetime) -> datetime:
    return datetime.fromtimestamp(typed_time(text, round(now.timestamp() * 1e6)) / 1e6).astimezone()


NOW = local(2026, 11, 26, 14, 0, 20)  # a Thursday
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)


def at(days: int, hour: int, minute: int) -> datetime:
    return MIDNIGHT + timedelta(days=days, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14:30", at(0, 14, 30)),
        (" 14.30 ", at(0, 14, 30)),
        ("1430", at(0, 14, 30)),
        ("9:05", at(1, 9, 5)),
        ("14:00", at(1, 14, 0)),
        ("fri 6:00", at(1, 6, 0)),
        ("Thu 14:30", at(0, 14, 30)),
        ("Thu 06:00", at(7, 6, 0)),
        ("周五 06：00", at(1, 6, 0)),
        ("11-27 06:00", at(1, 6, 0)),
        ("11/26 06:00", at(0, 6, 0)),  # past, and said so by whoever takes it
        ("1.2 06:00", local(2027, 1, 2, 6)),
    ],
)
def test_what_a_time_means(text: str, expected: datetime) -> None:
    assert read(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "14:60", "143", "Fri", "11-31 06:00", "a b 14:30", "2-30 06:00", "14:30 Fri"],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(Refusal, match="is no time"):
        read(text, NOW)


def test_a_day_that_only_some_years_have() -> None:
    assert read("2-29 06:00", local(2027, 12, 1)) == local(2028, 2, 29, 6)
