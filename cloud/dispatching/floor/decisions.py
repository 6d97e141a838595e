"""What supervisors decided about planning: overtime, planned stops, heads that are missing or extra, pins.

A decision holds until it is revoked or over. The planner heeds what is in force (:func:`current`); who
decided what, and when, is in the journal for ever. Nothing here moves a machine, or takes work away from an
edge that holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, insert, select, update

from cloud.dispatching.tables import decision as table
from cloud.orders import journal
from cloud.orders.tables import lease
from cloud.orders.tables import operation as operations
from cloud.phrase import Phrase, one_of, phrase
from protocols.lifecycles import OperationState
from protocols.site import Site
from protocols.values import MICROSECONDS

MAX_DAYS = 366
"""How far ahead a decision may begin, and how long it may hold."""
MAX_HEADS = 100
MAX_REASON = 200
MAX_DECISIONS = 1000
"""Decisions in force at a time: each one is looked at for every plan."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What a decision is about."""

    OVERTIME = "overtime"
    """A workcell, or the whole site where none is named, works from start to end though there is no shift."""
    CLOSED = "closed"
    """A workcell is not available from start to end: a planned stop."""
    HEADS = "heads"
    """So many heads of a skill more (or, negative, fewer) from start to end."""
    PIN = "pin"
    """An operation is done at this workcell, or begins at this time, or both."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision; times in µs UTC. What a kind has no use for stays empty.

    ``id``, ``actor`` and ``made`` are given by :func:`add`.
    """

    kind: Kind
    workcell: str = ""
    skill: str = ""
    heads: int = 0
    operation: str = ""
    start: int | None = None
    end: int | None = None
    reason: str = ""
    id: int = 0
    actor: str = ""
    made: int = 0

    @property
    def about(self) -> str:
        """The one thing it concerns: an operation, a skill or a workcell; empty for the whole site."""
        return self.operation or self.skill or self.workcell

    def holds_at(self, workcell: str) -> bool:
        """Whether it concerns a workcell: no name means all of them."""
        return self.workcell in ("", workcell)


