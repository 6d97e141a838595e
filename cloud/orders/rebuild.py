"""The state of all orders, worked out anew from the journal alone."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from cloud.orders import create, journal
from cloud.orders.effects import OrderEffects
from cloud.orders.journal import Entry


def rebuild(tx: Connection, entries: Iterable[Entry]) -> int:
    """Apply journal entries in order to a database without orders; returns how many there were.

    The product versions that the orders refer to must be there already. Leases are not part of the journal:
    the next job lists make them anew.
    """
    effects = OrderEffects()
    count = 0
    for entry in entries:
        count += 1
        if entry.edge:
            effects.actions(tx, entry.edge, [entry.action], entry.received)
        else:
            journal.append_command(tx, entry.id, entry.type, entry.actor, entry.ts, entry.body.encode())
            create.apply_command(tx, entry)
    return count
