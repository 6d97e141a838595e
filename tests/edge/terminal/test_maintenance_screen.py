"""A maintenance order at the terminal: seen, read in both languages, begun, found, given back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.control.upkeep import receive
from protocols.jobs import JobList
from protocols.lifecycles import LockState
from tests.edge.control.test_upkeep import ORDER
from tests.edge.terminal.terminals import Terminal
from tests.edge.terminal.test_machine_screen import OnePress, choose, entry
from tests.edge.workcells import T0, operation


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


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 15)])
def test_what_can_be_done_is_on_the_screen_however_long_the_instruction(width: int, height: int) -> None:
    long = ORDER.steps * 30
    at = terminal(steps=long)
    choose(at, "Replace the bearing")
    assert "Begin: locks" in at.text(width, height)
    assert len(at.screen(width, height)) == height
