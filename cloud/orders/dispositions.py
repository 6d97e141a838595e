"""What a decision about pieces that do not conform does to the work: good pieces become rework or scrap.

The rest follows as from a booking at a station: rework that what follows waits for, a job to replace them, or
less for what follows.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, select, update

from cloud.orders import balance, genealogy, journal
from cloud.orders.facts import Decided
from cloud.orders.progress import find_operation, follow_operations, is_cancelled
from cloud.orders.tables import instruction, operation
from protocols.inspection import Characteristic
from protocols.jobs import Step, StepKind, Text
from protocols.lifecycles import OperationState

ZERO = Decimal(0)

_steps = msgspec.json.Decoder(tuple[Step, ...])
_plan = msgspec.json.Decoder(tuple[Characteristic, ...])
_encode = msgspec.json.Encoder().encode


class Correction(msgspec.Struct, frozen=True):
    """Pieces of an operation that count otherwise from now on: as ``rework`` or as ``scrap`` instead of good
    (negative: good again). ``text`` is what is to be done to them, ``at`` µs UTC.
    """

    operation: str
    rework: Decimal
    scrap: Decimal
    at: int
    text: str = ""
    text_zh: str = ""


def good_pieces(tx: Connection, operation_id: str) -> Decimal:
    """How many pieces of an operation are booked as good."""
    row = find_operation(tx, operation_id)
    return row.good if row is not None else ZERO


def correct(tx: Connection, wanted: Correction, actor: str, command: str) -> None:
    """Make a correction, and keep it in the journal under ``command``."""
    journal.append_command(tx, command, journal.CORRECT, actor, wanted.at, _encode(wanted))
    apply(tx, wanted, command)


def apply(tx: Connection, wanted: Correction, command: str) -> None:
    """The effects of a correction; never more pieces than there are of their kind."""
    row = find_operation(tx, wanted.operation)
    if row is None:
        return
    rework = max(wanted.rework, -row.rework)
    scrap = max(wanted.scrap, -row.scrap)
    good = row.good - rework - scrap
    if good < 0:
        return
    here = operation.c.id == row.id
    tx.execute(
        update(operation).where(here).values(good=good, rework=row.rework + rework, scrap=row.scrap + scrap)
    )
    matter = Decided(tx, command, wanted.at)
    genealogy.number_units(matter, row.id)
    if row.state != OperationState.FINISHED or is_cancelled(tx, row.job_id):
        return
    known = set(_reworks(tx, row.id))
    balance.rebalance(matter, row.id)
    for name in _reworks(tx, row.id):
        if name not in known and wanted.text:
            _instruct(tx, name, Text(wanted.text, wanted.text_zh or wanted.text))
    follow_operations(matter, row.job_id)


def _reworks(tx: Connection, operation_id: str) -> list[str]:
    return [*tx.execute(select(operation.c.id).where(operation.c.rework_of == operation_id)).scalars()]


def _instruct(tx: Connection, name: str, words: Text) -> None:
    """Begin the instruction of a rework with what is to be done; measuring steps move on by one."""
    here = instruction.c.operation_id == name
    row = tx.execute(select(instruction).where(here)).first()
    first = Step(StepKind.CONFIRM, Text("Rework", "返工"), words)
    if row is None:
        tx.execute(
            instruction.insert().values(operation_id=name, steps=_encode([first]).decode(), inspection="[]")
        )
        return
    steps = (first, *_steps.decode(row.steps))
    plan = [replace(each, steps=tuple(n + 1 for n in each.steps)) for each in _plan.decode(row.inspection)]
    tx.execute(
        update(instruction)
        .where(here)
        .values(steps=_encode(steps).decode(), inspection=_encode(plan).decode())
    )
