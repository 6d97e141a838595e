"""The machine's own screen (F10): lock, release, accept, write, and what is said about it everywhere else."""

from __future__ import annotations

from typing import cast

import pytest

from drivers.driver import Driver
from edge.control.controls import apply, sending
from edge.control.machines import Facts
from edge.station.station_view import LifeView
from protocols import actions as did
from protocols.lifecycles import CommandState, LockState
from tests.edge.control.machines import PRESS
from tests.edge.terminal.terminals import Terminal
from tests.edge.workcells import operation


class OnePress:
    """A press that answers, without a wire."""

    firmware = ""

    def facts(self, device: str) -> Facts | None:
        return Facts(device, "Press 1", PRESS, True, self.firmware, {"setpoint": 12.5})

    def driver(self, device: str) -> Driver | None:  # type: ignore[type-arg]
        return None

    def refuse(self, device: str) -> None:
        return None


def terminal(language: str = "en") -> Terminal:
    return Terminal(operation(), machines=OnePress(), language=language)


def entry(at: Terminal, words: str) -> str:
    """The number of an entry of the machine's screen."""
    line = next(line for line in at.screen() if words in line)
    return line.strip().removeprefix("►").split()[0]


def choose(at: Terminal, words: str) -> None:
    at.press("f10")
    at.press(*entry(at, words), "enter")


def test_a_lock_is_set_with_a_reason_and_stands_before_everything() -> None:
    at = terminal()
    choose(at, "Lock Press 1")
    assert "lock-out/tag-out" in at.text()
    at.press(*"tool change", "enter", "escape")
    assert at.control.controls.lock("press-1").state is LockState.LOCKED
    screen = at.text()
    assert "⊘ locked" in screen.splitlines()[0]
    assert "⊘ Press 1 locked by K7 since" in screen
    assert "tool change" in screen
    at.press("f5")
    assert "locked by K7" in at.text()
    assert not at.cell.work.runs


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 15)])
def test_a_lock_is_seen_on_every_screen(width: int, height: int) -> None:
    at = terminal()
    choose(at, "Lock Press 1")
    at.press(*"jam", "enter", "escape")
    assert "⊘ locked" in at.screen(width, height)[0]
    assert "K7" in at.text(width, height)


@pytest.mark.parametrize(
    ("language", "life", "words"),
    [
        (
            "en",
            LifeView("press-1", "cycles", 125, 80, 40.4, 31.0, 58.2),
            "40 cycles left by its model, 31 to 58",
        ),
        ("en", LifeView("press-1", "cycles", 125, 80, 120.0, 95.0, None), "more than 95 cycles left"),
        (
            "en",
            LifeView("press-1", "h", 125, 8, 40.0, 31.0, 58.0, seen=False),
            "31 to 58 · frozen: regime unknown",
        ),
        ("zh", LifeView("press-1", "h", 125, 8, 40.0, 31.0, 58.0), "模型预计剩余 40 h（31 至 58）"),
        ("en", LifeView("press-1", "h", 125, 0), ""),
    ],
)
def test_what_is_left_of_a_life_is_told_on_the_screen_of_the_machine(
    language: str, life: LifeView, words: str
) -> None:
    at = terminal(language)
    at.control.lives = lambda: {"press-1": life}
    at.look()
    at.press("f10")
    assert words in at.text()
    assert ("model" in at.text() or "模型" in at.text()) == bool(words)


def test_release_by_the_owner_and_acceptance_by_production() -> None:
    at = terminal()
    choose(at, "Lock Press 1")
    at.press(*"jam", "enter", "escape")
    choose(at, "Release the lock")
    at.press("escape")
    assert "⊘ to accept" in at.screen()[0]
    at.session.work_as("P2")
    choose(at, "Accept Press 1")
    assert "are all guards" in " ".join(at.text().split())
    at.press("f4", "escape")
    assert not at.control.controls.lock("press-1").holds


