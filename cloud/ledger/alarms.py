"""Alarms of machines in the database: what their edges tell, what stands, what was. Times in µs UTC.

An edge holds floods back (``edge.alarm_flow``); what is more than that is counted and not kept, so that no
edge, however wrong, fills the database. The ledger's own batches keep all that was told.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from cloud.ledger import tables
from protocols.states import AlarmChanged

STANDING = 1_000
"""Alarms of one device that stand here at the same time."""
KEPT = 5_000
"""Alarms of one device that are kept, with those that are over."""
NAMED = 10
"""The worst alarms of a machine, which are named with it."""
MAX_TEXT = 1_000
"""Characters of a text."""


class Alarm(msgspec.Struct, frozen=True):
    """An alarm of a machine. ``severity`` is 1 to 1000; 0: the machine says neither that nor whether it was
    acknowledged. ``cleared`` is None while it stands, ``acknowledged`` until somebody did that.
    """

    id: int
    edge: str
    device: str
    alarm: str
    source: str
    text: str
    severity: int
    raised: int
    acknowledged: int | None
    cleared: int | None


def take(tx: Connection, edge: str, event: AlarmChanged) -> None:
    """An alarm rose, changed, was acknowledged or ended. Its device is known."""
    at = tables.alarm.c
    this = at.device == event.device, at.alarm == event.alarm
    standing = at.cleared.is_(None)
    told: dict[str, Any] = {
        "text": event.text[:MAX_TEXT],
        "source": event.source[:128],
        "severity": event.severity,
    }
    open_ids = tx.scalars(select(at.id).where(*this, standing)).all()
    if event.active and not open_ids:
        number = select(func.count()).where(at.device == event.device, standing)
        if (tx.scalar(number) or 0) >= STANDING:
            known = tables.device.c
            more = update(tables.device).where(known.id == event.device)
            tx.execute(more.values(alarms_refused=known.alarms_refused + 1))
            return
        acknowledged = event.ts if event.acknowledged else None
        tx.execute(
            insert(tables.alarm).values(
                device=event.device,
                alarm=event.alarm,
                edge=edge,
                raised=event.ts,
                cleared=None,
                acknowledged=acknowledged,
                **told,
            )
        )
        return
    if event.active:
        tx.execute(update(tables.alarm).where(at.id.in_(open_ids)).values(**told))
    elif open_ids:
        tx.execute(update(tables.alarm).where(at.id.in_(open_ids)).values(cleared=event.ts))
    else:  # it is over, and was acknowledged afterwards
        open_ids = tx.scalars(select(at.id).where(*this).order_by(at.id.desc()).limit(1)).all()
    these = at.id.in_(open_ids)
    if event.acknowledged:
        done = update(tables.alarm).where(these, at.acknowledged.is_(None)).values(acknowledged=event.ts)
        tx.execute(done)
    elif event.active:
        tx.execute(update(tables.alarm).where(these).values(acknowledged=None))


def forget_old(tx: Connection, device: str) -> None:
    """Keep the newest alarms of a device; one that stands stays."""
    at = tables.alarm.c
    oldest = tx.scalar(
        select(at.id).where(at.device == device).order_by(at.id.desc()).offset(KEPT - 1).limit(1)
    )
    if oldest is not None:
        tx.execute(delete(tables.alarm).where(at.device == device, at.id < oldest, at.cleared.is_not(None)))


def standing(reader: Connection, devices: Collection[str] | None = None) -> dict[str, list[Alarm]]:
    """Alarms that stand now, by device, the most severe first and of these the oldest; of all devices
    without ``devices``.
    """
    at = tables.alarm.c
    found: dict[str, list[Alarm]] = {}
    for alarm in _read(reader, devices, at.cleared.is_(None), order=(at.severity.desc(), at.raised, at.id)):
        found.setdefault(alarm.device, []).append(alarm)
    return found


def worst(reader: Connection, limit: int = 100) -> list[Alarm]:
    """The most severe of the alarms that stand now, of these the oldest first."""
    at = tables.alarm.c
    order = (at.severity.desc(), at.raised, at.id)
    return _read(reader, None, at.cleared.is_(None), order=order, limit=limit)


def history(
    reader: Connection,
    devices: Collection[str] | None = None,
    *,
    before: int | None = None,
    since: int = 0,
    limit: int = 200,
) -> list[Alarm]:
    """Alarms in the order they became known, newest first: those with an id below ``before``, that stood at
    or after ``since``.
    """
    at = tables.alarm.c
    wanted: list[ColumnElement[bool]] = [at.cleared.is_(None) | (at.cleared >= since)] if since else []
    if before is not None:
        wanted.append(at.id < before)
    return _read(reader, devices, *wanted, order=(at.id.desc(),), limit=limit)


def _read(
    reader: Connection,
    devices: Collection[str] | None,
    *wanted: ColumnElement[bool],
    order: tuple[ColumnElement[Any], ...],
    limit: int | None = None,
) -> list[Alarm]:
    at = tables.alarm.c
    query = select(*(at[name] for name in Alarm.__struct_fields__)).where(*wanted)
    if devices is not None:
        query = query.where(at.device.in_(devices))
    return [Alarm(*row) for row in reader.execute(query.order_by(*order).limit(limit))]
