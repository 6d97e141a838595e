"""What a station may do: commands become actions or refusals. Pure: the clock and the network are given.

A station (workcell) has a queue, leased to it by the cloud, and the work in hand (:mod:`edge.station.work`).
``decide`` looks at both and changes nothing; ``perform`` gives the workcell after the actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec.structs

from edge.station import commands as asked
from edge.station.inspection import charted, holding, require_measured
from edge.station.instructions import judged, require_done, results_of
from edge.station.quantities import PIECE, shown
from edge.station.refusals import STATE_WORDS, Refusal
from edge.station.unassigned import closing
from edge.station.undo import undo
from edge.station.work import OPEN, ZERO, Part, Progress, Run, Work, apply_command
from protocols import actions as did
from protocols.inspection import Held
from protocols.jobs import JobOperation, StepKind, Text
from protocols.lifecycles import ANDON, RUN, AndonEvent, AndonState, OperationState, RunEvent, RunState


@dataclass(frozen=True, slots=True)
class Place:
    """What never changes about a station: its id, its edge, how many operations one run may cover, and the
    reasons its site knows (codes with words in both languages).
    """

    id: str
    edge: str
    title: Text
    kind: str = ""
    run: str = "single"
    capacity: int = 1
    stop_reasons: Mapping[str, Text] = field(default_factory=dict)
    scrap_reasons: Mapping[str, Text] = field(default_factory=dict)
    andon_topics: Mapping[str, Text] = field(default_factory=dict)
    releasers: tuple[str, ...] = ()
    """Pseudonyms of those who may decide here about a lot on hold."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The operations leased to a station by the job list of ``version``, with those in hand that a later
    list dropped; ``released`` were given back since.
    """

    version: int = 0
    operations: Mapping[str, JobOperation] = field(default_factory=dict)
    released: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a decision needs to know beyond the station. ``online``: the broker is reached; ``cloud``: the
    service answers; ``finished``: operations that this edge or a neighbour reported finished.
    """

    now: int
    uncertain: bool = False
    online: bool = True
    cloud: bool = True
    finished: Mapping[str, str] = field(default_factory=dict)
    locked: Refusal | None = None
    """Why no run may begin or go on: a machine of the station is locked."""
    held: Mapping[str, tuple[Held, ...]] | None = None
    """Why operations may not begin, as :func:`edge.station.holds.held` says; None: as the job list says."""

    def holding(self, operation: JobOperation) -> tuple[Held, ...]:
        """Why an operation may not begin."""
        return operation.held if self.held is None else self.held.get(operation.id, operation.held)


@dataclass(frozen=True, slots=True)
class Workcell:
    """A station: its place, its queue, its work."""

    place: Place
    queue: Queue = field(default_factory=Queue)
    work: Work = field(default_factory=Work)

    def progress(self, operation: str) -> Progress:
        """Pieces so far: what the station booked or, before it began, what the job list says.

        While an operation is not in hand the larger of both counts: another station may have made some.
        """
        own = self.work.progress.get(operation)
        listed = self.queue.operations.get(operation)
        if listed is None:
            return own or Progress(OperationState.PLANNED)
        if own is None:
            return Progress(OperationState.LEASED, listed.good, listed.scrap)
        if operation in self.work.in_hand or own.good + own.scrap >= listed.good + listed.scrap:
            return own
        return Progress(own.state, listed.good, listed.scrap, own.rework)

    def left(self, operation: str) -> Decimal:
        """Pieces that are still to be made."""
        return max(ZERO, self.queue.operations[operation].quantity - self.progress(operation).total)


def decide(cell: Workcell, command: asked.Command, around: Surroundings) -> list[did.Action]:
    """The actions that a command becomes.

    Raises:
        Refusal: with thing, value, limit and next step.
        IllegalTransitionError: when the run or call is in a state that does not allow it.
    """
    events = _DECISIONS[type(command)](cell, command, around)
    return [
        did.Action(
            id=command.id if number == 0 else f"{command.id}.{number}",
            ts=around.now,
            workcell=cell.place.id,
            actor=command.actor,
            event=event,
            uncertain=around.uncertain,
        )
        for number, event in enumerate(events)
    ]


def perform(cell: Workcell, command: asked.Command, actions: list[did.Action]) -> Workcell:
    """The station after the actions of a command."""
    work = cell.work
    if isinstance(command, asked.OpenRun):  # pieces made elsewhere count from now on
        begun = {operation: cell.progress(operation) for operation in command.operations}
        work = _with_progress(work, begun)
    work = apply_command(work, command.id, actions)
    return replace(cell, work=charted(work, cell.queue.operations, actions))


def _with_progress(work: Work, progress: dict[str, Progress]) -> Work:
    return msgspec.structs.replace(work, progress={**work.progress, **progress})


