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
from cloud.web.speech import ENGLISH, Speech
from protocols import actions as act
from protocols.site import Site
from protocols.states import ItemState

SHOWN = 60


class Event(msgspec.Struct, frozen=True, order=True):
    """Something that happened; µs UTC."""

    ts: int
    where: str
    text: str


def of_operation(tx: Connection, site: Site, operation: str, say: Speech = ENGLISH) -> list[Event]:
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
            found.append(Event(entry.ts, entry.workcell, _words(site, entry, say)))
    return _newest(found)


def of_workcell(
    tx: Connection, site: Site, workcell: str, start: int, now: int, say: Speech = ENGLISH
) -> list[Event]:
    """What happened at a workcell since ``start``: what people did, what its machines reported."""
    found = [
        Event(entry.ts, workcell, _words(site, entry, say))
        for entry in _journal(tx, {workcell}, start, SHOWN)
    ]
    for device in site.devices().values():
        if workcell in device.workcells:
            found += of_device(tx, device.id, start, now, say)
    return _newest(found)


def of_device(tx: Connection, device: str, start: int, now: int, say: Speech = ENGLISH) -> list[Event]:
    """What a machine reported since ``start``: its states and alarms."""
    found = [
        Event(row.ts, device, say("machine {state}", state=_state_words(row, say)))
        for row in reading.machine_states(tx, device, start, now)[-SHOWN:]
    ]
    query = select(alarm).where(alarm.c.device == device).order_by(alarm.c.raised.desc()).limit(SHOWN)
    for row in tx.execute(query):
        text = row.text or row.alarm
        found.append(Event(row.raised, device, say("alarm: {text}", text=text)))
        if row.acknowledged is not None:
            found.append(Event(row.acknowledged, device, say("alarm acknowledged: {text}", text=text)))
        if row.cleared is not None:
            found.append(Event(row.cleared, device, say("alarm over: {text}", text=text)))
    return _newest(found)


def _journal(tx: Connection, workcells: set[str], since: int, limit: int) -> list[journal.Entry]:
    """The newest actions of some workcells."""
    at = t.action.c
    query = select(t.action).where(at.workcell.in_(workcells), at.edge != "", at.ts >= since)
    return [journal.Entry(**row._mapping) for row in tx.execute(query.order_by(at.seq.desc()).limit(limit))]


def _newest(found: list[Event]) -> list[Event]:
    return sorted(found, reverse=True)[:SHOWN]


def _words(site: Site, entry: journal.Entry, say: Speech) -> str:
    event = entry.action.event
    words = _WORDS.get(type(event))
    text = words(site, event, say) if words is not None else str(type(event).__struct_config__.tag)
    if entry.undone:
        text += say(" · undone later")
    if entry.outcome != journal.APPLIED:
        text += (
            say(" · in the exceptions inbox")
            if entry.outcome == journal.INBOX
            else f" · {say(entry.outcome)}"
        )
    return text


def _state_words(row: reading.MachineStateRow, say: Speech) -> str:
    words = say(row.item_state.replace("_", " "))
    if row.item_state == ItemState.EXECUTING:
        words += f", {say(row.mode)}"
    return f"{words} ({row.detail})" if row.detail else words


def _opened(_: Site, event: act.RunOpened, say: Speech) -> str:
    parts = ", ".join(f"{part.operation} × {part.quantity:g}" for part in event.parts)
    return say("run opened with set-up: {parts}" if event.setup else "run opened: {parts}", parts=parts)


def _booked(site: Site, event: act.Booked, say: Speech) -> str:
    made = [f"{n:g} {say(word)}" for n, word in _counts(event) if n]
    why = f" ({say.code(site.scrap_reasons, event.reason)})" if event.reason else ""
    what = (", ".join(made) or say("nothing")) + why
    return say("booked {what} of {operation}", what=what, operation=event.operation)


def _counts(event: act.Booked) -> list[tuple[Any, str]]:
    return [(event.good, "good"), (event.scrap, "scrap"), (event.rework, "rework")]


