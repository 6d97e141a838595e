"""The job list of an edge: what it holds, what it has in hand, and the next few operations planned there.

Only a few go out ahead, so that planning stays free; what has gone out stays until the edge is done with it
or gave it back. A new version is issued only when something changes that the station should know.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select

from cloud.dispatching.floor.floor import Floor, Planned, effective_lease, just_returned
from cloud.dispatching.keeping.maintenance_orders import orders, timeless
from cloud.orders import leases
from cloud.orders import tables as t
from cloud.orders.routing import Link, link
from cloud.quality.nonconformances import told_by_stations
from cloud.quality.plans import HandedOut
from protocols.jobs import JobList, JobOperation, MaintenanceOrder, Predecessor, Step, Text
from protocols.lifecycles import OperationState
from protocols.site import Site
from protocols.values import MICROSECONDS

KEPT_LISTS = 10
"""Versions of an edge's job list that stay in the database."""
TIME_SLACK = 60 * MICROSECONDS
"""A planned time that moves by less than this (or a quarter of the work) is no news for a station."""


def chosen(floor: Floor, cells: tuple[str, ...], ahead: int) -> dict[str, list[str]]:
    """Operations by workcell, in order: in hand, then held or planned among the next ``ahead``.

    Operations of one planned run go out together. What was asked back, or given back and not planned since,
    goes out nowhere, nor does work on a lot that is on hold: only where it went out before, a station says
    why it waits.
    """
    run_of = floor.run_of()
    result: dict[str, list[str]] = {}
    for cell in cells:
        in_hand = [name for run in floor.runs if run.workcell == cell for name in run.operations]
        in_hand = [o.id for o in floor.operations if o.id in set(in_hand)]
        queue: list[tuple[int, str]] = []
        free: set[str] = set()
        for operation in floor.operations:
            if operation.id in run_of or operation.id in floor.asked or just_returned(floor, operation.id):
                continue
            held, planned = effective_lease(floor, operation.id), floor.planned.get(operation.id)
            if held is not None:
                if held.workcell == cell:
                    queue.append((planned.start if planned else 0, operation.id))
            elif planned is not None and planned.workcell == cell and operation.held is None:
                queue.append((planned.start, operation.id))
                free.add(operation.id)
        queue.sort()
        result[cell] = in_hand + _next(floor, [name for _, name in queue], free, ahead)
    return result


def _next(floor: Floor, queue: list[str], free: set[str], ahead: int) -> list[str]:
    near = set(queue[:ahead])
    groups = {floor.planned[name].group for name in near & free} - {""}
    return [
        name for name in queue if name in near or name not in free or (floor.planned[name].group in groups)
    ]