# --- runs -----------------------------------------------------------------------------------------------


def _open(cell: Workcell, command: asked.OpenRun, around: Surroundings) -> list[did.Event]:
    _require_free(around)
    active = cell.work.active
    if active is not None:
        raise Refusal("run-in-hand", station=cell.place.title, title=_title_of(cell, active))
    chosen = [_available(cell, operation, around) for operation in dict.fromkeys(command.operations)]
    if len(chosen) > cell.place.capacity:
        raise Refusal(
            "capacity",
            count=str(len(chosen)),
            station=cell.place.title,
            capacity=str(cell.place.capacity),
        )
    _require_one_setup(chosen)
    unconfirmed = _unconfirmed(chosen, command, around, cell.place.edge)
    events: list[did.Event] = []
    if cell.work.unassigned is not None:
        events.append(closing(cell.work.unassigned, cell.work.counter))
    move = RunEvent.SETUP if command.setup else RunEvent.START
    RUN.next(command.id, RunState.QUEUED, move)
    parts = tuple(did.RunPart(op.id, cell.left(op.id)) for op in chosen)
    events.append(did.RunOpened(command.id, parts, command.setup, unconfirmed))
    return events


def _require_free(around: Surroundings) -> None:
    if around.locked is not None:
        raise around.locked


def _available(cell: Workcell, operation: str, around: Surroundings) -> JobOperation:
    listed = cell.queue.operations.get(operation)
    if listed is None:
        raise Refusal("unknown-operation", operation=operation, station=cell.place.title)
    if operation in cell.queue.released:
        raise Refusal("released", title=listed.title)
    state = cell.progress(operation).state
    if state in (OperationState.FINISHED, OperationState.CANCELLED):
        raise Refusal("operation-ended", title=listed.title, state=STATE_WORDS[state])
    if operation in cell.work.in_hand:
        raise Refusal("run-in-hand", station=cell.place.title, title=listed.title)
    _require_released(listed, around)
    return listed


def _require_released(operation: JobOperation, around: Surroundings) -> None:
    """Work on a lot that does not conform waits for a disposition."""
    for held in around.holding(operation):
        why = Text(held.en, held.zh)
        if not held.nonconformance:
            raise Refusal("held-here", title=operation.title, why=why)
        raise Refusal("held", title=operation.title, number=held.nonconformance, why=why)


def _require_one_setup(chosen: list[JobOperation]) -> None:
    """Operations of one group were put together by the planner; a person's own choice must agree."""
    first = chosen[0]
    for other in chosen[1:]:
        if first.group and other.group == first.group:
            continue
        for attribute in sorted({*first.setup, *other.setup}):
            value, second = first.setup.get(attribute, ""), other.setup.get(attribute, "")
            if value != second:
                raise Refusal("mixed-setup", attribute=attribute, value=value or "-", other=second or "-")


def _unconfirmed(
    chosen: list[JobOperation], command: asked.OpenRun, around: Surroundings, edge: str
) -> tuple[str, ...]:
    """Predecessors that nobody has confirmed; raises Refusal unless the person may and did vouch for them.

    A station of the same edge is always heard, the others only as far as the network carries.
    """
    found: list[str] = []
    for operation in chosen:
        for before in operation.predecessors:
            if before.confirmed(around.finished):
                continue
            # Whether paint is dry only the service says: without it, a person may look.
            ended = before.operation in around.finished
            heard = (before.edge == edge and not ended) or (around.online and around.cloud)
            names: dict[str, str | Text] = {
                "title": operation.title,
                "predecessor": before.title,
                "workcell": before.workcell,
            }
            if heard:
                raise Refusal("predecessor-waits" if before.fit_at or ended else "predecessor-open", **names)
            if not command.unconfirmed_ok:
                raise Refusal("predecessor-unconfirmed", **names)
            found.append(before.operation)
    return tuple(dict.fromkeys(found))


def _first_piece(cell: Workcell, command: asked.ReleaseFirstPiece, around: Surroundings) -> list[did.Event]:
    _require_free(around)
    run = _run(cell, command.run)
    RUN.next(run.id, run.state, RunEvent.FIRST_PIECE)
    return [did.FirstPieceReleased(run.id)]


def _start(cell: Workcell, command: asked.StartRun, around: Surroundings) -> list[did.Event]:
    _require_free(around)
    run = _run(cell, command.run)
    RUN.next(run.id, run.state, RunEvent.START)
    return [did.RunStarted(run.id)]


def _pause(cell: Workcell, command: asked.PauseRun, around: Surroundings) -> list[did.Event]:
    run = _run(cell, command.run)
    RUN.next(run.id, run.state, RunEvent.PAUSE)
    return [did.RunPaused(run.id, command.reason)]


