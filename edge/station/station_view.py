"""What a station looks like from outside: the snapshot that the edge API gives and terminals show.

Times in µs UTC, quantities in the unit of their operation. A snapshot holds everything a screen needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from edge.station.quantities import shown
from edge.station.refusals import Parameter
from edge.station.unassigned import Machine, closing
from edge.station.undo import UNDO_SECONDS, undoable
from edge.station.work import ACTIVE, Andon, Note, Run, StepResult, Stop
from edge.station.workcell import Surroundings, Workcell
from protocols import actions as did
from protocols.jobs import JobOperation, MaintenanceOrder, Predecessor, Text
from protocols.lifecycles import CommandState, LockState, OperationState, RunState
from protocols.states import ItemState, OperationMode
from protocols.values import MICROSECONDS, Value


class Shape(StrEnum):
    """What the state of a station comes down to; every screen has a shape and a word for each."""

    RUNNING = "running"
    SETUP = "setup"
    STOPPED = "stopped"
    FAULT = "fault"
    IDLE = "idle"
    NO_DATA = "no-data"


class Link(Protocol):
    """What is known about the way to the cloud."""

    @property
    def online(self) -> bool: ...
    @property
    def cloud(self) -> bool: ...
    @property
    def last_ack(self) -> int | None: ...
    @property
    def queued_batches(self) -> int: ...
    @property
    def queued_actions(self) -> int: ...


class LinkView(msgspec.Struct, frozen=True):
    """``online``: the broker is reached; ``cloud``: the service answers; ``last_ack`` µs UTC or None."""

    online: bool = False
    cloud: bool = False
    last_ack: int | None = None
    queued_batches: int = 0
    queued_actions: int = 0


class MachineView(msgspec.Struct, frozen=True):
    """The machine of the station; ``device`` is empty where the work is manual."""

    device: str
    state: str
    since: int
    detail: str
    connected: bool
    counter: int | None


class WriteView(msgspec.Struct, frozen=True):
    """Something that may be done to a machine: a tag that may be written, or a method. ``value`` is the
    newest good one; None where it is not known."""

    target: str
    what: str
    effect: str
    two_people: bool
    type: str = ""
    unit: str = ""
    min: float | None = None
    max: float | None = None
    allowed: tuple[bool | int | float | str, ...] = ()
    inputs: dict[str, str] = {}
    value: Value = None
    description: str = ""


class CommandView(msgspec.Struct, frozen=True):
    """A command to a machine and what became of it; ``value`` is JSON text, times in µs UTC."""

    id: str
    target: str
    value: str
    state: CommandState
    detail: str
    actor: str
    intended: int
    ended: int


class ProgramView(msgspec.Struct, frozen=True):
    """A released program of a machine of which people are to know something, because its copy there is not as
    released. ``detail`` says why it cannot be read; ``asks``: nothing shows whether the machine runs it, so a
    person must look before it is sent; ``ran``: it was not replaced because the machine ran it;
    ``moving``: it is on its way."""

    program: str
    sha256: str
    state: str
    found: str
    wanted: bool
    asks: bool
    detail: str = ""
    ran: bool = False
    moving: bool = False


class OrderView(msgspec.Struct, frozen=True):
    """A maintenance order of a machine. ``since`` (µs UTC) and ``by`` whom it was begun, 0 while it is not;
    ``found`` is what was seen so far."""

    order: MaintenanceOrder
    since: int = 0
    by: str = ""
    found: str = ""


class LifeView(msgspec.Struct, frozen=True):
    """What is known of a machine's life here. In ``unit``; ``upper`` is None beyond ``horizon``; ``life`` is
    None before the first row. ``seen`` is false while the model does not know what the machine does: then the
    numbers are older than the newest row. ``at`` is when the row stood that they belong to (µs UTC).
    """

    device: str
    unit: str
    horizon: float
    age: int
    life: float | None = None
    lower: float | None = None
    upper: float | None = None
    at: int = 0
    seen: bool = True


class ControlView(msgspec.Struct, frozen=True):
    """A machine of the station as its people control it. ``firmware`` waits to be accepted."""

    device: str
    title: str
    connected: bool
    lock: LockState = LockState.FREE
    owner: str = ""
    reason: str = ""
    since: int = 0
    firmware: str = ""
    writes: tuple[WriteView, ...] = ()
    commands: tuple[CommandView, ...] = ()
    programs: tuple[ProgramView, ...] = ()
    orders: tuple[OrderView, ...] = ()
    life: LifeView | None = None


class OperationView(msgspec.Struct, frozen=True):
    """An operation with what this station knows of it. ``waits_for`` are predecessors not confirmed yet;
    ``vouchable`` says that a person may start all the same, because the network does not carry.
    """

    operation: JobOperation
    state: OperationState
    good: Decimal
    scrap: Decimal
    rework: Decimal
    left: Decimal
    waits_for: tuple[Predecessor, ...]
    vouchable: bool

    @property
    def ready(self) -> bool:
        """Whether nothing keeps it from being begun."""
        return not self.waits_for and not self.operation.held


class PartView(msgspec.Struct, frozen=True):
    """An operation in a run: the pieces of this run and its steps by number."""

    view: OperationView
    quantity: Decimal
    good: Decimal
    scrap: Decimal
    rework: Decimal
    steps: dict[int, StepResult]


class RunView(msgspec.Struct, frozen=True):
    """A run in hand. ``machine_parts`` is what the machine's counter proposes, None where there is none."""

    id: str
    state: RunState
    active: bool
    actor: str
    opened: int
    since: int
    parts: tuple[PartView, ...]
    unconfirmed: tuple[str, ...]
    reason: str
    booked: Decimal
    machine_parts: int | None


