"""The events behind what the page shows: what was scanned, booked and reported, newest first, in words.

Who did it stays in the ledger: no person appears here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from cloud.ledger import reading
from cloud.ledger.tables import alarm
from cloud.orders import journal
from cloud.orders import tables as t
from cloud.web.words import english
from protocols import actions as act
from protocols.site import Site
from protocols.states import ItemState

SHOWN = 60


class Event(msgspec.Struct, frozen=True, order=True):
    """Something that happened; µs UTC."""

    ts: int
    where: str
    text: str


def of_operation(tx: Connection, site: Site, operation: str) -> list[Event]:
    """What was done for one operation, over all its runs."""
    covering = select(t.run_part.c.run_id).where(t.run_part.c.operation_id == operation)
    runs = {run.id: run for run in tx.execute(select(t.run).where(t.run.c.id.in_(covering)))}
    if not runs:
        return []
    cells = {run.workcell for run in runs.values()}
    since = min(run.opened for run in runs.values())
    found = []
    for entry in _journal(tx, cells, since, 5000):
        event = entry.action.event
        about = getattr(event, "operation", operation)
        if getattr(event, "run", "") in runs and about == operation:
            found.append(Event(entry.ts, entry.workcell, _words(site, entry)))
    return _newest(found)


def of_workcell(tx: Connection, site: Site, workcell: str, start: int, now: int) -> list[Event]:
    """What happened at a workcell since ``start``: what people did, what its machines reported."""
    found = [
        Event(entry.ts, workcell, _words(site, entry)) for entry in _journal(tx, {workcell}, start, SHOWN)
    ]
    for device in site.devices().values():
        if workcell in device.workcells:
            found += of_device(tx, device.id, start, now)
    return _newest(found)


def of_device(tx: Connection, device: str, start: int, now: int) -> list[Event]:
    """What a machine reported since ``start``: its states and alarms."""
    found = [
        Event(row.ts, device, f"machine {_state_words(row)}")
        for row in reading.machine_states(tx, device, start, now)[-SHOWN:]
    ]
    query = select(alarm).where(alarm.c.device == device).order_by(alarm.c.raised.desc()).limit(SHOWN)
    for row in tx.execute(query):
        text = row.text or row.alarm
        found.append(Event(row.raised, device, f"alarm: {text}"))
        if row.cleared is not None:
            found.append(Event(row.cleared, device, f"alarm over: {text}"))
    return _newest(found)


def _journal(tx: Connection, workcells: set[str], since: int, limit: int) -> list[journal.Entry]:
    """The newest actions of some workcells."""
    at = t.action.c
    query = select(t.action).where(at.workcell.in_(workcells), at.edge != "", at.ts >= since)
    return [journal.Entry(**row._mapping) for row in tx.execute(query.order_by(at.seq.desc()).limit(limit))]


def _newest(found: list[Event]) -> list[Event]:
    return sorted(found, reverse=True)[:SHOWN]


def _words(site: Site, entry: journal.Entry) -> str:
    event = entry.action.event
    text = _WORDS[type(event)](site, event)
    if entry.undone:
        text += " · undone later"
    if entry.outcome != journal.APPLIED:
        text += " · in the exceptions inbox" if entry.outcome == journal.INBOX else f" · {entry.outcome}"
    return text


def _state_words(row: reading.MachineStateRow) -> str:
    words = row.item_state.replace("_", " ")
    if row.item_state == ItemState.EXECUTING:
        words += f", {row.mode}"
    return f"{words} ({row.detail})" if row.detail else words


def _opened(_: Site, event: act.RunOpened) -> str:
    parts = ", ".join(f"{part.operation} × {part.quantity:g}" for part in event.parts)
    return f"run opened{' with set-up' if event.setup else ''}: {parts}"


def _booked(site: Site, event: act.Booked) -> str:
    made = [f"{n:g} {word}" for n, word in _counts(event) if n]
    why = f" ({english(site.scrap_reasons, event.reason)})" if event.reason else ""
    return f"booked {', '.join(made) or 'nothing'}{why} of {event.operation}"


def _counts(event: act.Booked) -> list[tuple[Any, str]]:
    return [(event.good, "good"), (event.scrap, "scrap"), (event.rework, "rework")]


def _step(_: Site, event: act.StepDone) -> str:
    value = f": {event.value}" if event.value else ""
    return f"step {event.step + 1} {'done' if event.ok else 'NOT in order'}{value}"


def _reason(site: Site, event: act.StopReasoned) -> str:
    if not event.reason:
        return "reason of the stop taken back"
    note = f" · {event.note}" if event.note else ""
    return f"reason of the stop: {english(site.stop_reasons, event.reason)}{note}"


def _andon(site: Site, event: act.AndonRaised) -> str:
    return f"andon called: {english(site.andon_topics, event.topic)} {event.note}".strip()


_WORDS: dict[type[Any], Callable[[Site, Any], str]] = {
    act.RunOpened: _opened,
    act.FirstPieceReleased: lambda _, __: "first piece released",
    act.RunStarted: lambda _, __: "run started",
    act.RunPaused: lambda site, event: f"run paused {english(site.stop_reasons, event.reason)}".strip(),
    act.RunResumed: lambda _, __: "run resumed",
    act.Booked: _booked,
    act.RunCompleted: lambda _, event: f"run completed: {', '.join(event.finished) or 'part of it'}",
    act.RunAborted: lambda _, event: f"run aborted {event.reason}".strip(),
    act.RunReopened: lambda _, __: "run opened again",
    act.StepDone: _step,
    act.StopReasoned: _reason,
    act.AndonRaised: _andon,
    act.AndonCleared: lambda _, __: "andon cleared",
    act.LeaseReleased: lambda _, event: f"gave back {', '.join(event.operations)}",
    act.LeaseKept: lambda _, event: f"kept {', '.join(event.operations)}",
    act.UnassignedOpened: lambda _, __: "machine works and nobody booked it",
    act.UnassignedClosed: lambda _, event: f"unassigned run over, {event.parts} parts",
    act.ShiftNote: lambda _, event: f"shift note: {event.note}",
    act.Undone: lambda _, __: "took the last action back",
}
