"""What has happened at a station: the state that its actions add up to. Pure: no clock, no disk.

``apply`` is total over actions that :mod:`edge.station.workcell` decided: replaying them gives the same
state.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from drivers.counting import Count
from protocols import actions as did
from protocols.lifecycles import OPERATION, RUN, OperationEvent, OperationState, RunEvent, RunState
from protocols.spc.chart import State

ZERO = Decimal(0)
KEPT_HOLDS = 200
"""Holds of a station, and decisions about them, that the service has not heard of; the newest."""
KEPT_RUNS = 20
"""Ended runs that are remembered, newest last: for undo and for the screen."""

ACTIVE = frozenset((RunState.SETUP, RunState.FIRST_PIECE, RunState.RUNNING))
OPEN = ACTIVE | {RunState.PAUSED}


class Progress(msgspec.Struct, frozen=True):
    """Pieces of one operation so far, from all its runs, and its state."""

    state: OperationState
    good: Decimal = ZERO
    scrap: Decimal = ZERO
    rework: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.good + self.scrap + self.rework


class StepResult(msgspec.Struct, frozen=True):
    """What came of an instruction step: the value measured or scanned, and whether it was within limits.

    ``count`` is how often it was done in its run; ``signals`` what its chart says, and ``holds`` that what
    follows will wait for a supervisor; ``before`` the result that an undo brings back.
    """

    value: str
    ok: bool
    action: str
    count: int = 1
    signals: tuple[str, ...] = ()
    holds: bool = False
    before: StepResult | None = None


class Charted(msgspec.Struct, frozen=True):
    """A control chart of the station, and as it was before ``action``; ``version`` is that of its limits."""

    state: State = State()
    before: State = State()
    action: str = ""
    version: int = 0


class Hold(msgspec.Struct, frozen=True):
    """What was measured here at ``operation`` and holds what follows in its job, until the service has heard
    of it: then its job lists say so.
    """

    operation: str
    characteristic: str
    en: str
    zh: str


class Part(msgspec.Struct, frozen=True):
    """One operation in a run: what the run is to make of it and what it has made."""

    operation: str
    quantity: Decimal
    good: Decimal = ZERO
    scrap: Decimal = ZERO
    rework: Decimal = ZERO
    steps: dict[int, StepResult] = {}

    @property
    def total(self) -> Decimal:
        return self.good + self.scrap + self.rework


class Run(msgspec.Struct, frozen=True):
    """One execution at the workcell. ``since`` (µs UTC) is when its state began, ``counted`` the machine's
    parts up to ``counter_from``, the counter value from which on parts are still to be added.
    """

    id: str
    state: RunState
    actor: str
    opened: int
    since: int
    parts: tuple[Part, ...]
    unconfirmed: tuple[str, ...] = ()
    reason: str = ""
    finished: tuple[str, ...] = ()
    counted: int = 0
    counter_from: int | None = None

    @property
    def booked(self) -> Decimal:
        return sum((part.total for part in self.parts), ZERO)

    def part(self, operation: str) -> Part | None:
        return next((part for part in self.parts if part.operation == operation), None)


class Andon(msgspec.Struct, frozen=True):
    id: str
    topic: str
    note: str
    actor: str
    raised: int


class Stop(msgspec.Struct, frozen=True):
    """A machine stop; ``ended`` is 0 while it lasts, ``reason`` empty while nobody gave one."""

    id: str
    device: str
    began: int
    ended: int = 0
    hint: str = ""
    reason: str = ""
    note: str = ""


class Unassigned(msgspec.Struct, frozen=True):
    """The machine works and nobody booked a run."""

    id: str
    since: int
    counter_from: int | None = None


class Note(msgspec.Struct, frozen=True):
    """A word to the next shift."""

    ts: int
    actor: str
    note: str


class Done(msgspec.Struct, frozen=True):
    """The last command of a person and the actions it became."""

    command: str
    ts: int
    actor: str
    actions: tuple[did.Action, ...]


class Work(msgspec.Struct, frozen=True):
    """Everything a station must still know after a restart, apart from its job list."""

    runs: dict[str, Run] = {}
    progress: dict[str, Progress] = {}
    andons: dict[str, Andon] = {}
    stops: dict[str, Stop] = {}
    unassigned: Unassigned | None = None
    notes: tuple[Note, ...] = ()
    last: Done | None = None
    counter: int | None = None
    """Parts the machine has made, as last seen: its counter, counted on through wraps and resets."""
    count: Count | None = None
    """How that came about, to go on from after a restart."""
    charts: dict[str, Charted] = {}
    """Control charts of what was measured here."""
    holds: dict[str, Hold] = {}
    """By the action that measured."""
    released: dict[str, str] = {}
    """What somebody decided here about holds, by the action that measured, until the service has heard."""

    @property
    def open_runs(self) -> list[Run]:
        """Runs in hand: the active one first, then the paused ones, oldest first."""
        return sorted(
            (run for run in self.runs.values() if run.state in OPEN),
            key=lambda run: (run.state not in ACTIVE, run.opened),
        )

    @property
    def active(self) -> Run | None:
        """The run the station works on now."""
        return next((run for run in self.runs.values() if run.state in ACTIVE), None)

    @property
    def in_hand(self) -> set[str]:
        """Operations of open runs."""
        return {part.operation for run in self.open_runs for part in run.parts}

    def machine_parts(self, run: Run) -> int:
        """Parts the machine's counter proposes for the run."""
        if run.state in ACTIVE:
            return run.counted + counted_since(run.counter_from, self.counter)
        return run.counted