class UnassignedView(msgspec.Struct, frozen=True):
    """The machine works and nobody booked it."""

    since: int
    parts: int


class LastView(msgspec.Struct, frozen=True):
    """The last thing a person did here; ``undo_until`` is 0 when it cannot be taken back."""

    command: str
    what: str
    parameters: dict[str, Parameter]
    ts: int
    actor: str
    undo_until: int


class StationView(msgspec.Struct, frozen=True):
    """A station, whole. ``now`` is the edge's clock when the snapshot was made."""

    station: str
    edge: str
    title: Text
    kind: str
    run: str
    capacity: int
    now: int
    shape: Shape
    machine: MachineView
    link: LinkView
    jobs_version: int
    runs: tuple[RunView, ...]
    queue: tuple[OperationView, ...]
    andons: tuple[Andon, ...]
    stops: tuple[Stop, ...]
    unassigned: UnassignedView | None
    last: LastView | None
    notes: tuple[Note, ...]
    stop_reasons: dict[str, Text]
    scrap_reasons: dict[str, Text]
    andon_topics: dict[str, Text]
    terminals: int
    """Terminals that are attached; virtual operators keep away from a station that has one."""
    machines: tuple[ControlView, ...] = ()
    releasers: tuple[str, ...] = ()
    """Those who may decide here about a lot on hold."""


class StationSummary(msgspec.Struct, frozen=True):
    """A station in the list of an edge."""

    station: str
    title: Text
    kind: str
    shape: Shape
    terminals: int


class Receipt(msgspec.Struct, frozen=True):
    """Accepted, and on disk. ``repeated``: it had been accepted before and nothing happened again."""

    command: str
    ts: int
    actions: tuple[str, ...]
    repeated: bool = False


def view(
    cell: Workcell,
    machine: Machine,
    link: Link,
    around: Surroundings,
    terminals: int,
    machines: tuple[ControlView, ...] = (),
) -> StationView:
    """The snapshot of a station."""
    place, work = cell.place, cell.work
    in_hand = work.in_hand
    return StationView(
        station=place.id,
        edge=place.edge,
        title=place.title,
        kind=place.kind,
        run=place.run,
        capacity=place.capacity,
        now=around.now,
        shape=shape(cell, machine),
        machine=MachineView(
            machine.device,
            str(machine.item_state),
            machine.since,
            machine.detail,
            machine.connected,
            work.counter,
        ),
        link=LinkView(link.online, link.cloud, link.last_ack, link.queued_batches, link.queued_actions),
        jobs_version=cell.queue.version,
        runs=tuple(_run(cell, run, machine, around) for run in work.open_runs),
        queue=tuple(
            _operation(cell, operation, around)
            for operation in sorted(
                cell.queue.operations.values(), key=lambda op: (op.planned_start, op.order, op.line, op.id)
            )
            if operation.id not in in_hand
            and operation.id not in cell.queue.released
            and cell.progress(operation.id).state not in (OperationState.FINISHED, OperationState.CANCELLED)
        ),
        andons=tuple(work.andons.values()),
        stops=tuple(stop for stop in work.stops.values() if not stop.ended or not stop.reason),
        unassigned=_unassigned(cell),
        last=_last(cell),
        notes=work.notes,
        stop_reasons=dict(place.stop_reasons),
        scrap_reasons=dict(place.scrap_reasons),
        andon_topics=dict(place.andon_topics),
        terminals=terminals,
        machines=machines,
        releasers=place.releasers,
    )


