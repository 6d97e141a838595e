"""Shape, word and colour of every state: colour is never alone (IEC 60073: red danger, yellow abnormal)."""

from __future__ import annotations

from typing import NamedTuple

from protocols.states import ItemState, OperationMode

GREY, GREEN, YELLOW, RED, BLUE, PALE = "#5f6b7a", "#2e7d32", "#b26a00", "#c62828", "#1565c0", "#9aa5b1"


class Look(NamedTuple):
    """How a state is shown: a shape, a word, a colour. Grey is normal."""

    shape: str
    word: str
    colour: str


RUNNING = Look("●", "running", GREEN)
SETUP = Look("◐", "setup", BLUE)
STOPPED = Look("■", "stopped", YELLOW)
FAULT = Look("▲", "fault", RED)
IDLE = Look("○", "idle", GREY)
NO_DATA = Look("✕", "no data", PALE)
MAINTENANCE = Look("◇", "maintenance", BLUE)
LOCKED = Look("⊘", "locked", YELLOW)
RELEASED = Look("⊘", "to accept", YELLOW)
"""A machine somebody works at, and one that production has not taken over yet: before all other states."""

_LOOKS: dict[tuple[str, str], Look] = {
    (ItemState.EXECUTING, OperationMode.PROCESSING): RUNNING,
    (ItemState.EXECUTING, OperationMode.SETUP): SETUP,
    (ItemState.NOT_EXECUTING, OperationMode.SETUP): SETUP,
    (ItemState.NOT_EXECUTING, OperationMode.PROCESSING): IDLE,
    (ItemState.OUT_OF_SERVICE, OperationMode.PROCESSING): FAULT,
    (ItemState.OUT_OF_SERVICE, OperationMode.MAINTENANCE): MAINTENANCE,
    (ItemState.EXECUTING, OperationMode.MAINTENANCE): MAINTENANCE,
    (ItemState.NOT_EXECUTING, OperationMode.MAINTENANCE): MAINTENANCE,
}


def look(item_state: str, mode: str, *, stopped: bool, fresh: bool) -> Look:
    """How a machine is shown. ``stopped``: an open stop beyond the micro-stop threshold; ``fresh``: its data
    is younger than the limit. What is not fresh is not shown as if it were.
    """
    if not fresh or item_state == ItemState.NOT_AVAILABLE or not item_state:
        return NO_DATA
    found = _LOOKS.get((item_state, mode), IDLE if item_state == ItemState.NOT_EXECUTING else RUNNING)
    if found in (IDLE, RUNNING) and stopped:
        return STOPPED
    return found