def counted_since(start: int | None, now: int | None) -> int:
    """Parts between two totals; none when another machine took the place of the one that counted."""
    if start is None or now is None:
        return 0
    return max(0, now - start)


def apply(work: Work, action: did.Action) -> Work:
    """The state after an action."""
    return _EFFECTS[type(action.event)](work, action, action.event)


def apply_command(work: Work, command: str, actions: list[did.Action]) -> Work:
    """The state after all actions of a person's command, which is now the last thing done."""
    for action in actions:
        work = apply(work, action)
    if not actions:
        return work
    return replace(work, last=Done(command, actions[0].ts, actions[0].actor, tuple(actions)))


def _run_opened(work: Work, action: did.Action, event: did.RunOpened) -> Work:
    move = RunEvent.SETUP if event.setup else RunEvent.START
    run = Run(
        id=event.run,
        state=RUN.next(event.run, RunState.QUEUED, move),
        actor=action.actor,
        opened=action.ts,
        since=action.ts,
        parts=tuple(Part(part.operation, part.quantity) for part in event.parts),
        unconfirmed=event.unconfirmed,
        counter_from=work.counter,
    )
    progress = dict(work.progress)
    for part in run.parts:
        before = progress.get(part.operation, Progress(OperationState.LEASED))
        move_op = (
            OperationEvent.RESUME if before.state is OperationState.PAUSED else OperationEvent.START
        )  # a part-finished operation goes on in a new run
        progress[part.operation] = replace(
            before, state=OPERATION.next(part.operation, before.state, move_op)
        )
    return replace(work, runs={**work.runs, run.id: run}, progress=progress)


def _first_piece(work: Work, action: did.Action, event: did.FirstPieceReleased) -> Work:
    return _moved(work, event.run, RunEvent.FIRST_PIECE, action.ts)


def _started(work: Work, action: did.Action, event: did.RunStarted) -> Work:
    return _moved(work, event.run, RunEvent.START, action.ts)


def _paused(work: Work, action: did.Action, event: did.RunPaused) -> Work:
    work = _stopped_counting(work, event.run)
    work = _moved(work, event.run, RunEvent.PAUSE, action.ts, reason=event.reason)
    return _operations(work, event.run, OperationEvent.PAUSE)


def _resumed(work: Work, action: did.Action, event: did.RunResumed) -> Work:
    work = _moved(work, event.run, RunEvent.RESUME, action.ts, reason="", counter_from=work.counter)
    return _operations(work, event.run, OperationEvent.RESUME)


