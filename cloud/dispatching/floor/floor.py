"""The shop floor as the planner sees it: one consistent reading of the database, as plain data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from cloud.dispatching.floor import decisions, outages
from cloud.dispatching.floor.decisions import Decision
from cloud.dispatching.floor.outages import Down
from cloud.dispatching.tables import plan, plan_operation
from cloud.orders import tables as t
from cloud.orders.leases import Lease, all_leases, asked
from cloud.orders.routing import Link
from cloud.quality.nonconformances import Nonconformance
from cloud.quality.plans import held
from protocols.lifecycles import OperationState, RunState
from protocols.site import Site

URGENT_WEIGHT = 5
"""How much more a remake's tardiness weighs than its order's."""
OPEN_STATES = (OperationState.PLANNED, OperationState.RUNNING, OperationState.PAUSED)
OPEN_RUNS = tuple(state for state in RunState if state not in (RunState.COMPLETED, RunState.ABORTED))
"""Asked for by name: an index finds what is open, but not what is *not* finished."""


class Hold(msgspec.Struct, frozen=True):
    """Why work on a lot may not go on, and since when (µs UTC): a nonconformance nobody has decided about."""

    nonconformance: int
    since: int
    text: str


class OpenOperation(msgspec.Struct, frozen=True):
    """An operation that is not finished, with what the planner needs of its job and order."""

    id: str
    order: str
    job: str
    title: str
    kind: str
    position: int
    state: OperationState
    quantity: Decimal
    made: Decimal
    predecessors: tuple[str, ...]
    setup: dict[str, str]
    setup_seconds: Decimal
    seconds_per_run: Decimal
    seconds_per_piece: Decimal
    due: int
    priority: int
    urgent: bool
    rework_of: str = ""
    interruptible: bool = False
    needs: dict[str, int] = {}
    links: dict[str, Link] = {}
    """How it follows a predecessor, where that is more than *after its end*."""
    material_at: int | None = None
    held: Hold | None = None

    @property
    def weight(self) -> int:
        """What a second of its order's tardiness costs."""
        return self.priority * (URGENT_WEIGHT if self.urgent else 1)

    @property
    def left(self) -> Decimal:
        """Pieces still to be made, rework not counted."""
        return max(self.quantity - self.made, Decimal(0))

    @property
    def run_seconds(self) -> int:
        """Seconds of what is left, set-up not counted; at least one."""
        return max(1, round(self.seconds_per_run + self.seconds_per_piece * self.left))


class ActiveRun(msgspec.Struct, frozen=True):
    """A run in hand at a workcell. ``done`` is the share of its pieces that is booked, 0…1."""

    id: str
    workcell: str
    state: RunState
    opened: int
    paused: int | None
    paused_us: int
    operations: tuple[str, ...]
    done: float

    def worked_us(self, now: int) -> int:
        """µs it has been worked on until ``now``, pauses left out."""
        pausing = max(0, now - self.paused) if self.paused is not None else 0
        return max(0, now - self.opened - self.paused_us - pausing)


class Finished(msgspec.Struct, frozen=True):
    """A finished predecessor: where its pieces are and since when."""

    workcell: str
    at: int


class Planned(msgspec.Struct, frozen=True):
    """Where the plan in force has an operation, and for which promise; µs UTC, ``due`` in whole seconds."""

    workcell: str
    start: int
    end: int
    group: str = ""
    setup_seconds: int = 0
    changeover_seconds: int = 0
    fixed: bool = False
    due: int = 0
    weight: int = 0
    material: int = 0
    """When its material was expected; 0 where it was there."""
    held: bool = False
    """Whether its lot was on hold."""


class Floor(msgspec.Struct, frozen=True):
    """Everything at one moment. ``finished`` has finished predecessors of open operations."""

    now: int
    operations: tuple[OpenOperation, ...]
    runs: tuple[ActiveRun, ...]
    leases: dict[str, Lease]
    asked: frozenset[str]
    """Operations that an edge was asked to give back and has not answered for."""
    finished: dict[str, Finished]
    setups: dict[str, dict[str, str]]
    down: dict[str, Down]
    version: int
    planned: dict[str, Planned]
    ended: dict[str, int]
    """Operations of the plan in force that are finished, and when."""
    stuck: dict[str, Down] = {}
    """Vehicles of the site that nobody can count on."""
    decisions: tuple[Decision, ...] = ()
    """What people decided about planning, as far as it is not over."""
    withdrawn: tuple[Decision, ...] = ()
    """Decisions that the plan in force heeds, and that were revoked since."""

    def run_of(self) -> dict[str, ActiveRun]:
        """The run in hand of every operation that has one."""
        return {name: run for run in self.runs for name in run.operations}


