"""Courses of signals over a piece, held against the golden envelope of their program, in the database.

Envelopes are learned from the first pieces of a program at a machine, and stay until somebody has them
learned anew. A piece that leaves its envelope is a note: it stands on the page and at the station, and holds
nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from cloud.orders.tables import run, run_part
from cloud.quality.envelope import Envelope, SignalError, in_words, judge, learn, on_grid
from cloud.quality.part_signals import Piece
from cloud.quality.tables import deviation as deviations
from cloud.quality.tables import envelope as table
from protocols.lifecycles import RunState
from protocols.values import MICROSECONDS

LEARNED_FROM = 12
"""Pieces that an envelope is learned from; one bad one among them moves it little."""
KEPT = 200
"""Deviations of one envelope that are kept, the newest."""
ACTIVE = (RunState.FIRST_PIECE, RunState.RUNNING)

_pack = msgspec.msgpack.Encoder().encode


class Learned(msgspec.Struct):
    """Pieces so far, each as (seconds, values on the grid), then the envelope."""

    parts: list[tuple[float, list[float]]] = []
    envelope: Envelope | None = None


class Course(msgspec.Struct, frozen=True):
    """An envelope as people see it. ``parts`` were judged by it, ``outside`` of them left it; µs UTC."""

    id: int
    device: str
    program: str
    signal: str
    learned_from: int
    version: int
    parts: int
    outside: int
    updated: int

    @property
    def learning(self) -> bool:
        return not self.version


class Deviation(msgspec.Struct, frozen=True):
    """A piece that left its envelope: when (µs UTC), at which operation if known, and where it did."""

    envelope: int
    start: int
    end: int
    operation: str
    outside: float
    text: str


class UnknownEnvelope(KeyError):
    """There is no envelope of that id."""


_learned = msgspec.msgpack.Decoder(Learned)


def take(tx: Connection, piece: Piece, paths: dict[int, str], workcells: tuple[str, ...]) -> list[Deviation]:
    """Learn from a piece, or judge it; what left its envelope. A piece that was taken already does nothing.

    ``paths`` are the names of tags by id, ``workcells`` where the machine stands.
    """
    found = []
    for tag, (times, values) in piece.signals.items():
        row = _opened(tx, piece, paths.get(tag, str(tag)))
        if piece.end <= row.updated:
            continue
        known = _learned.decode(row.state)
        changes: dict[str, Any] = {"updated": piece.end}
        if known.envelope is None:
            _learn(known, row, times, values)
            changes |= {"state": _pack(known), "version": known.envelope.version if known.envelope else 0}
        else:
            judged = judge(known.envelope, times, values)
            changes |= {"parts": row.parts + 1, "outside": row.outside + (not judged.inside)}
            if not judged.inside:
                operation = _operation(tx, workcells)
                left = Deviation(row.id, piece.start, piece.end, operation, judged.outside, in_words(judged))
                tx.execute(insert(deviations).values(_row(left)))
                _forget(tx, row.id)
                found.append(left)
        tx.execute(update(table).where(table.c.id == row.id).values(changes))
    return found


def _learn(known: Learned, row: Row[Any], times: list[float], values: list[float]) -> None:
    try:
        curve = on_grid(times, values)
    except SignalError:
        return
    known.parts.append((times[-1] - times[0], [float(v) for v in curve]))
    if len(known.parts) < LEARNED_FROM:
        return
    parts = [(np.linspace(0.0, seconds, len(curve)).tolist(), curve) for seconds, curve in known.parts]
    known.envelope = learn(row.program, row.signal, parts, version=row.learned + 1)
    known.parts = []


def _opened(tx: Connection, piece: Piece, signal: str) -> Row[Any]:
    this = (table.c.device == piece.device) & (table.c.program == piece.program) & (table.c.signal == signal)
    row = tx.execute(select(table).where(this)).first()
    if row is not None:
        return row
    new = {"device": piece.device, "program": piece.program, "signal": signal, "state": _pack(Learned())}
    tx.execute(
        insert(table).values({**new, "version": 0, "learned": 0, "parts": 0, "outside": 0, "updated": 0})
    )
    return tx.execute(select(table).where(this)).one()


def _operation(tx: Connection, workcells: tuple[str, ...]) -> str:
    """What the machine works on; empty where nobody booked it."""
    query = (
        select(run_part.c.operation_id)
        .join(run, run.c.id == run_part.c.run_id)
        .where(run.c.workcell.in_(workcells), run.c.state.in_(ACTIVE))
        .order_by(run.c.opened.desc(), run_part.c.operation_id)
        .limit(1)
    )
    return tx.execute(query).scalar_one_or_none() or ""


def _row(left: Deviation) -> dict[str, Any]:
    return {
        "envelope_id": left.envelope,
        "start": left.start,
        "end": left.end,
        "operation_id": left.operation,
        "outside": round(left.outside * 1000),
        "text": left.text,
    }


def _forget(tx: Connection, envelope: int) -> None:
    mine = select(deviations.c.id).where(deviations.c.envelope_id == envelope)
    old = tx.execute(mine.order_by(deviations.c.id.desc()).offset(KEPT)).scalars().all()
    if old:
        tx.execute(delete(deviations).where(deviations.c.id.in_(old)))


def learn_anew(tx: Connection, envelope: int) -> Course:
    """Forget an envelope: the next pieces are its good ones. Raises UnknownEnvelope."""
    row = _find(tx, envelope)
    values = {"state": _pack(Learned()), "version": 0, "learned": row.learned + 1, "parts": 0, "outside": 0}
    tx.execute(update(table).where(table.c.id == envelope).values(values))
    return _course(_find(tx, envelope))


def courses(tx: Connection, limit: int = 500) -> list[Course]:
    """Envelopes, those with deviations first, then the one last heard of."""
    query = select(table).order_by(table.c.outside.desc(), table.c.updated.desc(), table.c.id).limit(limit)
    return [_course(row) for row in tx.execute(query)]


def newest(tx: Connection, limit: int = 50, *, envelope: int | None = None) -> list[Deviation]:
    """Pieces that left their envelope, newest first."""
    query = select(deviations).order_by(deviations.c.id.desc()).limit(limit)
    if envelope is not None:
        query = query.where(deviations.c.envelope_id == envelope)
    return [
        Deviation(r.envelope_id, r.start, r.end, r.operation_id, r.outside / 1000, r.text)
        for r in tx.execute(query)
    ]


def of_operations(tx: Connection, names: list[str]) -> dict[str, list[tuple[str, Deviation]]]:
    """Deviations of operations with the path of their signal, newest first."""
    found: dict[str, list[tuple[str, Deviation]]] = {}
    if not tx.execute(select(func.count()).select_from(deviations)).scalar_one():
        return found
    query = (
        select(deviations, table.c.signal)
        .join(table, table.c.id == deviations.c.envelope_id)
        .where(deviations.c.operation_id.in_(sorted(names)))
        .order_by(deviations.c.id.desc())
    )
    for r in tx.execute(query):
        left = Deviation(r.envelope_id, r.start, r.end, r.operation_id, r.outside / 1000, r.text)
        found.setdefault(r.operation_id, []).append((r.signal, left))
    return found


def seconds(left: Deviation) -> float:
    """How long the piece took."""
    return (left.end - left.start) / MICROSECONDS


def _find(tx: Connection, envelope: int) -> Row[Any]:
    row = tx.execute(select(table).where(table.c.id == envelope)).first()
    if row is None:
        raise UnknownEnvelope(envelope)
    return row


def _course(row: Row[Any]) -> Course:
    learned_from = LEARNED_FROM if row.version else len(_learned.decode(row.state).parts)
    return Course(
        row.id,
        row.device,
        row.program,
        row.signal,
        learned_from,
        row.version,
        row.parts,
        row.outside,
        row.updated,
    )