def _booked(work: Work, action: did.Action, event: did.Booked) -> Work:
    run = work.runs[event.run]
    parts = tuple(
        replace(
            part,
            good=part.good + event.good,
            scrap=part.scrap + event.scrap,
            rework=part.rework + event.rework,
        )
        if part.operation == event.operation
        else part
        for part in run.parts
    )
    before = work.progress[event.operation]
    after = replace(
        before,
        good=before.good + event.good,
        scrap=before.scrap + event.scrap,
        rework=before.rework + event.rework,
    )
    return replace(
        work,
        runs={**work.runs, run.id: replace(run, parts=parts)},
        progress={**work.progress, event.operation: after},
    )


def _completed(work: Work, action: did.Action, event: did.RunCompleted) -> Work:
    was_paused = work.runs[event.run].state is RunState.PAUSED
    if not was_paused:
        work = _stopped_counting(work, event.run)
    work = _moved(work, event.run, RunEvent.COMPLETE, action.ts, finished=event.finished)
    work = _operations(work, event.run, OperationEvent.FINISH, only=event.finished)
    if not was_paused:  # what is not finished waits for its next run
        work = _operations(work, event.run, OperationEvent.PAUSE, but=event.finished)
    return _forget(work)


def _aborted(work: Work, action: did.Action, event: did.RunAborted) -> Work:
    was_paused = work.runs[event.run].state is RunState.PAUSED
    if not was_paused:
        work = _stopped_counting(work, event.run)
        work = _operations(work, event.run, OperationEvent.PAUSE)
    return _forget(_moved(work, event.run, RunEvent.ABORT, action.ts, reason=event.reason))


def _reopened(work: Work, action: did.Action, event: did.RunReopened) -> Work:
    finished = work.runs[event.run].finished
    work = _moved(
        work, event.run, RunEvent.REOPEN, action.ts, finished=(), reason="", counter_from=work.counter
    )
    work = _operations(work, event.run, OperationEvent.REOPEN, only=finished)
    return _operations(work, event.run, OperationEvent.RESUME, but=finished)


def _step_done(work: Work, action: did.Action, event: did.StepDone) -> Work:
    run = work.runs[event.run]
    parts = tuple(
        replace(part, steps={**part.steps, event.step: _result(part.steps.get(event.step), action, event)})
        if part.operation == event.operation
        else part
        for part in run.parts
    )
    return replace(work, runs={**work.runs, run.id: replace(run, parts=parts)})


def _result(before: StepResult | None, action: did.Action, event: did.StepDone) -> StepResult:
    """The result of a step that may have been done before; one before that is enough for an undo."""
    kept = None if before is None else replace(before, before=None)
    return StepResult(event.value, event.ok, action.id, 1 if kept is None else kept.count + 1, before=kept)


def _stop_reasoned(work: Work, action: did.Action, event: did.StopReasoned) -> Work:
    stop = replace(work.stops[event.stop], reason=event.reason, note=event.note)
    return replace(work, stops={**work.stops, stop.id: stop})


def _andon_raised(work: Work, action: did.Action, event: did.AndonRaised) -> Work:
    call = Andon(event.andon, event.topic, event.note, action.actor, action.ts)
    return replace(work, andons={**work.andons, call.id: call})


def _andon_cleared(work: Work, action: did.Action, event: did.AndonCleared) -> Work:
    return replace(work, andons={key: call for key, call in work.andons.items() if key != event.andon})


def _unassigned_opened(work: Work, action: did.Action, event: did.UnassignedOpened) -> Work:
    return replace(work, unassigned=Unassigned(event.run, action.ts, work.counter))


def _unassigned_closed(work: Work, action: did.Action, event: did.UnassignedClosed) -> Work:
    return replace(work, unassigned=None)


def _shift_note(work: Work, action: did.Action, event: did.ShiftNote) -> Work:
    return replace(work, notes=(*work.notes[-2:], Note(action.ts, action.actor, event.note)))


def _lot_held(work: Work, action: did.Action, event: did.LotHeld) -> Work:
    holds = {
        **work.holds,
        event.source: Hold(event.operation, event.characteristic, event.text, event.text_zh),
    }
    return replace(work, holds=dict(list(holds.items())[-KEPT_HOLDS:]))


def _lot_released(work: Work, action: did.Action, event: did.LotReleased) -> Work:
    released = {**work.released, event.source: event.disposition}
    return replace(work, released=dict(list(released.items())[-KEPT_HOLDS:]))