def shape(cell: Workcell, machine: Machine) -> Shape:
    """What the machine says where there is one, else what the run in hand says."""
    if machine.device:
        if not machine.connected or machine.item_state is ItemState.NOT_AVAILABLE:
            return Shape.NO_DATA
        if machine.item_state is ItemState.OUT_OF_SERVICE:
            return Shape.FAULT
        if machine.mode is OperationMode.SETUP:
            return Shape.SETUP
        if machine.item_state is ItemState.EXECUTING:
            return Shape.RUNNING
        if any(not stop.ended for stop in cell.work.stops.values()):
            return Shape.STOPPED
    active = cell.work.active
    if active is None:
        return Shape.STOPPED if cell.work.open_runs else Shape.IDLE
    if machine.device:
        return Shape.IDLE
    return Shape.RUNNING if active.state is RunState.RUNNING else Shape.SETUP


def waits_for(operation: JobOperation, finished: Mapping[str, str]) -> tuple[Predecessor, ...]:
    """Predecessors that neither the job list nor any neighbour has told may be followed."""
    return tuple(p for p in operation.predecessors if not p.confirmed(finished))


def _operation(cell: Workcell, operation: JobOperation, around: Surroundings) -> OperationView:
    progress = cell.progress(operation.id)
    waiting = waits_for(operation, around.finished)
    carries = around.online and around.cloud
    held = around.holding(operation)
    if held != operation.held:
        operation = msgspec.structs.replace(operation, held=held)
    return OperationView(
        operation=operation,
        state=progress.state,
        good=progress.good,
        scrap=progress.scrap,
        rework=progress.rework,
        left=cell.left(operation.id),
        waits_for=waiting,
        vouchable=bool(waiting)
        and not carries
        and all(p.edge != cell.place.edge or p.operation in around.finished for p in waiting),
    )


def _run(cell: Workcell, run: Run, machine: Machine, around: Surroundings) -> RunView:
    return RunView(
        id=run.id,
        state=run.state,
        active=run.state in ACTIVE,
        actor=run.actor,
        opened=run.opened,
        since=run.since,
        parts=tuple(
            PartView(
                _operation(cell, cell.queue.operations[part.operation], around),
                part.quantity,
                part.good,
                part.scrap,
                part.rework,
                part.steps,
            )
            for part in run.parts
        ),
        unconfirmed=run.unconfirmed,
        reason=run.reason,
        booked=run.booked,
        machine_parts=cell.work.machine_parts(run) if cell.work.counter is not None else None,
    )


def _unassigned(cell: Workcell) -> UnassignedView | None:
    found = cell.work.unassigned
    return None if found is None else UnassignedView(found.since, closing(found, cell.work.counter).parts)


def _last(cell: Workcell) -> LastView | None:
    done = cell.work.last
    if done is None:
        return None
    event = next(
        (a.event for a in done.actions if not isinstance(a.event, did.UnassignedClosed)),
        done.actions[0].event,
    )
    if any(isinstance(action.event, did.Undone) for action in done.actions):
        what, parameters = "undone", {}
    else:
        what, parameters = str(event.__struct_config__.tag), _parameters(cell, event)
    until = done.ts + UNDO_SECONDS * MICROSECONDS if undoable(cell.work) else 0
    return LastView(done.command, what, parameters, done.ts, done.actor, until)


def _parameters(cell: Workcell, event: did.Event) -> dict[str, Parameter]:
    """What a screen says about an action beside its name."""
    match event:
        case did.Booked(good=good, scrap=scrap, rework=rework):
            return {"good": shown(good), "scrap": shown(scrap), "rework": shown(rework)}
        case did.StepDone(step=step, value=value, ok=ok):
            return {"step": str(step + 1), "value": value, "ok": "ok" if ok else "not-ok"}
        case did.AndonRaised(topic=topic):
            return {"topic": cell.place.andon_topics.get(topic, topic)}
        case did.StopReasoned(reason=reason):
            return {"reason": cell.place.stop_reasons.get(reason, reason)}
        case did.RunPaused(reason=reason):
            return {"reason": reason}
        case did.MachineLocked(device=device) | did.LockReleased(device=device):
            return {"device": device}
        case did.MachineAccepted(device=device):
            return {"device": device}
        case did.FirmwareAccepted(device=device, firmware=firmware):
            return {"device": device, "firmware": firmware}
        case did.MachineCommanded(device=device, target=target, value=value):
            return {"device": device, "target": target, "value": value}
        case did.MachineCommandEnded(device=device, state=state):
            return {"device": device, "state": state}
        case (
            did.MaintenanceStarted(device=device)
            | did.MaintenanceFound(device=device)
            | did.MaintenanceBrokenOff(device=device)
            | did.MaintenanceDone(device=device)
            | did.MaintenanceRefused(device=device)
            | did.MaintenanceKept(device=device)
            | did.MaintenanceMoved(device=device)
        ):
            return {"device": device}
        case _:
            return {}
