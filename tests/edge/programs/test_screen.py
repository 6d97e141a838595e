"""Programs on the machine's own screen (F10): what is said of them, and how a person has one sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.programs import sha256
from edge.control.machines import Facts
from edge.programs.book import Known, State
from edge.programs.releases import load_releases
from tests.edge.control.machines import PRESS
from tests.edge.programs.releases import V1, V2, release_list
from tests.edge.terminal.terminals import Terminal
from tests.edge.terminal.test_machine_screen import OnePress, choose
from tests.edge.workcells import operation


class OneMill(OnePress):
    """A mill with the program O1000, whatever is known of it."""

    def __init__(self, folder: Path, state: State, *, found: str = "", wanted: bool = True) -> None:
        (release,) = load_releases(release_list(folder)).entries
        self.known = Known(release, state, found, wanted=wanted)

    def facts(self, device: str) -> Facts | None:
        return Facts(device, "Mill 1", PRESS, True, programs={"O1000": self.known})


def test_an_edit_is_said_and_overwritten_only_after_a_question_that_names_it(tmp_path: Path) -> None:
    at = Terminal(operation(), machines=OneMill(tmp_path, State.EDITED, found=sha256(V2)))
    assert "was edited there" in at.text(), "the work screen says it: the operation in hand needs it"
    choose(at, "Send the released O1000")
    assert f"Overwrite what was edited at Mill 1 ({sha256(V2)[:12]})" in at.text()
    at.press("escape")
    assert not at.control.controls.commands
    at.press(*"", "escape")
    choose(at, "Send the released O1000")
    at.press("f4")
    (command,) = at.control.controls.commands.values()
    assert (command.what, command.target, command.actor) == ("program", "O1000", "K7")
    assert command.value == f'{{"sha256":"{sha256(V1)}","overwrite":"{sha256(V2)}","stands":false}}'


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("state", "wanted", "said"),
    [
        (State.EDITED, False, True),
        (State.OUTDATED, False, True),
        (State.PARTIAL, False, True),
        (State.MISSING, True, True),
        (State.UNREADABLE, True, True),
        (State.MISSING, False, False),
        (State.UNSEEN, True, False),
        (State.RELEASED, True, False),
    ],
)
def test_what_is_said_of_a_program(
    tmp_path: Path, language: str, state: State, *, wanted: bool, said: bool
) -> None:
    at = Terminal(operation(), machines=OneMill(tmp_path, state, wanted=wanted), language=language)
    at.press("f10")
    assert ("O1000" in at.text()) is said
    assert "program." not in at.text(), "every word has a translation"


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Mill 1 runs the old O1000: when it ends, send the new one (F10)"), ("zh", "正在运行旧的 O1000")],
)
def test_a_program_that_ran_when_it_was_to_be_replaced_is_said_with_what_to_do(
    tmp_path: Path, language: str, said: str
) -> None:
    machines = OneMill(tmp_path, State.OUTDATED)
    machines.known = replace(machines.known, ran=True)
    assert said in Terminal(operation(), machines=machines, language=language).text()


def test_what_cannot_be_read_is_not_offered_to_be_overwritten(tmp_path: Path) -> None:
    at = Terminal(operation(), machines=OneMill(tmp_path, State.UNREADABLE))
    at.press("f10")
    assert "call the engineer" in " ".join(at.text().split())
    assert "Send the released" not in at.text()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("state", [each for each in State if each not in (State.UNSEEN, State.RELEASED)])
def test_what_to_do_fits_into_the_line_of_the_work_screen(
    tmp_path: Path, language: str, state: State
) -> None:
    machines = OneMill(tmp_path, state, found=sha256(V2))
    line = next(each for each in Terminal(machines=machines, language=language).screen() if "O1000" in each)
    assert "…" not in line
    assert "F10" in line or state is State.UNREADABLE


def test_what_is_being_sent_is_not_offered_once_more(tmp_path: Path) -> None:
    at = Terminal(operation(), machines=OneMill(tmp_path, State.MISSING))
    choose(at, "Send the released O1000")
    at.press("f4")
    assert "Mill 1: O1000 is being sent" in at.text()
    assert "Send the released" not in at.text()