def _resume(cell: Workcell, command: asked.ResumeRun, around: Surroundings) -> list[did.Event]:
    _require_free(around)
    run = _run(cell, command.run)
    RUN.next(run.id, run.state, RunEvent.RESUME)
    active = cell.work.active
    if active is not None:
        raise Refusal("run-in-hand", station=cell.place.title, title=_title_of(cell, active))
    for part in run.parts:
        _require_released(cell.queue.operations[part.operation], around)
    events: list[did.Event] = []
    if cell.work.unassigned is not None:
        events.append(closing(cell.work.unassigned, cell.work.counter))
    return [*events, did.RunResumed(run.id)]


def _book(cell: Workcell, command: asked.Book, around: Surroundings) -> list[did.Event]:
    run = _run(cell, command.run)
    if run.state not in OPEN:
        RUN.next(run.id, run.state, RunEvent.COMPLETE)  # ended: the table says what is possible
    return [_booking(cell, run, command.booking)]


def _complete(cell: Workcell, command: asked.CompleteRun, around: Surroundings) -> list[did.Event]:
    run = _run(cell, command.run)
    RUN.next(run.id, run.state, RunEvent.COMPLETE)
    wanted = [booking for booking in command.bookings if booking.total]
    bookings = [_booking(cell, run, booking) for booking in wanted]
    booked: dict[str, Decimal] = {}
    for booking in wanted:
        booked[booking.operation] = booked.get(booking.operation, ZERO) + booking.total
        if booked[booking.operation] > cell.left(booking.operation):
            raise _over(cell, booking.operation, booked[booking.operation])
    finished = [
        part
        for part in run.parts
        if cell.progress(part.operation).total + booked.get(part.operation, ZERO)
        >= cell.queue.operations[part.operation].quantity
    ]
    for part in finished:
        good = sum((b.good for b in wanted if b.operation == part.operation), ZERO)
        _require_steps(cell, part, part.good + good)
    return [*bookings, did.RunCompleted(run.id, tuple(part.operation for part in finished))]


def _require_steps(cell: Workcell, part: Part, good: Decimal) -> None:
    """Good pieces need every step of the run that made them; an operation that is all scrap needs none."""
    operation = cell.queue.operations[part.operation]
    if good:
        require_done(operation, part.steps)
        require_measured(operation, part, good)
    elif cell.progress(part.operation).good:  # made in earlier runs
        require_done(operation, results_of(cell.work, part.operation))


def _abort(cell: Workcell, command: asked.AbortRun, around: Surroundings) -> list[did.Event]:
    run = _run(cell, command.run)
    RUN.next(run.id, run.state, RunEvent.ABORT)
    if run.booked:
        raise Refusal("abort-booked", count=shown(run.booked))
    return [did.RunAborted(run.id, command.reason)]


def _booking(cell: Workcell, run: Run, booking: asked.Booking) -> did.Booked:
    part = _part(cell, run, booking.operation)
    operation = cell.queue.operations[part.operation]
    for value in (booking.good, booking.scrap, booking.rework):
        if operation.unit == PIECE and value != value.to_integral_value():
            raise Refusal("quantity-whole", value=str(value))
    if not booking.total:
        raise Refusal("quantity-none")
    if booking.total > cell.left(operation.id):
        raise _over(cell, operation.id, booking.total)
    allowed = cell.place.scrap_reasons
    if booking.scrap and allowed and booking.reason not in allowed:
        raise (
            Refusal("unknown-reason", value=booking.reason, allowed=_listed(allowed))
            if booking.reason
            else Refusal("scrap-reason", allowed=_listed(allowed))
        )
    return did.Booked(run.id, operation.id, booking.good, booking.scrap, booking.rework, booking.reason)


def _over(cell: Workcell, operation: str, value: Decimal) -> Refusal:
    quantity = cell.queue.operations[operation].quantity
    return Refusal(
        "quantity-over", value=shown(value), left=shown(cell.left(operation)), quantity=shown(quantity)
    )


# --- steps ----------------------------------------------------------------------------------------------


def _step(cell: Workcell, command: asked.DoStep, around: Surroundings) -> list[did.Event]:
    run = _run(cell, command.run)
    if run.state not in OPEN:
        RUN.next(run.id, run.state, RunEvent.COMPLETE)
    part = _part(cell, run, command.operation)
    operation = cell.queue.operations[part.operation]
    if command.step >= len(operation.steps):
        raise Refusal(
            "unknown-step",
            title=operation.title,
            step=str(command.step + 1),
            count=str(len(operation.steps)),
        )
    step = operation.steps[command.step]
    value, ok = judged(step, command.value)
    done: list[did.Event] = [did.StepDone(run.id, operation.id, command.step, value, ok)]
    if step.kind is StepKind.MEASURE:
        measured = did.Action(command.id, around.now, cell.place.id, command.actor, done[0])
        return [*done, *holding(cell.work, cell.queue.operations, [measured])]
    # What is confirmed or scanned once for the sheet or the batch holds for each of its operations.
    for other in run.parts:
        steps = cell.queue.operations[other.operation].steps
        for number, same in enumerate(steps):
            if (
                same == step
                and number not in other.steps
                and (other.operation, number) != (part.operation, command.step)
            ):
                done.append(did.StepDone(run.id, other.operation, number, value, ok))
    return done


