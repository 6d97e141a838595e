"""Serials of finished units, and which material lots went into what."""

from __future__ import annotations

import msgspec
from sqlalchemy import insert, select, update

from cloud.orders.facts import Fact, Matter
from cloud.orders.tables import genealogy, instruction, job, operation, unit
from cloud.store.database import insert_into
from protocols import actions as act
from protocols.jobs import Step, StepKind

PIECE = "C62"
"""Rec 20 code of a unit that is counted; only those get serials."""


def number_units(fact: Matter, operation_id: str) -> None:
    """Give each piece that passed the job's last operation a serial; undone ones become void."""
    row = fact.tx.execute(
        select(operation.c.job_id, job.c.unit)
        .join(job, job.c.id == operation.c.job_id)
        .where(operation.c.id == operation_id)
    ).one()
    if row.unit != PIECE:
        return
    routing = fact.tx.execute(
        select(operation.c.id, operation.c.good, operation.c.position, operation.c.rework_of)
        .where(operation.c.job_id == row.job_id)
        .order_by(operation.c.position)
    ).all()
    last = max((step for step in routing if step.rework_of is None), key=lambda step: step.position)
    of_last = [step for step in routing if step.id == last.id or _is_rework_of(step.id, last.id)]
    if operation_id not in {step.id for step in of_last}:
        return
    wanted = int(sum(step.good for step in of_last))
    existing = fact.tx.execute(select(unit).where(unit.c.job_id == row.job_id).order_by(unit.c.number)).all()
    for found in existing:
        void = found.number > wanted
        if found.void != void:
            fact.tx.execute(update(unit).where(unit.c.serial == found.serial).values(void=void))
    for number in range(len(existing) + 1, wanted + 1):
        serial = f"{row.job_id}-u{number:03d}"
        made = {"serial": serial, "job_id": row.job_id, "number": number, "made": fact.ts, "void": False}
        fact.tx.execute(insert(unit).values(made))
        link = {"child": serial, "parent": row.job_id, "relation": "unit", "ts": fact.ts}
        fact.tx.execute(insert(genealogy).values(link))


def _is_rework_of(name: str, base: str) -> bool:
    return name.startswith(base + "w")


def trace_material(fact: Fact, event: act.StepDone) -> None:
    """A scan step that expects no certain code records the lot that was scanned as the job's material."""
    if not event.value or not event.ok or not _records_lot(fact, event.operation, event.step):
        return
    job_id = fact.tx.execute(select(operation.c.job_id).where(operation.c.id == event.operation)).scalar_one()
    link = {
        "child": job_id,
        "parent": event.value[:64],
        "relation": "material",
        "run_id": event.run,
        "ts": fact.ts,
    }
    fact.tx.execute(insert_into(fact.tx, genealogy).values(link).on_conflict_do_nothing())


def _records_lot(fact: Fact, operation_id: str, number: int) -> bool:
    text = fact.tx.execute(
        select(instruction.c.steps).where(instruction.c.operation_id == operation_id)
    ).scalar_one_or_none()
    steps = msgspec.json.decode(text, type=list[Step]) if text else []
    if not 0 <= number < len(steps):
        return False
    return steps[number].kind is StepKind.SCAN and not steps[number].expected