class Rendering:
    """Everything beside the floor that a job list shows; read once for all edges."""

    def __init__(self, tx: Connection, floor: Floor, site: Site, names: set[str]) -> None:
        self.floor = floor
        self.edge_of = site.edge_of()
        self.work = {operation.id: operation for operation in floor.operations}
        self.operations = _rows(tx, t.operation, t.operation.c.id, names)
        before = {name for row in self.operations.values() for name in row.predecessors} - names
        self.operations |= _rows(tx, t.operation, t.operation.c.id, before)
        self.jobs = _rows(tx, t.job, t.job.c.id, {self.operations[name].job_id for name in names})
        self.instructions = _rows(tx, t.instruction, t.instruction.c.operation_id, names)
        self.quality = HandedOut(tx, self.instructions, {name: self.operations[name] for name in names})

    def operation(self, name: str, workcell: str, position: int) -> JobOperation:
        """One operation as its station needs it."""
        row, work = self.operations[name], self.work[name]
        job = self.jobs[row.job_id]
        planned = self.floor.planned.get(name)
        lease = effective_lease(self.floor, name)
        steps = self.instructions.get(name)
        return JobOperation(
            id=name,
            order=work.order,
            job=work.job,
            line=job.line,
            title=Text(row.title, row.title_zh),
            product=Text(job.title, job.title_zh),
            variant=job.variant,
            workcell=workcell,
            position=position,
            quantity=row.quantity,
            unit=job.unit,
            good=row.good,
            scrap=row.scrap,
            state=row.state if row.state != OperationState.PLANNED else OperationState.LEASED,
            planned_start=planned.start if planned else 0,
            planned_end=planned.end if planned else 0,
            due=work.due,
            setup=row.setup,
            steps=msgspec.json.decode(steps.steps, type=tuple[Step, ...]) if steps is not None else (),
            predecessors=tuple(
                self._predecessor(before, link(row.links, before)) for before in row.predecessors
            ),
            group=self._group(planned, lease),
            program=row.program,
            setup_seconds=round(row.setup_seconds),
            run_seconds=max(1, round(row.seconds_per_run + row.seconds_per_piece * row.quantity)),
            remake_of=job.remake_of or "",
            inspection=self.quality.inspection(name, workcell),
            held=self.quality.held(name),
            notices=self.quality.notices(name),
        )

    def _group(self, planned: Planned | None, lease: leases.Lease | None) -> str:
        if lease is not None:
            return lease.group
        return planned.group if planned is not None and not planned.fixed else ""

    def _predecessor(self, name: str, how: Link) -> Predecessor:
        row = self.operations[name]
        planned, lease = self.floor.planned.get(name), effective_lease(self.floor, name)
        workcell = row.workcell or (lease.workcell if lease else planned.workcell if planned else "")
        done = row.state in (OperationState.FINISHED, OperationState.CANCELLED)
        lag = how.at_least if row.state != OperationState.CANCELLED else 0
        fit_at = row.finished + lag * MICROSECONDS if lag and done and row.finished is not None else 0
        return Predecessor(
            operation=name,
            workcell=workcell,
            edge=self.edge_of.get(workcell, ""),
            finished=(done and self.floor.now >= fit_at) or how.enough(row.good),
            title=Text(row.title, row.title_zh),
            lag=lag,
            fit_at=fit_at,
        )


