"""Programs on the machine's own screen (F10): what is said of them, and how a person has one sent."""

from __future__ import annotations

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