def read_floor(tx: Connection, site: Site, now: int, repair_seconds: int) -> Floor:
    """Read the floor; ``repair_seconds`` is what a machine is down where its past says nothing."""
    operations = _operations(tx)
    version = current_version(tx)
    planned = read_plan(tx, version)
    troubles = outages.troubles(tx)
    return Floor(
        now=now,
        operations=operations,
        runs=_runs(tx),
        leases=all_leases(tx),
        asked=frozenset(asked(tx)),
        finished=_finished(tx, operations),
        setups=_setups(tx, site),
        down=outages.down(tx, site, troubles, now, repair_seconds),
        version=version,
        planned=planned,
        ended=_ended(tx, version),
        stuck=outages.stuck(site, troubles, now, repair_seconds),
        decisions=tuple(decisions.current(tx, now)),
        withdrawn=tuple(decisions.withdrawn(tx, _heeded(tx, version))),
    )


def read_again(tx: Connection, floor: Floor, orders: Collection[str]) -> Floor:
    """``floor`` with these orders, with what edges hold and what is decided as they are in ``tx``.

    For a transaction that changed no more than that: it reads a small part of what :func:`read_floor` does.
    """
    others = [operation for operation in floor.operations if operation.order not in orders]
    operations = sorted([*others, *_operations(tx, orders)], key=lambda o: (o.job, o.position, o.id))
    return msgspec.structs.replace(
        floor,
        operations=tuple(operations),
        runs=_runs(tx),
        leases=all_leases(tx),
        asked=frozenset(asked(tx)),
        finished=_finished(tx, tuple(operations)),
        decisions=tuple(decisions.current(tx, floor.now)),
        withdrawn=tuple(decisions.withdrawn(tx, _heeded(tx, floor.version))),
    )


def _operations(tx: Connection, orders: Collection[str] | None = None) -> tuple[OpenOperation, ...]:
    """Open operations, of all orders or of some."""
    query = (
        select(
            t.operation,
            t.job.c.order_id,
            t.job.c.urgent,
            t.job.c.material_at,
            t.orders.c.due,
            t.orders.c.priority,
        )
        .join(t.job, t.job.c.id == t.operation.c.job_id)
        .join(t.orders, t.orders.c.id == t.job.c.order_id)
        .where(t.operation.c.state.in_(OPEN_STATES))
        .order_by(t.operation.c.job_id, t.operation.c.position, t.operation.c.id)
    )
    if orders is not None:
        query = query.where(t.job.c.order_id.in_(orders))
    rows = tx.execute(query).all()
    holds = held(tx, {row.job_id for row in rows})
    return tuple(
        OpenOperation(
            id=row.id,
            order=row.order_id,
            job=row.job_id,
            title=row.title,
            kind=row.kind,
            position=row.position,
            state=OperationState(row.state),
            quantity=row.quantity,
            made=row.good + row.scrap + row.rework,
            predecessors=tuple(row.predecessors),
            setup=row.setup,
            setup_seconds=row.setup_seconds,
            seconds_per_run=row.seconds_per_run,
            seconds_per_piece=row.seconds_per_piece,
            due=row.due,
            priority=row.priority,
            urgent=bool(row.urgent),
            rework_of=row.rework_of or "",
            interruptible=bool(row.interruptible),
            needs=row.needs,
            links=msgspec.convert(row.links, dict[str, Link]),
            material_at=row.material_at if not row.predecessors else None,
            held=_hold(holds.get(row.id, ())),
        )
        for row in rows
    )


def _hold(found: Sequence[Nonconformance]) -> Hold | None:
    """The oldest of what holds an operation: each is decided about for itself."""
    return Hold(found[0].id, found[0].opened, found[0].text) if found else None


