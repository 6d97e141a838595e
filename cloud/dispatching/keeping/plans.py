"""Plans in the database: each published one with its cause, what it changes, and for a while why it is so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from cloud.dispatching.floor.floor import Planned, current_version, read_plan
from cloud.dispatching.shop.explanation import Explanation, explain
from cloud.dispatching.shop.problem import Problem, State
from cloud.dispatching.shop.schedule import Objective, Schedule
from cloud.dispatching.shop.service_explanation import ServiceReason, explain_service
from cloud.dispatching.tables import plan, plan_operation, plan_service
from protocols.values import MICROSECONDS

EXPLAINED = 3
"""Plans whose problem is kept, newest first."""
MAX_MOVES = 200
"""Moved operations that a plan remembers one by one."""


class Cause(msgspec.Struct, frozen=True, order=True):
    """Why a plan is made anew: a stable kind, what it is about, and words for people."""

    kind: str
    about: str
    text: str


class Shift(msgspec.Struct, frozen=True):
    """How an order's end differs from the plan before, in seconds (negative: earlier)."""

    order: str
    seconds: int


class Moved(msgspec.Struct, frozen=True):
    """An operation that a plan put elsewhere: from one workcell to another, and so many seconds later."""

    operation: str
    order: str
    before: str
    after: str
    seconds: int


class Difference(msgspec.Struct, frozen=True):
    """What a plan changes against the one before, over the operations that both have."""

    moved: tuple[str, ...] = ()
    """Operations at another workcell."""
    later: int = 0
    earlier: int = 0
    """Operations that start at another time, by more than a second."""
    added: int = 0
    dropped: int = 0
    orders: tuple[Shift, ...] = ()
    moves: tuple[Moved, ...] = ()
    """What moved most: first to other workcells, then in time. ``MAX_MOVES`` at most, none in old plans."""


class StoredPlan(msgspec.Struct, frozen=True):
    """A plan as it is kept; times in µs UTC. ``seconds`` is how long planning took."""

    version: int
    created: int
    causes: tuple[Cause, ...]
    status: str
    seconds: float
    objective: Objective
    difference: Difference
    down: tuple[str, ...]
    wishes: tuple[str, ...]
    note: str
    decisions: tuple[int, ...] = ()
    """Ids of the decisions it heeds."""
    stuck: tuple[str, ...] = ()
    """Vehicles it does not count on."""


class PlannedService(msgspec.Struct, frozen=True):
    """A maintenance window of the plan, for a case; µs UTC."""

    case: str
    workcell: str
    start: int
    end: int


_problem = msgspec.msgpack.Decoder(Problem)
_schedule = msgspec.msgpack.Decoder(Schedule)


def planned(problem: Problem, schedule: Schedule) -> dict[str, Planned]:
    """The assignments of a schedule in µs UTC."""
    work = {o.id: o for o in problem.operations}
    return {
        name: Planned(
            workcell=a.machine,
            start=problem.utc(a.start),
            end=problem.utc(a.end),
            group=a.run or "",
            setup_seconds=a.setup_seconds,
            changeover_seconds=a.changeover_seconds,
            fixed=work[name].state is State.FIXED,
            due=problem.utc(work[name].due or 0),
            weight=work[name].weight,
        )
        for name, a in schedule.assignments.items()
    }


