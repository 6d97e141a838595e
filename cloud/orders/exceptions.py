"""The exceptions inbox: facts that had no effect, and whatever else only a person can decide.

Nothing on the floor waits for it. Every entry has an owner by its kind and is settled by a person, or by
itself when the fact it waited for arrives.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from cloud.orders.tables import exception_inbox as inbox

OPEN, SETTLED = "open", "settled"

OWNERS = {
    "illegal": "supervisor",
    "unknown": "supervisor",
    "cancelled": "supervisor",
    "double": "supervisor",
    "late": "supervisor",
    "predecessor": "supervisor",
    "count": "supervisor",
    "remake": "planner",
    "plan": "planner",
    "failed": "integrator",
    "lock": "supervisor",
    "command": "supervisor",
}
"""Who decides, by kind; a role, never a person."""


def record(
    tx: Connection, *, ts: int, kind: str, text: str, edge: str = "", source: str = "", concerns: str = ""
) -> int:
    """Put an entry into the inbox and return its id.

    ``source`` is the action or batch it comes from, ``concerns`` what it is about (an operation, a run …):
    the key to :func:`settle` it by.
    """
    row = {
        "ts": ts,
        "edge": edge,
        "source": source,
        "kind": kind,
        "concerns": concerns,
        "text": text[:1000],
        "owner": OWNERS.get(kind, "supervisor"),
        "state": OPEN,
        "settled": None,
    }
    made = tx.execute(insert(inbox).values(row)).inserted_primary_key
    return int(made[0]) if made is not None else 0


def settle(tx: Connection, *, ts: int, kind: str, concerns: str) -> int:
    """Settle the open entries of a kind about something, because what they waited for has come."""
    found = (inbox.c.kind == kind) & (inbox.c.concerns == concerns) & (inbox.c.state == OPEN)
    return int(tx.execute(update(inbox).where(found).values(state=SETTLED, settled=ts)).rowcount)


def settle_by_person(tx: Connection, entry: int, *, ts: int, actor: str) -> bool:
    """``actor`` settles one entry; False when there is no such open entry."""
    found = (inbox.c.id == entry) & (inbox.c.state == OPEN)
    done = {"state": SETTLED, "settled": ts, "settled_by": actor}
    return bool(tx.execute(update(inbox).where(found).values(done)).rowcount)


def is_open(tx: Connection, *, kind: str, concerns: str) -> bool:
    """Whether somebody already has to decide about this."""
    found = (inbox.c.kind == kind) & (inbox.c.concerns == concerns) & (inbox.c.state == OPEN)
    return tx.execute(select(inbox.c.id).where(found).limit(1)).first() is not None
