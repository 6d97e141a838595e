"""Which edge holds which operations. Published and not yet confirmed counts as held: it may be on disk there.

A job list is a full snapshot. What is in the newest list sent to an edge is leased to it; it leaves the list
only when it is finished or cancelled, or when the planner asks for it. The planner asks only an edge that has
confirmed its newest list, and from then on no list has the operation: so when the edge gives it back, no list
that is still under way can bring it there again, and the answer alone ends the lease. (The answer travels in
the lane of the actions, behind whatever was begun before it.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from cloud.orders.tables import job_list, lease, release_request
from cloud.store.database import insert_into
from protocols.jobs import ReleaseRequest


class Lease(msgspec.Struct, frozen=True):
    """An operation that an edge holds (``confirmed``) or may hold. ``group`` is its planned run, if any.

    ``returned``: the edge gave it back, and no plan knows that yet.
    """

    operation: str
    edge: str
    workcell: str
    version: int
    confirmed: bool
    group: str = ""
    returned: bool = False


def all_leases(tx: Connection) -> dict[str, Lease]:
    """Every lease by operation."""
    return {
        row.operation_id: Lease(
            row.operation_id,
            row.edge,
            row.workcell,
            row.version,
            bool(row.confirmed),
            row.run_group,
            bool(row.returned),
        )
        for row in tx.execute(select(lease))
    }


def offer(
    tx: Connection, edge: str, version: int, operations: Iterable[tuple[str, str, str]], now: int
) -> None:
    """Operations (id, workcell, group) go out in the edge's job list ``version``: it may hold them now.

    What the edge has confirmed already stays confirmed.
    """
    for operation, workcell, group in operations:
        values = {
            "operation_id": operation,
            "edge": edge,
            "workcell": workcell,
            "version": version,
            "confirmed": False,
            "run_group": group,
            "since": now,
            "returned": False,
        }
        again = {name: values[name] for name in ("edge", "workcell", "run_group", "returned")}
        statement = insert_into(tx, lease).values(values)
        tx.execute(statement.on_conflict_do_update(index_elements=[lease.c.operation_id], set_=again))


def confirm(tx: Connection, edge: str, version: int, now: int) -> None:
    """The edge has this job list on disk: what was offered up to it is held."""
    tx.execute(update(lease).where(lease.c.edge == edge, lease.c.version <= version).values(confirmed=True))
    this = (job_list.c.edge == edge) & (job_list.c.version == version) & job_list.c.applied.is_(None)
    tx.execute(update(job_list).where(this).values(applied=now))


def forget_returned(tx: Connection, operations: Iterable[str]) -> None:
    """A plan that knows these to be given back is in force: where it has them, they may go out."""
    tx.execute(delete(lease).where(lease.c.returned, lease.c.operation_id.in_(list(operations))))


def drop_strangers(tx: Connection, edge_of: Mapping[str, str]) -> None:
    """End the leases of workcells that the site file has no more, or has given to another edge."""
    for held in all_leases(tx).values():
        if edge_of.get(held.workcell) != held.edge:
            tx.execute(delete(lease).where(lease.c.operation_id == held.operation))


def may_ask(tx: Connection) -> set[str]:
    """Edges that have confirmed their newest job list: no list is under way to them."""
    newest: dict[str, bool] = {}
    rows = tx.execute(select(job_list.c.edge, job_list.c.applied).order_by(job_list.c.version)).all()
    for row in rows:
        newest[row.edge] = row.applied is not None
    return {edge for edge, confirmed in newest.items() if confirmed}


def override(tx: Connection, operation: str) -> bool:
    """A person takes an operation away from the edge that holds it; False when nobody holds it.

    As if given back, but without waiting for that edge.
    """
    held = (lease.c.operation_id == operation) & ~lease.c.returned
    return bool(tx.execute(update(lease).where(held).values(returned=True)).rowcount)


def ask(tx: Connection, request: str, edge: str, operations: list[str], reason: str, now: int) -> None:
    """Note that the planner asks an edge for leased operations back."""
    values = {
        "request": request,
        "edge": edge,
        "operations": operations,
        "reason": reason,
        "asked": now,
        "sent": now,
        "answer": "",
    }
    tx.execute(insert(release_request).values(values))


def unanswered(tx: Connection) -> list[tuple[str, ReleaseRequest]]:
    """Edge and request of everything that was asked and not answered, oldest first."""
    rows = tx.execute(
        select(release_request)
        .where(release_request.c.answered.is_(None))
        .order_by(release_request.c.asked, release_request.c.request)
    )
    return [(row.edge, ReleaseRequest(row.request, tuple(row.operations), row.reason)) for row in rows]


def asked(tx: Connection) -> set[str]:
    """Operations whose edge still owes an answer."""
    return {name for _, request in unanswered(tx) for name in request.operations}


def answered_lately(tx: Connection, since: int) -> set[str]:
    """Operations whose edge has answered since ``since`` (µs UTC)."""
    at = release_request.c
    rows = tx.execute(select(at.operations).where(at.answered >= since)).scalars()
    return {name for names in rows for name in names}


def drop_requests(tx: Connection, operation: str, now: int) -> list[tuple[str, str]]:
    """Close open requests that name an operation, because a person decided; (edge, request) of each."""
    found = [(edge, request.request) for edge, request in unanswered(tx) if operation in request.operations]
    for _, name in found:
        closed = {"answered": now, "answer": "overridden"}
        tx.execute(update(release_request).where(release_request.c.request == name).values(closed))
    return found


def answered(
    tx: Connection, edge: str, request: str, operations: Iterable[str], *, released: bool, now: int
) -> None:
    """The edge's answer: released operations may be moved, kept ones stay where they are."""
    names = list(operations)
    if released:
        held = lease.c.operation_id.in_(names) & (lease.c.edge == edge)
        tx.execute(update(lease).where(held).values(returned=True))
    before = tx.execute(
        select(release_request.c.answer).where(release_request.c.request == request)
    ).scalar_one_or_none()
    if before is not None:
        word = "released" if released else "kept"
        answer = word if before in ("", word) else "mixed"
        this = release_request.c.request == request
        tx.execute(update(release_request).where(this).values(answered=now, answer=answer))