def _step(_: Site, event: act.StepDone, say: Speech) -> str:
    value = f": {event.value}" if event.value else ""
    return say("step {step} done" if event.ok else "step {step} NOT in order", step=event.step + 1) + value


def _reason(site: Site, event: act.StopReasoned, say: Speech) -> str:
    if not event.reason:
        return say("reason of the stop taken back")
    note = f" · {event.note}" if event.note else ""
    return say("reason of the stop: {reason}", reason=say.code(site.stop_reasons, event.reason)) + note


def _andon(site: Site, event: act.AndonRaised, say: Speech) -> str:
    return say(
        "andon called: {topic}", topic=f"{say.code(site.andon_topics, event.topic)} {event.note}".strip()
    )


def _plain(phrase: str) -> Callable[[Site, Any, Speech], str]:
    """Of an event that says all by its kind."""
    return lambda _site, _event, say: say(phrase)


_WORDS: dict[type[Any], Callable[[Site, Any, Speech], str]] = {
    act.RunOpened: _opened,
    act.FirstPieceReleased: _plain("first piece released"),
    act.RunStarted: _plain("run started"),
    act.RunPaused: lambda site, event, say: (
        f"{say('run paused')} {say.code(site.stop_reasons, event.reason)}".strip()
    ),
    act.RunResumed: _plain("run resumed"),
    act.Booked: _booked,
    act.RunCompleted: lambda _, event, say: say(
        "run completed: {what}", what=", ".join(event.finished) or say("part of it")
    ),
    act.RunAborted: lambda _, event, say: f"{say('run aborted')} {event.reason}".strip(),
    act.RunReopened: _plain("run opened again"),
    act.StepDone: _step,
    act.StopReasoned: _reason,
    act.AndonRaised: _andon,
    act.AndonCleared: _plain("andon cleared"),
    act.LeaseReleased: lambda _, event, say: say("gave back {what}", what=", ".join(event.operations)),
    act.LeaseKept: lambda _, event, say: say("kept {what}", what=", ".join(event.operations)),
    act.UnassignedOpened: _plain("machine works and nobody booked it"),
    act.UnassignedClosed: lambda _, event, say: say("unassigned run over, {parts} parts", parts=event.parts),
    act.ShiftNote: lambda _, event, say: say("shift note: {note}", note=event.note),
    act.Undone: _plain("took the last action back"),
    act.MachineLocked: lambda _, event, say: say(
        "{device} locked: {reason}", device=event.device, reason=event.reason
    ),
    act.LockReleased: lambda _, event, say: say("lock of {device} released", device=event.device),
    act.MachineAccepted: lambda _, event, say: say("{device} accepted for production", device=event.device),
    act.MachineCommanded: lambda _, event, say: say(
        "{device}: {target} {value} was asked for",
        device=event.device,
        target=event.target,
        value=event.value,
    ),
    act.MachineCommandEnded: lambda _, event, say: (
        f"{event.device}: {say(str(event.state))} {event.detail}".strip()
    ),
    act.FirmwareAccepted: lambda _, event, say: say(
        "firmware {firmware} of {device} accepted", firmware=event.firmware, device=event.device
    ),
    act.MaintenanceStarted: lambda _, event, say: say("maintenance of {device} begun", device=event.device),
    act.MaintenanceFound: lambda _, event, say: say(
        "found at {device}: {found}", device=event.device, found=event.found
    ),
    act.MaintenanceBrokenOff: lambda _, event, say: say(
        "maintenance of {device} broken off: {reason}", device=event.device, reason=event.reason
    ),
    act.MaintenanceDone: lambda _, event, say: say("maintenance of {device} done", device=event.device),
    act.MaintenanceRefused: lambda _, event, say: say(
        "maintenance of {device} refused: {reason}", device=event.device, reason=event.reason
    ),
    act.MaintenanceKept: lambda _, event, say: say(
        "maintenance of {device} kept at its time", device=event.device
    ),
    act.MaintenanceMoved: lambda _, event, say: say(
        "maintenance of {device} moved: {reason}", device=event.device, reason=event.reason
    ),
}