def _runs(tx: Connection) -> tuple[ActiveRun, ...]:
    rows = tx.execute(
        select(t.run, t.run_part.c.operation_id, t.run_part.c.quantity, t.run_part.c.good, t.run_part.c.scrap)
        .join(t.run_part, t.run_part.c.run_id == t.run.c.id)
        .where(t.run.c.state.in_(OPEN_RUNS), t.run_part.c.effective)
        .order_by(t.run.c.opened, t.run.c.id, t.run_part.c.operation_id)
    ).all()
    by_run: dict[str, list[Any]] = {}
    for row in rows:
        by_run.setdefault(row.id, []).append(row)
    return tuple(
        ActiveRun(
            id=name,
            workcell=parts[0].workcell,
            state=RunState(parts[0].state),
            opened=parts[0].opened,
            paused=parts[0].paused,
            paused_us=parts[0].paused_us,
            operations=tuple(part.operation_id for part in parts),
            done=_share(sum(p.good + p.scrap for p in parts), sum(p.quantity for p in parts)),
        )
        for name, parts in by_run.items()
    )


def _share(part: Decimal, whole: Decimal) -> float:
    return min(1.0, float(part / whole)) if whole > 0 else 1.0


def _finished(tx: Connection, operations: tuple[OpenOperation, ...]) -> dict[str, Finished]:
    still_open = {operation.id for operation in operations}
    names = sorted({name for o in operations for name in o.predecessors} - still_open)
    found: dict[str, Finished] = {}
    at = t.operation.c
    for start in range(0, len(names), 500):
        rows = tx.execute(
            select(at.id, at.workcell, at.finished).where(
                at.id.in_(names[start : start + 500]), at.finished.is_not(None)
            )
        )
        found.update((row.id, Finished(row.workcell or "", row.finished)) for row in rows)
    return found


def _ended(tx: Connection, version: int) -> dict[str, int]:
    rows = tx.execute(
        select(t.operation.c.id, t.operation.c.finished)
        .join(plan_operation, plan_operation.c.operation_id == t.operation.c.id)
        .where(plan_operation.c.version == version, t.operation.c.state == OperationState.FINISHED)
    )
    return {row.id: row.finished or 0 for row in rows}


def _setups(tx: Connection, site: Site) -> dict[str, dict[str, str]]:
    """How each workcell is set up: as its newest run needed it."""
    newest: dict[str, Any] = {}
    rows = tx.execute(
        select(t.run.c.workcell, t.operation.c.setup)
        .join(t.run_part, t.run_part.c.run_id == t.run.c.id)
        .join(t.operation, t.operation.c.id == t.run_part.c.operation_id)
        .where(t.run.c.id.in_(_newest_runs(tx, site)))
        .order_by(t.run_part.c.operation_id)
    )
    for row in rows:
        newest.setdefault(row.workcell, row.setup)
    return newest


def _newest_runs(tx: Connection, site: Site) -> list[str]:
    """One look-up for each workcell: a single query would read every run there ever was."""
    newest: list[str] = []
    for cell in site.workcells():
        last = select(t.run.c.id).where(t.run.c.workcell == cell).order_by(t.run.c.opened.desc())
        newest += tx.execute(last.order_by(t.run.c.id.desc()).limit(1)).scalars()
    return newest


def current_version(tx: Connection) -> int:
    """Version of the plan in force; 0 where there is none."""
    newest = select(plan.c.version).order_by(plan.c.version.desc()).limit(1)
    return int(tx.execute(newest).scalar_one_or_none() or 0)


def read_plan(tx: Connection, version: int) -> dict[str, Planned]:
    """Where a plan has each operation."""
    rows = tx.execute(select(plan_operation).where(plan_operation.c.version == version))
    return {
        row.operation_id: Planned(
            workcell=row.workcell,
            start=row.start,
            end=row.end,
            group=row.run_group,
            setup_seconds=row.setup_seconds,
            changeover_seconds=row.changeover_seconds,
            fixed=bool(row.fixed),
            due=row.due,
            weight=row.weight,
            material=row.material,
            held=bool(row.held),
        )
        for row in rows
    }


def _heeded(tx: Connection, version: int) -> list[int]:
    """Ids of the decisions that a plan heeds."""
    return tx.execute(select(plan.c.decisions).where(plan.c.version == version)).scalar_one_or_none() or []


def effective_lease(floor: Floor, operation: str) -> Lease | None:
    """The lease that binds the planner: one that was not given back."""
    lease = floor.leases.get(operation)
    return None if lease is None or lease.returned else lease


def just_returned(floor: Floor, operation: str) -> bool:
    """Whether it was given back and no plan knows it yet: only the next one says where it goes."""
    lease = floor.leases.get(operation)
    return lease is not None and lease.returned