class Objection(msgspec.Struct, frozen=True):
    """One reason against a decision; ``path`` is the field it is about."""

    path: str
    reason: Phrase

    @property
    def message(self) -> str:
        """The reason in English."""
        return str(self.reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ImpossibleDecision(ValueError):
    """A decision that makes no sense; ``problems`` holds every reason at once."""

    def __init__(self, problems: list[Objection]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class UnknownDecision(KeyError):
    """There is no decision of this id."""

    def __init__(self, decision: int) -> None:
        self.decision = decision
        super().__init__(f"there is no decision {decision}")

    def __str__(self) -> str:
        return str(self.args[0])


def add(tx: Connection, decision: Decision, actor: str, now: int, site: Site | None = None) -> int:
    """Put a decision in force under ``actor`` and return its id; the next look of the planner heeds it.

    With ``site`` its names are checked against the site file, too.

    Raises:
        ImpossibleDecision: with every reason at once.
    """
    if problems := [*_problems(tx, decision, now, site)]:
        raise ImpossibleDecision(problems)
    row = {
        "kind": str(decision.kind),
        "workcell": decision.workcell,
        "skill": decision.skill,
        "heads": decision.heads,
        "operation_id": decision.operation,
        "start": decision.start,
        "end": decision.end,
        "reason": decision.reason,
        "actor": actor,
        "made": now,
        "revoked": None,
        "revoked_by": None,
    }
    key = tx.execute(insert(table).values(row)).inserted_primary_key
    made = msgspec.structs.replace(decision, id=int(key[0]) if key is not None else 0, actor=actor, made=now)
    body = msgspec.json.encode(made)
    journal.append_command(tx, f"decision-{made.id}", journal.DECIDE, actor, now, body)
    return made.id


def revoke(tx: Connection, decision: int, actor: str, now: int) -> None:
    """Take a decision back under ``actor``. Doing so again changes nothing.

    Raises:
        UnknownDecision: there is none of this id.
    """
    row = tx.execute(select(table.c.revoked).where(table.c.id == decision)).first()
    if row is None:
        raise UnknownDecision(decision)
    if row.revoked is not None:
        return
    tx.execute(update(table).where(table.c.id == decision).values(revoked=now, revoked_by=actor))
    body = msgspec.json.encode({"id": decision})
    journal.append_command(tx, f"decision-{decision}-revoked", journal.REVOKE, actor, now, body)


def current(tx: Connection, now: int) -> list[Decision]:
    """Decisions that are in force or will be: not revoked, not over, and their operation not begun yet."""
    over = table.c.end.is_not(None) & (table.c.end <= now)
    return _read(tx, _with_state().where(table.c.revoked.is_(None), ~over), _still_open)


def withdrawn(tx: Connection, ids: Iterable[int]) -> list[Decision]:
    """Those of ``ids`` that were revoked."""
    return _read(tx, _with_state().where(table.c.id.in_([*ids]), table.c.revoked.is_not(None)))


def decided(tx: Connection, limit: int = 100) -> list[Decision]:
    """The newest decisions, those that are over or revoked included, newest first."""
    return _read(tx, _with_state().order_by(None).order_by(table.c.id.desc()).limit(limit))


def _with_state() -> Select[Any]:
    joined = table.outerjoin(operations, operations.c.id == table.c.operation_id)
    return select(table, operations.c.state).select_from(joined).order_by(table.c.id)


def _still_open(row: Row[Any]) -> bool:
    return bool(row.kind != Kind.PIN or row.state == OperationState.PLANNED)


def _read(
    tx: Connection, query: Select[Any], wanted: Callable[[Row[Any]], bool] | None = None
) -> list[Decision]:
    return [
        Decision(
            kind=Kind(row.kind),
            workcell=row.workcell,
            skill=row.skill,
            heads=row.heads,
            operation=row.operation_id,
            start=row.start,
            end=row.end,
            reason=row.reason,
            id=row.id,
            actor=row.actor,
            made=row.made,
        )
        for row in tx.execute(query)
        if wanted is None or wanted(row)
    ]


# --- what cannot be decided ---------------------------------------------------------------------------


class _Form(msgspec.Struct, frozen=True):
    """The fields a kind must have and may have."""

    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


_FORMS = {
    Kind.OVERTIME: _Form(("start", "end"), ("workcell",)),
    Kind.CLOSED: _Form(("workcell", "start", "end")),
    Kind.HEADS: _Form(("skill", "heads", "start", "end")),
    Kind.PIN: _Form(("operation",), ("workcell", "start")),
}
_EMPTY: dict[str, object] = {
    "workcell": "",
    "skill": "",
    "heads": 0,
    "operation": "",
    "start": None,
    "end": None,
}
_MISSING = {
    "workcell": phrase("name the workcell"),
    "skill": phrase("name the skill"),
    "heads": phrase("say how many heads more, or fewer as a negative number"),
    "operation": phrase("name the operation"),
    "start": phrase("say from when"),
    "end": phrase("say until when"),
}


def _problems(tx: Connection, decision: Decision, now: int, site: Site | None) -> Iterator[Objection]:
    form = _FORMS[decision.kind]
    given = {name for name, empty in _EMPTY.items() if getattr(decision, name) != empty}
    for name in form.needs:
        if name not in given:
            yield Objection(name, phrase("is missing: {what}", what=_MISSING[name]))
    for name in sorted(given.difference(form.needs, form.may)):
        reason = phrase('does not belong to a decision of kind "{kind}": leave it out', kind=decision.kind)
        yield Objection(name, reason)
    if abs(decision.heads) > MAX_HEADS:
        reason = phrase(
            "{value} is not between {least} and {most}",
            value=decision.heads,
            least=-MAX_HEADS,
            most=MAX_HEADS,
        )
        yield Objection("heads", reason)
    if len(decision.reason) > MAX_REASON:
        reason = phrase(
            "has {count} characters, at most {most} are kept", count=len(decision.reason), most=MAX_REASON
        )
        yield Objection("reason", reason)
    yield from _time_problems(decision, now)
    if site is not None:
        yield from _name_problems(decision, site)
    if decision.kind is Kind.PIN and decision.operation:
        yield from _pin_problems(tx, decision, now, site)
    if len(current(tx, now)) >= MAX_DECISIONS:
        reason = phrase("{count} decisions are in force: revoke some first", count=MAX_DECISIONS)
        yield Objection("kind", reason)


def _time_problems(decision: Decision, now: int) -> Iterator[Objection]:
    most = MAX_DAYS * 86_400 * MICROSECONDS
    start, end = decision.start, decision.end
    if start is not None and not 0 < start <= now + most:
        reason = phrase("{time} is more than {days} days away", time=_shown(start), days=MAX_DAYS)
        yield Objection("start", reason)
    elif start is not None and decision.kind is Kind.PIN and start < now:
        yield Objection("start", _past(start, now))
    if end is None:
        return
    if end <= now:
        yield Objection("end", _past(end, now))
    if start is not None and end <= start:
        reason = phrase("{end} is not after the start {start}", end=_shown(end), start=_shown(start))
        yield Objection("end", reason)
    elif start is not None and end - start > most:
        reason = phrase(
            "is more than {days} days after the start: change the site file instead", days=MAX_DAYS
        )
        yield Objection("end", reason)


def _name_problems(decision: Decision, site: Site) -> Iterator[Objection]:
    cells = site.workcells()
    if decision.workcell and decision.workcell not in cells:
        reason = phrase("there is no such workcell: {what}", what=one_of(decision.workcell, cells))
        yield Objection("workcell", reason)
    if decision.skill and decision.skill not in site.crew:
        skills = one_of(decision.skill, site.crew) if site.crew else phrase("the site file has no crew")
        yield Objection("skill", phrase("there is no such skill: {what}", what=skills))
    elif decision.skill and decision.heads < -site.crew[decision.skill].most:
        most = site.crew[decision.skill].most
        reason = phrase(
            "{count} are not there to be fewer: {skill} has {most}",
            count=-decision.heads,
            skill=decision.skill,
            most=most,
        )
        yield Objection("heads", reason)


def _pin_problems(tx: Connection, decision: Decision, now: int, site: Site | None) -> Iterator[Objection]:
    name = decision.operation
    if not decision.workcell and decision.start is None:
        yield Objection("workcell", phrase("a pin needs a workcell, a start, or both"))
    row = tx.execute(select(operations.c.state, operations.c.kind).where(operations.c.id == name)).first()
    if row is None:
        yield Objection("operation", phrase('there is no operation "{name}"', name=name))
        return
    if row.state != OperationState.PLANNED:
        reason = phrase(
            "{name} is {state}: only work that has not begun can be pinned",
            name=name,
            state=Phrase(row.state),
        )
        yield Objection("operation", reason)
    cell = site.workcells().get(decision.workcell) if site is not None else None
    if cell is not None and cell.kind != row.kind:
        reason = phrase(
            '{name} needs a workcell of kind "{kind}", and {workcell} is of kind "{other}"',
            name=name,
            kind=row.kind,
            workcell=cell.id,
            other=cell.kind,
        )
        yield Objection("workcell", reason)
    held = (lease.c.operation_id == name) & ~lease.c.returned
    leased = tx.execute(select(lease.c.edge, lease.c.workcell).where(held)).first()
    if leased is not None and decision.workcell and leased.workcell != decision.workcell:
        yield Objection(
            "workcell",
            phrase(
                'edge "{edge}" holds {name} for {workcell}: pin it there, or take it back first',
                edge=leased.edge,
                name=name,
                workcell=leased.workcell,
            ),
        )
    for other in current(tx, now):
        if other.kind is Kind.PIN and other.operation == name:
            reason = phrase(
                "decision {decision} pins {name} already: revoke that one first", decision=other.id, name=name
            )
            yield Objection("operation", reason)


def _past(time: int, now: int) -> Phrase:
    return phrase("{time} is in the past (now {now})", time=_shown(time), now=_shown(now))


def _shown(utc: int) -> str:
    try:
        return f"{_EPOCH + timedelta(microseconds=utc):%Y-%m-%d %H:%M} UTC"
    except OverflowError:
        return f"{utc} µs"
