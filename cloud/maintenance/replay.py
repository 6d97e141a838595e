"""The cases, worked out anew from the journal of all actions and commands alone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection

from cloud.maintenance import cases
from cloud.maintenance.case import Case
from cloud.maintenance.effects import CaseEffects
from cloud.orders import journal
from cloud.orders.journal import Entry


def replay(tx: Connection, entries: Iterable[Entry]) -> int:
    """Apply journal entries in order to a database without cases; returns how many concerned them.

    What belongs to the orders, and the journal itself, is left to :func:`cloud.orders.rebuild.rebuild`.
    """
    effects = CaseEffects()
    count = 0
    for entry in entries:
        if entry.edge:
            count += effects.apply(tx, entry.edge, entry.action)
        elif entry.type == journal.OPEN_CASE:
            cases.restore(tx, msgspec.json.decode(entry.body, type=Case))
            count += 1
        elif entry.type == journal.STEP_CASE:
            commanded = msgspec.json.decode(entry.body, type=cases.CommandedStep)
            cases.happened(tx, commanded.case, commanded.step, entry.id)
            count += 1
    return count
