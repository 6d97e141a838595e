"""Job lists as they arrive and operations asked back: what a station's queue becomes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec.structs

from edge.station.holds import heard
from edge.station.workcell import Queue, Workcell
from protocols import actions as did
from protocols.jobs import JobList, JobOperation, ReleaseRequest
from protocols.lifecycles import OperationState


def held(cell: Workcell) -> set[str]:
    """Operations that a station keeps whatever the list says: in hand, or just ended and still undoable."""
    last = cell.work.last
    runs = {getattr(action.event, "run", "") for action in last.actions} if last else set()
    ended = {part.operation for key in runs & cell.work.runs.keys() for part in cell.work.runs[key].parts}
    return cell.work.in_hand | ended


def receive(cell: Workcell, jobs: JobList) -> Workcell:
    """The station with the queue of a job list; a list that is not newer changes nothing."""
    if jobs.version <= cell.queue.version:
        return cell
    listed: dict[str, JobOperation] = {
        operation.id: operation for operation in jobs.operations if operation.workcell == cell.place.id
    }
    kept = held(cell)
    for operation in kept & cell.queue.operations.keys():
        listed[operation] = listed.get(operation, cell.queue.operations[operation])
    progress = {
        operation: progress
        for operation, progress in cell.work.progress.items()
        if operation in listed or operation in kept
    }
    return replace(
        cell,
        queue=Queue(jobs.version, listed),
        work=heard(msgspec.structs.replace(cell.work, progress=progress), jobs),
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What an edge says to a release request, and its stations afterwards."""

    released: tuple[str, ...]
    kept: tuple[str, ...]
    cells: dict[str, Workcell]

    def events(self, request: str) -> list[did.Event]:
        """At most one action of each kind."""
        events: list[did.Event] = []
        if self.released:
            events.append(did.LeaseReleased(request, self.released))
        if self.kept:
            events.append(did.LeaseKept(request, self.kept))
        return events


def answer(cells: Mapping[str, Workcell], request: ReleaseRequest) -> Answer:
    """Operations in hand, or finished here while the cloud may not know it yet, are kept; the others go.

    An operation no station has is given back: nobody works on it here.
    """
    released: list[str] = []
    kept: list[str] = []
    after = dict(cells)
    for operation in dict.fromkeys(request.operations):
        if any(_keeps(cell, operation) for cell in cells.values()):
            kept.append(operation)
            continue
        released.append(operation)
        for cell in after.values():
            if operation in cell.queue.operations:
                queue = replace(cell.queue, released=cell.queue.released | {operation})
                after[cell.place.id] = replace(cell, queue=queue)
    return Answer(tuple(released), tuple(kept), after)


def _keeps(cell: Workcell, operation: str) -> bool:
    progress = cell.work.progress.get(operation)
    finished = progress is not None and progress.state is OperationState.FINISHED
    return finished or operation in cell.work.in_hand


def finished_by(actions: Iterable[did.Action], known: Mapping[str, str]) -> dict[str, str]:
    """Operations known to be finished (with the run that finished them) after hearing ``actions``."""
    finished = dict(known)
    for action in actions:
        if isinstance(action.event, did.RunCompleted):
            finished |= dict.fromkeys(action.event.finished, action.event.run)
        elif isinstance(action.event, did.RunReopened):
            reopened = action.event.run
            finished = {op: run for op, run in finished.items() if run != reopened}
    return finished