def _undone(work: Work, action: did.Action, event: did.Undone) -> Work:
    """The compensating events have done their part; here goes what has none."""
    if event.action in work.holds:
        work = replace(work, holds={key: h for key, h in work.holds.items() if key != event.action})
    if work.last is None:
        return work
    undone = next((a for a in work.last.actions if a.id == event.action), None)
    original = undone.event if undone else None
    if isinstance(original, did.StepDone):
        run = work.runs[original.run]
        parts = tuple(
            replace(
                part,
                steps={
                    n: earlier
                    for n, s in part.steps.items()
                    if (earlier := s.before if s.action == event.action else s) is not None
                },
            )
            for part in run.parts
        )
        return replace(work, runs={**work.runs, run.id: replace(run, parts=parts)})
    if isinstance(original, did.ShiftNote) and undone:
        return replace(work, notes=tuple(note for note in work.notes if note.ts != undone.ts))
    if isinstance(original, did.RunOpened):  # it never began: nothing of it stays in the queue as begun
        begun = {part.operation for part in original.parts if not work.progress[part.operation].total}
        return replace(work, progress={op: p for op, p in work.progress.items() if op not in begun})
    return work


def _nothing(work: Work, action: did.Action, event: object) -> Work:
    return work


_EFFECTS: dict[type, Callable[[Work, did.Action, Any], Work]] = {
    did.RunOpened: _run_opened,
    did.FirstPieceReleased: _first_piece,
    did.RunStarted: _started,
    did.RunPaused: _paused,
    did.RunResumed: _resumed,
    did.Booked: _booked,
    did.RunCompleted: _completed,
    did.RunAborted: _aborted,
    did.RunReopened: _reopened,
    did.StepDone: _step_done,
    did.StopReasoned: _stop_reasoned,
    did.AndonRaised: _andon_raised,
    did.AndonCleared: _andon_cleared,
    did.LeaseReleased: _nothing,
    did.LeaseKept: _nothing,
    did.UnassignedOpened: _unassigned_opened,
    did.UnassignedClosed: _unassigned_closed,
    did.ShiftNote: _shift_note,
    did.Undone: _undone,
    did.LotHeld: _lot_held,
    did.LotReleased: _lot_released,
    # what is done to machines is kept by whoever owns them
    did.MachineLocked: _nothing,
    did.LockReleased: _nothing,
    did.MachineAccepted: _nothing,
    did.FirmwareAccepted: _nothing,
    did.MachineCommanded: _nothing,
    did.MachineCommandEnded: _nothing,
    did.MaintenanceStarted: _nothing,
    did.MaintenanceFound: _nothing,
    did.MaintenanceBrokenOff: _nothing,
    did.MaintenanceDone: _nothing,
    did.MaintenanceRefused: _nothing,
    did.MaintenanceKept: _nothing,
    did.MaintenanceMoved: _nothing,
}


def _moved(work: Work, run_id: str, event: RunEvent, ts: int, **changes: Any) -> Work:
    run = work.runs[run_id]
    moved = replace(run, state=RUN.next(run.id, run.state, event), since=ts, **changes)
    return replace(work, runs={**work.runs, run.id: moved})


def _stopped_counting(work: Work, run_id: str) -> Work:
    run = work.runs[run_id]
    stopped = replace(run, counted=work.machine_parts(run), counter_from=None)
    return replace(work, runs={**work.runs, run.id: stopped})


def _operations(
    work: Work,
    run_id: str,
    event: OperationEvent,
    only: tuple[str, ...] | None = None,
    but: tuple[str, ...] = (),
) -> Work:
    progress = dict(work.progress)
    for part in work.runs[run_id].parts:
        if (only is None or part.operation in only) and part.operation not in but:
            before = progress[part.operation]
            after = OPERATION.next(part.operation, before.state, event)
            progress[part.operation] = replace(before, state=after)
    return replace(work, progress=progress)


def _forget(work: Work) -> Work:
    """Drop the oldest ended runs beyond what is kept."""
    ended = sorted((r for r in work.runs.values() if r.state not in OPEN), key=lambda run: run.since)
    old = {run.id for run in ended[:-KEPT_RUNS]}
    return replace(work, runs={key: run for key, run in work.runs.items() if key not in old})