def test_others_release_only_with_a_second_badge_and_the_terminal_stays_with_its_person() -> None:
    at = terminal()
    choose(at, "Lock Press 1")
    at.press(*"jam", "enter", "escape")
    at.session.work_as("P2")
    choose(at, "Release the lock")
    assert "In the absence of K7" in at.text()
    at.scan("@M3")
    assert at.session.actor == "P2"
    assert at.control.controls.lock("press-1").state is LockState.RELEASED


def test_a_value_is_asked_for_confirmed_and_sent() -> None:
    at = terminal()
    choose(at, "Press 1: setpoint = 12.5 kN")
    assert "0 … 100 kN" in at.text()
    at.press(*"20", "enter")
    assert "set setpoint from 12.5 to 20 kN?" in at.text()
    assert at.control.waiting() == [], "nothing happens before the confirmation"
    at.press("f4")
    (command,) = at.control.waiting()
    assert (command.target, command.value, command.actor) == ("setpoint", "20", "K7")


def test_escape_at_the_confirmation_sends_nothing() -> None:
    at = terminal()
    choose(at, "setpoint")
    at.press(*"20", "enter", "escape")
    assert at.control.waiting() == []


def test_a_value_out_of_range_is_refused_with_the_limit() -> None:
    at = terminal()
    choose(at, "setpoint")
    at.press(*"120", "enter", "f4")
    assert at.control.waiting() == []
    assert "above the maximum 100" in " ".join(at.screen()).replace("  ", " ")


def test_a_start_says_that_it_starts() -> None:
    at = terminal()
    choose(at, "▲ Press 1: start")
    assert "This STARTS Press 1" in at.text()
    at.press("f4")
    assert at.control.waiting()[0].effect == "start"


def test_what_needs_two_people_asks_for_the_second_badge() -> None:
    at = terminal()
    choose(at, "▲ Press 1: purge")
    at.press("f4")
    assert "Badge of somebody other than K7" in at.text()
    at.scan("@K7")
    assert at.control.waiting() == []
    at.press("escape", "escape")
    choose(at, "▲ Press 1: purge")
    at.press("f4")
    at.scan("@M3")
    assert at.control.waiting()[0].second == "M3"


def test_a_command_nobody_knows_the_fate_of_is_settled_by_who_looked() -> None:
    at = terminal()
    choose(at, "▲ Press 1: start")
    at.press("f4", "escape")
    name = at.control.waiting()[0].id
    lost = did.MachineCommandEnded(name, "press-1", "unknown", "no reply")
    action = did.Action("x", at.now(), "brake-1", "K7", lost)
    at.control.controls = apply(sending(at.control.controls, name), action)
    at.look()
    assert "nobody knows whether a command took effect" in at.text()
    choose(at, "start true: it did not")
    assert at.control.controls.commands[name].state is CommandState.FAILED


def test_a_foreign_firmware_is_shown_and_accepted() -> None:
    at = terminal()
    machines = cast("OnePress", at.control.machines)
    machines.firmware = "9.9"
    at.look()
    assert "firmware 9.9, unknown to its profile: read only" in at.text()
    choose(at, "Accept firmware 9.9")
    assert "machine's own display?" in at.text()
    at.press("f4")
    assert at.control.accepted("press-1") == ("9.9",)


def test_everything_is_there_in_chinese() -> None:
    at = terminal("zh")
    at.press("f10")
    screen = at.text()
    assert "锁定 Press 1" in screen
    choose_zh = entry(at, "锁定 Press 1")
    at.press(*choose_zh, "enter")
    assert "上锁挂牌" in at.text()
    at.press(*"换刀", "enter", "escape")
    assert "⊘ 已锁定" in at.screen()[0]


def test_the_shift_note_is_still_there() -> None:
    at = terminal()
    choose(at, "Word to the next shift")
    at.press(*"tool worn", "enter")
    assert at.cell.work.notes[-1].note == "tool worn"
