"""Machine activity that nobody booked: when it opens and closes an unassigned run. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edge.station.work import ACTIVE, Unassigned, Work, counted_since
from protocols import actions as did
from protocols.states import ItemState, OperationMode
from protocols.values import MICROSECONDS

AFTER_SECONDS = 10
"""Work or rest shorter than this changes nothing: a jog, a door, a tool change."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine of a station does, since ``since`` (µs UTC), as last heard from ``device``."""

    device: str = ""
    item_state: ItemState = ItemState.NOT_AVAILABLE
    mode: OperationMode = OperationMode.NONE
    since: int = 0
    detail: str = ""
    connected: bool = False

    @property
    def produces(self) -> bool:
        return (
            self.connected
            and self.item_state is ItemState.EXECUTING
            and self.mode in (OperationMode.PROCESSING, OperationMode.NONE)
        )


def judge(work: Work, machine: Machine, now: int, run_id: str) -> list[did.Event]:
    """What to record now about activity that no run covers. ``run_id`` names a run that would be opened.

    A machine out of reach changes nothing: nobody knows whether it goes on.
    """
    # A machine runs out for a moment after its run: that belongs to nobody else.
    since = max([machine.since, *(run.since for run in work.runs.values() if run.state not in ACTIVE)])
    settled = now - since >= AFTER_SECONDS * MICROSECONDS
    if work.unassigned is None:
        if machine.produces and settled and work.active is None:
            return [did.UnassignedOpened(run_id)]
        return []
    if machine.connected and not machine.produces and settled:
        return [closing(work.unassigned, work.counter)]
    return []


def closing(unassigned: Unassigned, counter: int | None) -> did.UnassignedClosed:
    """The end of an unassigned run with the parts the machine counted."""
    return did.UnassignedClosed(unassigned.id, counted_since(unassigned.counter_from, counter))