def _rows(tx: Connection, table: Any, key: Any, names: set[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    ordered = sorted(names)
    for start in range(0, len(ordered), 500):
        for row in tx.execute(select(table).where(key.in_(ordered[start : start + 500]))):
            found[getattr(row, key.name)] = row
    return found


class Draft(msgspec.Struct, frozen=True):
    """The list that an edge should have and does not. ``version`` is that of the one it has, 0 for none."""

    edge: str
    version: int
    operations: tuple[JobOperation, ...]
    maintenance: tuple[MaintenanceOrder, ...] = ()
    holds: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()


def drafts(tx: Connection, floor: Floor, site: Site, ahead: int) -> list[Draft]:
    """The lists that changed since they were issued."""
    found: list[Draft] = []
    maintenance = orders(tx, site)
    for edge, operations in _lists(tx, floor, site, ahead).items():
        last, services = newest(tx, edge), maintenance.get(edge, ())
        told = told_by_stations(tx, {operation.job for operation in operations})
        if last is None:
            if operations or services:
                found.append(Draft(edge, 0, operations, services, *told))
        elif (
            _is_news(last.operations, operations)
            or _is_other(last.maintenance, services)
            or told != (last.holds, last.releases)
        ):
            found.append(Draft(edge, last.version, operations, services, *told))
    return found


def _lists(tx: Connection, floor: Floor, site: Site, ahead: int) -> dict[str, tuple[JobOperation, ...]]:
    """What every edge should have."""
    queues = {edge.id: chosen(floor, edge.workcells, ahead) for edge in site.edges}
    names = {name for cells in queues.values() for queue in cells.values() for name in queue}
    rendering = Rendering(tx, floor, site, names)
    return {
        edge: tuple(
            rendering.operation(name, cell, position)
            for cell, queue in cells.items()
            for position, name in enumerate(queue)
        )
        for edge, cells in queues.items()
    }


def issue(tx: Connection, floor: Floor, site: Site, ahead: int, now: int) -> list[JobList]:
    """Issue a new version for every edge whose list changed; the caller sends them after the commit.

    ``floor`` must have been read in the same transaction, or an operation could be leased that is finished.
    """
    return [_issue(tx, draft, now) for draft in drafts(tx, floor, site, ahead)]


def reissue(tx: Connection, floor: Floor, site: Site, ahead: int, edge: str, now: int) -> JobList | None:
    """The edge's list as a new version though nothing has changed: it takes and confirms it."""
    version = getattr(newest(tx, edge), "version", 0)
    operations = _lists(tx, floor, site, ahead).get(edge, ())
    services = orders(tx, site).get(edge, ())
    if not version and not operations and not services:
        return None
    told = told_by_stations(tx, {operation.job for operation in operations})
    return _issue(tx, Draft(edge, version, operations, services, *told), now)


def _issue(tx: Connection, draft: Draft, now: int) -> JobList:
    # Milliseconds of now: grows on even when the database was put back to an older copy.
    version = max(draft.version + 1, now // 1000)
    jobs = JobList(draft.edge, version, now, draft.operations, draft.maintenance, draft.holds, draft.releases)
    _store(tx, jobs, now)
    held = [(o.id, o.workcell, o.group) for o in draft.operations]
    leases.offer(tx, draft.edge, version, held, now)
    return jobs


def _is_news(before: tuple[JobOperation, ...], after: tuple[JobOperation, ...]) -> bool:
    """Whether a station should know: anything but its own counts and small shifts in time."""
    if digest(before) != digest(after):
        return True
    for one, other in zip(before, after, strict=True):
        slack = min(TIME_SLACK, max(MICROSECONDS, other.run_seconds * MICROSECONDS // 4))
        shifts = abs(one.planned_start - other.planned_start), abs(one.planned_end - other.planned_end)
        if max(shifts) > slack and other.state not in (OperationState.RUNNING, OperationState.PAUSED):
            return True
    return False


def _is_other(before: tuple[MaintenanceOrder, ...], after: tuple[MaintenanceOrder, ...]) -> bool:
    """The same for the maintenance of its machines."""
    if timeless(before) != timeless(after):
        return True
    was = {order.case: order for order in before}
    return any(
        max(abs(order.start - was[order.case].start), abs(order.end - was[order.case].end)) > TIME_SLACK
        for order in after
        if not order.in_work
    )


def digest(operations: tuple[JobOperation, ...]) -> str:
    """Hash of a list without what the edge itself reports and without planned times."""
    zero = Decimal(0)
    bare = [
        msgspec.structs.replace(operation, state="", good=zero, scrap=zero, planned_start=0, planned_end=0)
        for operation in operations
    ]
    return hashlib.blake2b(msgspec.json.encode(bare), digest_size=16).hexdigest()


def _store(tx: Connection, jobs: JobList, now: int) -> None:
    tx.execute(
        insert(t.job_list).values(
            edge=jobs.edge,
            version=jobs.version,
            issued=now,
            sent=now,
            digest=digest(jobs.operations),
            body=msgspec.json.encode(jobs).decode(),
        )
    )
    versions = (
        tx.execute(
            select(t.job_list.c.version)
            .where(t.job_list.c.edge == jobs.edge)
            .order_by(t.job_list.c.version.desc())
            .offset(KEPT_LISTS)
        )
        .scalars()
        .all()
    )
    tx.execute(delete(t.job_list).where(t.job_list.c.edge == jobs.edge, t.job_list.c.version.in_(versions)))


def newest(tx: Connection, edge: str) -> JobList | None:
    """The job list last issued to an edge."""
    body = tx.execute(
        select(t.job_list.c.body)
        .where(t.job_list.c.edge == edge)
        .order_by(t.job_list.c.version.desc())
        .limit(1)
    ).scalar_one_or_none()
    return None if body is None else msgspec.json.decode(body, type=JobList)


def unconfirmed(tx: Connection) -> list[JobList]:
    """The newest list of every edge that has not said it is on its disk."""
    found: list[JobList] = []
    for edge in tx.execute(select(t.job_list.c.edge).distinct().order_by(t.job_list.c.edge)).scalars():
        row = tx.execute(
            select(t.job_list.c.applied, t.job_list.c.body)
            .where(t.job_list.c.edge == edge)
            .order_by(t.job_list.c.version.desc())
            .limit(1)
        ).one()
        if row.applied is None:
            found.append(msgspec.json.decode(row.body, type=JobList))
    return found