# --- lots on hold ---------------------------------------------------------------------------------------


def _release_hold(cell: Workcell, command: asked.ReleaseHold, around: Surroundings) -> list[did.Event]:
    """Whoever the site file names decides here, too: the service hears of it when it can."""
    listed = cell.queue.operations.get(command.operation)
    if listed is None:
        raise Refusal("unknown-operation", operation=command.operation, station=cell.place.title)
    held = next((each for each in around.holding(listed) if each.source == command.source), None)
    if held is None or not held.source:
        raise Refusal("not-held", title=listed.title)
    allowed = cell.place.releasers
    if command.actor.casefold() not in {name.casefold() for name in allowed}:
        if not allowed:
            raise Refusal("release-office", title=listed.title)
        raise Refusal("release-others", actor=command.actor, allowed=", ".join(allowed))
    return [did.LotReleased(listed.id, held.source, command.disposition, command.reason)]


# --- stops, andon, notes --------------------------------------------------------------------------------


def _stop_reason(cell: Workcell, command: asked.GiveStopReason, around: Surroundings) -> list[did.Event]:
    if command.stop not in cell.work.stops:
        raise Refusal("unknown-stop", stop=command.stop, station=cell.place.title)
    allowed = cell.place.stop_reasons
    if allowed and command.reason not in allowed:
        raise Refusal("unknown-reason", value=command.reason, allowed=_listed(allowed))
    return [did.StopReasoned(command.stop, command.reason, command.note)]


def _raise_andon(cell: Workcell, command: asked.RaiseAndon, around: Surroundings) -> list[did.Event]:
    allowed = cell.place.andon_topics
    if allowed and command.topic not in allowed:
        raise Refusal("unknown-reason", value=command.topic, allowed=_listed(allowed))
    if any(call.topic == command.topic for call in cell.work.andons.values()):
        raise Refusal("andon-open", topic=allowed.get(command.topic, Text(command.topic, command.topic)))
    return [did.AndonRaised(command.id, command.topic, command.note)]


def _clear_andon(cell: Workcell, command: asked.ClearAndon, around: Surroundings) -> list[did.Event]:
    call = cell.work.andons.get(command.andon)
    if call is None:
        raise Refusal("unknown-andon", andon=command.andon)
    ANDON.next(call.id, AndonState.OPEN, AndonEvent.CLEAR)
    return [did.AndonCleared(call.id)]


def _note(cell: Workcell, command: asked.WriteShiftNote, around: Surroundings) -> list[did.Event]:
    return [did.ShiftNote(command.note)]


def _undo(cell: Workcell, command: asked.Undo, around: Surroundings) -> list[did.Event]:
    return undo(cell.work, command.command, around.now)


_DECISIONS: dict[type, Callable[[Workcell, Any, Surroundings], list[did.Event]]] = {
    asked.OpenRun: _open,
    asked.ReleaseFirstPiece: _first_piece,
    asked.StartRun: _start,
    asked.PauseRun: _pause,
    asked.ResumeRun: _resume,
    asked.Book: _book,
    asked.CompleteRun: _complete,
    asked.AbortRun: _abort,
    asked.DoStep: _step,
    asked.ReleaseHold: _release_hold,
    asked.GiveStopReason: _stop_reason,
    asked.RaiseAndon: _raise_andon,
    asked.ClearAndon: _clear_andon,
    asked.WriteShiftNote: _note,
    asked.Undo: _undo,
}


# --- small lookups --------------------------------------------------------------------------------------


def _run(cell: Workcell, run_id: str) -> Run:
    run = cell.work.runs.get(run_id)
    if run is None:
        raise Refusal("unknown-run", run=run_id, station=cell.place.title)
    return run


def _part(cell: Workcell, run: Run, operation: str) -> Part:
    part = run.part(operation)
    if part is None:
        raise Refusal("not-in-run", operation=operation, run=run.id)
    return part


def _title_of(cell: Workcell, run: Run) -> Text | str:
    listed = cell.queue.operations.get(run.parts[0].operation)
    return listed.title if listed else run.id


def _listed(allowed: Mapping[str, Text]) -> Text:
    return Text(
        ", ".join(text.en for text in allowed.values()), "、".join(text.zh for text in allowed.values())
    )