def difference(
    before: Mapping[str, Planned], after: Mapping[str, Planned], order_of: Mapping[str, str]
) -> Difference:
    """What ``after`` changes; ``order_of`` gives the order of every operation of ``after``."""
    both = [name for name in after if name in before]
    starts = {name: after[name].start - before[name].start for name in both}
    elsewhere = {name for name in both if before[name].workcell != after[name].workcell}
    moves = [name for name in both if name in elsewhere or abs(starts[name]) > MICROSECONDS]
    moves.sort(key=lambda name: (name not in elsewhere, -abs(starts[name]), name))
    ends: dict[str, tuple[int, int]] = {}
    for name in both:
        one, other = ends.get(order_of.get(name, ""), (0, 0))
        ends[order_of.get(name, "")] = (max(one, before[name].end), max(other, after[name].end))
    return Difference(
        moved=tuple(sorted(elsewhere)),
        later=sum(shift > MICROSECONDS for shift in starts.values()),
        earlier=sum(shift < -MICROSECONDS for shift in starts.values()),
        added=len(after) - len(both),
        dropped=len(before) - len(both),
        orders=tuple(
            Shift(order, (end - was) // MICROSECONDS)
            for order, (was, end) in sorted(ends.items())
            if abs(end - was) >= MICROSECONDS
        ),
        moves=tuple(
            Moved(
                name,
                order_of.get(name, ""),
                before[name].workcell,
                after[name].workcell,
                starts[name] // MICROSECONDS,
            )
            for name in moves[:MAX_MOVES]
        ),
    )


def store(
    tx: Connection,
    problem: Problem,
    schedule: Schedule,
    *,
    causes: Sequence[Cause],
    down: Sequence[str],
    seconds: float,
    now: int,
    keep: int,
    decisions: Sequence[int] = (),
    stuck: Sequence[str] = (),
    material: Mapping[str, int] | None = None,
    wishes: Sequence[str] | None = None,
    held: Collection[str] = (),
) -> int:
    """Put a plan in force and return its version; what is too old to look at is deleted.

    ``wishes`` are the keys of the maintenance that was asked for, where they are more than the ids of what
    the planner had to place.
    ``material`` is when the material of operations was expected (µs UTC), where it was not there; ``held``
    are those whose lot is on hold.
    """
    before = read_plan(tx, current_version(tx))
    after = planned(problem, schedule)
    order_of = {o.id: o.order_id for o in problem.operations}
    row = {
        "created": now,
        "causes": msgspec.to_builtins(list(causes)),
        "status": str(schedule.status),
        "seconds": seconds,
        "objective": msgspec.to_builtins(schedule.objective),
        "difference": msgspec.to_builtins(difference(before, after, order_of)),
        "down": sorted(down),
        "wishes": [task.id for task in problem.maintenance] if wishes is None else [*wishes],
        "note": schedule.note,
        "decisions": sorted(decisions),
        "stuck": sorted(stuck),
        "problem": msgspec.msgpack.encode(problem),
        "schedule": msgspec.msgpack.encode(schedule),
    }
    key = tx.execute(insert(plan).values(row)).inserted_primary_key
    version = int(key[0]) if key is not None else current_version(tx)
    expected = material or {}
    if after:
        tx.execute(
            insert(plan_operation),
            [_row(version, name, a, expected.get(name, 0), name in held) for name, a in after.items()],
        )
    if schedule.services:
        tx.execute(
            insert(plan_service),
            [
                {
                    "version": version,
                    "service_id": name,
                    "workcell": service.machine,
                    "start": problem.utc(service.start),
                    "end": problem.utc(service.end),
                }
                for name, service in schedule.services.items()
            ],
        )
    for table in (plan_operation, plan_service):
        tx.execute(delete(table).where(table.c.version <= version - keep))
    _forget_moves(tx, version - keep)
    # What is older has none any more: only the rows at the edge are looked at.
    old = plan.c.version.between(version - EXPLAINED - keep, version - EXPLAINED)
    tx.execute(update(plan).where(old, plan.c.problem.is_not(None)).values(problem=None, schedule=None))
    return version


def _forget_moves(tx: Connection, version: int) -> None:
    """What an old plan changed is kept in numbers and by order: operation by operation it would grow without
    end. One plan a time; those before it were seen to when they were at the edge.
    """
    row = tx.execute(select(plan.c.difference).where(plan.c.version == version)).first()
    if row is not None and row.difference.get("moves"):
        tx.execute(
            update(plan).where(plan.c.version == version).values(difference=row.difference | {"moves": []})
        )


def _row(version: int, name: str, a: Planned, material: int, held: bool) -> dict[str, Any]:
    return {
        "version": version,
        "operation_id": name,
        "workcell": a.workcell,
        "start": a.start,
        "end": a.end,
        "setup_seconds": a.setup_seconds,
        "changeover_seconds": a.changeover_seconds,
        "run_group": a.group,
        "fixed": int(a.fixed),
        "due": a.due,
        "weight": a.weight,
        "material": material,
        "held": int(held),
    }


def stored(tx: Connection, version: int = 0) -> StoredPlan | None:
    """A plan by version, the one in force for 0; None where there is none."""
    query = select(*_KEPT).where(plan.c.version == (version or current_version(tx)))
    row = tx.execute(query).first()
    return None if row is None else _stored(row)


def history(tx: Connection, *, before: int | None = None, limit: int = 50) -> list[StoredPlan]:
    """Plans, newest first; those older than version ``before`` where it is given."""
    query = select(*_KEPT).order_by(plan.c.version.desc()).limit(limit)
    if before is not None:
        query = query.where(plan.c.version < before)
    return [_stored(row) for row in tx.execute(query)]


_KEPT = [column for column in plan.c if column.name not in ("problem", "schedule")]
"""Without what is large and seldom asked for."""


def _stored(row: Any) -> StoredPlan:
    return StoredPlan(
        version=row.version,
        created=row.created,
        causes=tuple(msgspec.convert(row.causes, list[Cause])),
        status=row.status,
        seconds=row.seconds,
        objective=msgspec.convert(row.objective, Objective),
        difference=msgspec.convert(row.difference, Difference),
        down=tuple(row.down),
        wishes=tuple(row.wishes),
        note=row.note,
        decisions=tuple(row.decisions),
        stuck=tuple(row.stuck),
    )


def services(tx: Connection, version: int) -> list[PlannedService]:
    """The maintenance windows of a plan, the first one first."""
    at = plan_service.c
    query = select(at.service_id, at.workcell, at.start, at.end).where(at.version == version)
    return [PlannedService(*row) for row in tx.execute(query.order_by(at.start, at.service_id))]


def count(tx: Connection) -> int:
    """How many plans there have been, the first one included."""
    return current_version(tx)


def explanation(tx: Connection, operation: str) -> Explanation | None:
    """Why the plan in force has an operation where it is; None when it does not have it."""
    known = _in_force(tx)
    if known is None or operation not in known[1].assignments:
        return None
    return explain(*known, operation)


def service_reason(tx: Connection, case: str) -> tuple[ServiceReason, int] | None:
    """Why the plan in force has a maintenance where it is, with the origin of its times (µs UTC); None when
    it does not have it, or too long ago.
    """
    known = _in_force(tx)
    if known is None or case not in known[1].services:
        return None
    return explain_service(*known, case), known[0].origin


def _in_force(tx: Connection) -> tuple[Problem, Schedule] | None:
    row = tx.execute(
        select(plan.c.problem, plan.c.schedule).where(plan.c.version == current_version(tx))
    ).first()
    if row is None or row.problem is None:
        return None
    return _problem.decode(row.problem), _schedule.decode(row.schedule)
