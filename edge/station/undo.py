"""Taking back the last thing done at a station: by compensating actions, for a short while. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge.station.refusals import Refusal
from edge.station.unassigned import closing
from edge.station.work import Work
from protocols import actions as did

UNDO_SECONDS = 20

COMPENSATIONS: dict[type, Callable[[Any], list[did.Event]]] = {
    did.RunOpened: lambda e: [did.RunAborted(e.run, "undo")],
    did.RunPaused: lambda e: [did.RunResumed(e.run)],
    did.RunResumed: lambda e: [did.RunPaused(e.run, "undo")],
    did.Booked: lambda e: [did.Booked(e.run, e.operation, -e.good, -e.scrap, -e.rework, "undo")],
    did.RunCompleted: lambda e: [did.RunReopened(e.run)],
    did.StepDone: lambda e: [],
    did.StopReasoned: lambda e: [did.StopReasoned(e.stop, "")],
    did.AndonRaised: lambda e: [did.AndonCleared(e.andon)],
    did.ShiftNote: lambda e: [],
}
"""The events that make up for an event; none where marking it as undone is enough."""


def undo(work: Work, command: str, now: int) -> list[did.Event]:
    """The events that take back ``command``, in reverse order; ``now`` in µs UTC.

    Raises:
        Refusal: it is not the last thing done, it cannot be taken back, or it is too late.
    """
    last = work.last
    if last is None or last.command != command or not undoable(work):
        raise Refusal("undo-nothing")
    seconds = (now - last.ts) // 1_000_000
    if seconds > UNDO_SECONDS:
        raise Refusal("undo-late", seconds=str(seconds), limit=str(UNDO_SECONDS))
    events: list[did.Event] = []
    for action in reversed(last.actions):
        compensation = COMPENSATIONS.get(type(action.event))
        if compensation is not None:
            events += [*compensation(action.event), did.Undone(action.id)]
    goes_on = any(isinstance(event, did.RunResumed | did.RunReopened) for event in events)
    if goes_on and work.unassigned is not None:  # what the machine did meanwhile has an owner again
        events.append(closing(work.unassigned, work.counter))
    return events


def undoable(work: Work) -> bool:
    """Whether the last thing done at the station has a compensation."""
    if work.last is None or any(isinstance(a.event, did.Undone) for a in work.last.actions):
        return False
    return any(type(a.event) in COMPENSATIONS for a in work.last.actions)
