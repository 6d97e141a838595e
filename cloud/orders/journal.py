"""Every action and office command in the order it took effect: what the state follows from.

The ledger has the sealed batches; this is their content once each, readable and searchable, together with
the commands of the office. Rebuilding means applying it again, in order, to an empty database.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, insert, select, update

from cloud.orders.tables import action as table
from cloud.orders.tables import actor as actors
from protocols.actions import Action

APPLIED, INBOX, FAILED = "applied", "inbox", "failed"
"""Outcomes: took effect; went to the exceptions inbox (perhaps beside an effect); failed by our mistake."""

OVERRIDE = "lease.override"
"""The command by which a person takes a leased operation away from its edge."""
DECIDE, REVOKE = "planning.decide", "planning.revoke"
"""The commands by which a supervisor decides about planning, and takes that back."""
OPEN_CASE, STEP_CASE = "case.open", "case.step"
"""The commands by which a maintenance case is opened, and goes on."""
FREEZE, NONCONFORMANCE = "quality.freeze", "quality.nonconformance"
"""The commands by which a supervisor freezes limits of a chart, and decides about what does not conform."""
CORRECT = "quality.pieces"
"""The command by which pieces that were booked as good become rework or scrap, or good again."""
ELSEWHERE = frozenset({OVERRIDE, DECIDE, REVOKE, OPEN_CASE, STEP_CASE, FREEZE, NONCONFORMANCE})
"""Commands that concern the plan, machines or quality alone: without effect on orders."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Action)


class Entry(msgspec.Struct, frozen=True):
    """One line of the journal. ``edge`` is empty for a command, whose content is ``body`` itself."""

    seq: int
    id: str
    edge: str
    ts: int
    received: int
    workcell: str
    actor: str
    type: str
    body: str
    outcome: str
    undone: bool

    @property
    def action(self) -> Action:
        """The action as it was sent; only where ``edge`` is not empty."""
        return _decoder.decode(self.body)


def known(tx: Connection, ids: list[str]) -> set[str]:
    """Those of ``ids`` that are in the journal already."""
    found: set[str] = set()
    for start in range(0, len(ids), 500):
        found.update(tx.execute(select(table.c.id).where(table.c.id.in_(ids[start : start + 500]))).scalars())
    return found


def append(tx: Connection, edge: str, action: Action, received: int) -> None:
    """Write down an action before its effects."""
    _remember_actor(tx, action.actor, received)
    kind = str(type(action.event).__struct_config__.tag)
    _append(
        tx, action.id, edge, action.ts, received, action.workcell, action.actor, kind, _encoder.encode(action)
    )


def append_command(tx: Connection, command_id: str, kind: str, actor: str, now: int, body: bytes) -> None:
    """Write down a command of the office."""
    _remember_actor(tx, actor, now)
    _append(tx, command_id, "", now, now, "", actor, kind, body)


def _append(
    tx: Connection,
    action_id: str,
    edge: str,
    ts: int,
    received: int,
    workcell: str,
    actor: str,
    kind: str,
    body: bytes,
) -> None:
    row = {
        "id": action_id,
        "edge": edge,
        "ts": ts,
        "received": received,
        "workcell": workcell,
        "actor": actor,
        "type": kind,
        "body": body.decode(),
        "outcome": APPLIED,
        "undone": False,
    }
    tx.execute(insert(table).values(row))


def _remember_actor(tx: Connection, pseudonym: str, now: int) -> None:
    if tx.execute(select(actors.c.pseudonym).where(actors.c.pseudonym == pseudonym)).first() is None:
        tx.execute(insert(actors).values(pseudonym=pseudonym, first_seen=now))


def set_outcome(tx: Connection, action_id: str, outcome: str) -> None:
    """Say what became of an action."""
    tx.execute(update(table).where(table.c.id == action_id).values(outcome=outcome))


def mark_undone(tx: Connection, action_id: str) -> bool:
    """Mark an action as undone; False when it is not in the journal."""
    return bool(tx.execute(update(table).where(table.c.id == action_id).values(undone=True)).rowcount)


def entries(tx: Connection, after: int = 0) -> Iterator[Entry]:
    """The journal in order, from behind ``after`` on."""
    for row in tx.execute(select(table).where(table.c.seq > after).order_by(table.c.seq)):
        yield Entry(**row._mapping)
