"""A maintenance order at the terminal: seen, read in both languages, begun, found, given back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from edge.control.upkeep import receive
from protocols.jobs import JobList
from protocols.lifecycles import LockState
from protocols.order_window import Declined, Outside
from tests.edge.control.test_upkeep import ORDER
from tests.edge.terminal.terminals import Terminal
from tests.edge.terminal.test_machine_screen import OnePress, choose, entry
from tests.edge.workcells import SECOND, T0, operation


def terminal(language: str = "en", **changes: object) -> Terminal:
    at = Terminal(operation(), machines=OnePress(), language=language)
    order = replace(ORDER, **changes) if changes else ORDER
    controls = at.control.controls
    upkeep = receive(controls.upkeep, JobList("forming", 1, T0, (), (order,)))
    at.control.controls = replace(controls, upkeep=upkeep)
    at.look()
    return at


def pick(at: Terminal, words: str) -> None:
    at.press(*entry(at, words), "enter")


def test_it_is_seen_on_the_work_screen_when_it_is_near() -> None:
    assert "Press 1: maintenance at" in terminal().text()
    assert "maintenance now: Replace the bearing (F10)" in terminal(start=T0 - 1).text()
    assert "maintenance" not in terminal(start=T0 + 86_400_000_000).text()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_order_says_why_when_and_what_to_do(language: str) -> None:
    at = terminal(language)
    choose(at, "Replace the bearing" if language == "en" else "更换轴承")
    text = at.text()
    for words in {
        "en": ["Replace the bearing", "vibration is 6 mm/s", "1. Lock and tag the main switch", "to be done"],
        "zh": ["更换轴承", "1. 锁定并挂牌主开关", "原因", "前完成"],
    }[language]:
        assert words in text, text
    assert ("lock-out/tag-out" if language == "en" else "上锁挂牌") in text


def test_begun_found_released_and_accepted() -> None:
    at = terminal()
    choose(at, "Replace the bearing")
    pick(at, "Begin: locks Press 1 for K7")
    assert "never replaces lock-out/tag-out" in " ".join(at.text().split())
    at.press("escape")
    assert at.control.controls.lock("press-1").state is LockState.FREE
    pick(at, "Begin: locks")
    at.press("f4")
    assert at.control.controls.lock("press-1").owner == "K7"
    pick(at, "Say what was found")
    at.press(*"inner race pitted", "enter")
    assert "Found: inner race pitted" in at.text()
    assert "release the lock (F10)" in " ".join(at.text().split())
    at.press("escape", "escape")
    assert "K7 is at it since" in at.text()
    choose(at, "Release the lock")
    at.press("escape")
    choose(at, "Accept Press 1")
    at.press("f4", "escape")
    assert "maintenance" not in at.text()
    assert at.control.controls.upkeep.begun == {}


def test_refused_with_a_reason() -> None:
    at = terminal()
    choose(at, "Replace the bearing")
    pick(at, "Refuse it")
    at.press(*"rush order", "enter")
    at.press("escape", "escape")
    assert "maintenance" not in at.text().lower().replace("maintenance refused", "")


def clock(ts: float) -> datetime:
    return datetime.fromtimestamp(ts / SECOND).astimezone()


def moved(at: Terminal) -> tuple[int, bool]:
    order = at.control.controls.upkeep.orders["case-1"]
    return order.start, order.fixed


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Replace the bearing", "Move it", "As late as it may be", "Why is")),
        ("zh", ("更换轴承", "移动", "最晚", "为何在")),
    ],
)
def test_moved_to_the_end_of_its_window_with_a_reason(language: str, words: tuple[str, ...]) -> None:
    at = terminal(language)
    choose(at, words[0])
    pick(at, words[1])
    pick(at, words[2])
    assert words[3] in at.text()
    at.press("enter")
    assert moved(at) == (ORDER.start, False), "nothing is moved without a reason"
    at.press(*"night shift", "enter")
    start, fixed = moved(at)
    last = ORDER.bound - ORDER.seconds * SECOND
    assert fixed
    assert last - 60 * SECOND < start <= last


def test_moved_to_a_time_that_is_typed() -> None:
    at = terminal()
    choose(at, "Replace the bearing")
    pick(at, "Move it")
    pick(at, "At another time")
    at.press(*"soon", "enter")
    assert '"soon" is no time: type 14:30' in " ".join(at.text().split())
    pick(at, "At another time")
    wanted = clock(T0) + timedelta(hours=3)
    at.press(*f"{wanted:%H.%M}", "enter")
    at.press(*"night shift", "enter")
    assert moved(at) == (round(wanted.replace(second=0, microsecond=0).timestamp()) * SECOND, True)
    assert "fixed for" in at.text()


def test_too_late_is_refused_with_the_latest_begin() -> None:
    at = terminal()
    choose(at, "Replace the bearing")
    pick(at, "Move it")
    pick(at, "At another time")
    wanted = clock(ORDER.bound)
    at.press(*f"{wanted:%m-%d %H:%M}", "enter")
    last = clock(ORDER.bound - ORDER.seconds * SECOND)
    assert f"the latest is {last:%m-%d %H:%M}" in " ".join(at.text().split())
    assert moved(at) == (ORDER.start, False)


def test_an_order_that_is_too_late_to_move_is_to_be_begun() -> None:
    at = terminal(bound=T0 + 600 * SECOND)
    choose(at, "Replace the bearing")
    pick(at, "Move it")
    assert "begin it now, or let the supervisor move it" in " ".join(at.text().split())
    assert "As early" not in at.text()
    assert moved(at) == (ORDER.start, False)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_the_service_declined_is_told_where_it_was_asked(language: str) -> None:
    declined = Declined(T0 + 80_000 * SECOND, Outside.BOUND, T0 + 40_000 * SECOND, T0 - SECOND)
    at = terminal(language, declined=declined)
    assert ("could not be moved" if language == "en" else "未能移动") in at.text()
    choose(at, "Replace the bearing" if language == "en" else "更换轴承")
    assert ("Not moved to" if language == "en" else "未移至") in at.text()
    assert ("by what is known now the latest is" if language == "en" else "最晚") in at.text()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 15)])
def test_what_can_be_done_is_on_the_screen_however_long_the_instruction(width: int, height: int) -> None:
    long = ORDER.steps * 30
    at = terminal(steps=long)
    choose(at, "Replace the bearing")
    assert "Begin: locks" in at.text(width, height)
    assert len(at.screen(width, height)) == height
