"""Maintenance cases in the database: one open case per asset and failure mode, every step in the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from cloud.maintenance.assets import HealthRow, healths, learn_anew, load, save
from cloud.maintenance.case import LOOKED_AT, Case, ImpossibleStep, Objection, Step, Verdict, take
from cloud.maintenance.health.evidence import Evidence
from cloud.maintenance.rul import lives
from cloud.maintenance.tables import CASE, STEP
from cloud.maintenance.work_order import WorkOrder
from cloud.orders import journal
from protocols.lifecycles import CaseEvent, CaseState

OPENED = "open"
"""The first step of every case."""
SENSOR = "sensor"
"""The mode of a case about a sensor that cannot be believed."""
OPENER = "maintenance"
"""Actor of the steps that nobody decided: the scoring of the machines."""

_evidence = msgspec.msgpack.Decoder(list[Evidence])
_order = msgspec.msgpack.Decoder(WorkOrder)
_pack = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True):
    """One line in the journal of a case: a step as people read it; µs UTC."""

    case: str
    ts: int
    actor: str
    event: str
    note: str
    step: Step | None = None
    """What it said; None for the opening."""


class CommandedStep(msgspec.Struct, frozen=True):
    """A step as it stands in the journal of all commands."""

    case: str
    step: Step


class NoSuchCaseError(KeyError):
    """There is no case of that id."""


# --- the life of a case -------------------------------------------------------------------------------


def open_case(tx: Connection, case: Case) -> bool:
    """Open ``case`` unless one of the same asset and mode is open already; True when it was opened."""
    same = select(CASE.c.id).where(
        CASE.c.asset == case.asset, CASE.c.mode == case.mode, CASE.c.state != CaseState.CLOSED
    )
    if tx.execute(same).first() is not None:
        return False
    if not case.evidence_from:
        case = msgspec.structs.replace(case, evidence_from=max(0, case.opened - LOOKED_AT))
    restore(tx, case)
    journal.append_command(tx, _opening(case), journal.OPEN_CASE, OPENER, case.opened, _json(case))
    return True


def restore(tx: Connection, case: Case) -> None:
    """Write a case as it was opened, without asking the journal of all commands to remember it again."""
    tx.execute(CASE.insert().values(_row(case)))
    _note(tx, _opening(case), case.id, case.opened, OPENER, OPENED, case.summary, _json(case))


def _opening(case: Case) -> str:
    return f"case-{case.id}"


def step(tx: Connection, case_id: str, wanted: Step) -> Case:
    """Take a step that somebody decided at the page, by the API, or in the service.

    Raises:
        NoSuchCaseError: there is none of this id.
        IllegalTransitionError: its state does not allow it; says what it allows.
        ImpossibleStep: with every reason at once.
    """
    name = f"case-{case_id}-{steps(tx, case_id)}"
    after = _take(tx, case_id, wanted, name)
    body = _json(CommandedStep(case_id, wanted))
    journal.append_command(tx, name, journal.STEP_CASE, wanted.actor, wanted.ts, body)
    return after


def happened(tx: Connection, case_id: str, fact: Step, action: str) -> Case | None:
    """Take a step that the journal of all actions and commands has already, as ``action``; None when it had
    been taken before.

    Raises as :func:`step`.
    """
    if tx.execute(select(STEP.c.id).where(STEP.c.name == action)).first() is not None:
        return None
    return _take(tx, case_id, fact, action)


def advance(
    tx: Connection,
    case_id: str,
    event: CaseEvent,
    now: int,
    actor: str,
    *,
    note: str = "",
    verdict: Verdict = Verdict.OTHER,
) -> Case:
    """Take a step of which there is nothing more to say than the event; ``verdict`` is for closing.

    Raises as :func:`step`.
    """
    closing = verdict if event is CaseEvent.CLOSE else None
    return step(tx, case_id, Step(event, actor, now, note, verdict=closing))


def find(tx: Connection, case_id: str) -> Case:
    """A case; raises NoSuchCaseError."""
    row = tx.execute(select(CASE).where(CASE.c.id == case_id)).mappings().first()
    if row is None:
        raise NoSuchCaseError(case_id)
    return _case(row)


def _take(tx: Connection, case_id: str, wanted: Step, name: str) -> Case:
    """A machine that was repaired, or that a person judges to be well, is learned anew: as it is now is
    normal. Otherwise it would stay under its old alarm for ever, and nothing new could be noticed. A sensor
    that came back by itself changes nothing. Only a repair lets the remaining life begin anew.
    """
    before = find(tx, case_id)
    after = take(before, wanted)
    changed = {key: value for key, value in _row(after).items() if key != "id"}
    tx.execute(update(CASE).where(CASE.c.id == case_id).values(changed))
    _note(tx, name, case_id, wanted.ts, wanted.actor, wanted.event, _said(wanted), _json(wanted))
    closed = wanted.event is CaseEvent.CLOSE and before.state is not CaseState.DONE
    if wanted.event is CaseEvent.FINISH or closed:
        repaired = wanted.event is CaseEvent.FINISH or before.mode != SENSOR
        learn_anew(tx, before.asset, wanted.ts, repaired=repaired)
    if wanted.event is CaseEvent.FINISH and before.mode != SENSOR:
        lives.renew(tx, before.asset, wanted.ts, wanted.actor, f"case {case_id}")
    return after


def _said(wanted: Step) -> str:
    return " · ".join(text for text in (wanted.note, wanted.cause, wanted.found) if text)


def _note(
    tx: Connection, name: str, case_id: str, ts: int, actor: str, event: str, note: str, body: bytes
) -> None:
    row = {"name": name, "case_id": case_id, "ts": ts, "actor": actor, "event": event, "note": note}
    tx.execute(insert(STEP).values({**row, "body": body.decode()}))


def steps(tx: Connection, case_id: str) -> int:
    """How many steps a case has taken, its opening included."""
    return tx.execute(select(func.count()).where(STEP.c.case_id == case_id)).scalar_one()


# --- looking ------------------------------------------------------------------------------------------


def cases(tx: Connection, *, open_only: bool = False, limit: int = 500) -> list[Case]:
    """Cases, newest first."""
    query = select(CASE).order_by(CASE.c.opened.desc(), CASE.c.id).limit(limit)
    if open_only:
        query = query.where(CASE.c.state != CaseState.CLOSED)
    return [_case(row) for row in tx.execute(query).mappings()]


def entries(tx: Connection, case_id: str = "") -> Iterator[Entry]:
    """The journal of a case, or of all of them, in the order the steps were taken."""
    query = select(STEP).order_by(STEP.c.id)
    if case_id:
        query = query.where(STEP.c.case_id == case_id)
    for row in tx.execute(query):
        said = None if row.event == OPENED else msgspec.json.decode(row.body, type=Step)
        yield Entry(row.case_id, row.ts, row.actor, row.event, row.note, said)


def replayed(tx: Connection, case_id: str) -> Case:
    """A case worked out again from its own journal; raises NoSuchCaseError."""
    found: Case | None = None
    for row in tx.execute(select(STEP).where(STEP.c.case_id == case_id).order_by(STEP.c.id)):
        if row.event == OPENED:
            found = msgspec.json.decode(row.body, type=Case)
        elif found is not None:
            found = take(found, msgspec.json.decode(row.body, type=Step))
    if found is None:
        raise NoSuchCaseError(case_id)
    return found


# --- rows ---------------------------------------------------------------------------------------------


def _row(case: Case) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(case),
        "evidence": _pack(case.evidence),
        "order": _pack(case.order) if case.order is not None else None,
    }


def _case(row: Mapping[Any, Any]) -> Case:
    return Case(
        **{
            **row,
            "state": CaseState(row["state"]),
            "evidence": tuple(_evidence.decode(row["evidence"])),
            "order": _order.decode(row["order"]) if row["order"] is not None else None,
            "verdict": Verdict(row["verdict"]) if row["verdict"] is not None else None,
        }
    )


__all__ = [
    "Case",
    "Entry",
    "HealthRow",
    "ImpossibleStep",
    "NoSuchCaseError",
    "Objection",
    "Step",
    "Verdict",
    "advance",
    "cases",
    "entries",
    "find",
    "happened",
    "healths",
    "load",
    "open_case",
    "replayed",
    "save",
    "step",
    "steps",
]
