"""Inspection plans of operations as they are stored, and what a job list shows of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, Row, select

from cloud.orders.tables import instruction, operation
from cloud.quality import charts, nonconformances, part_courses
from cloud.quality.nonconformances import Nonconformance
from cloud.quality.part_courses import Deviation
from cloud.quality.tables import chart as chart_table
from cloud.quality.tables import sample as sample_table
from protocols.inspection import Characteristic, Disposition, Held, Notice, chart_at
from protocols.spc.charts import in_words

_plan = msgspec.json.Decoder(tuple[Characteristic, ...])
NOTICES = 3
"""The newest notices of an operation that its station is shown."""


def plan_of(tx: Connection, operation_id: str) -> tuple[Characteristic, ...]:
    """The inspection plan of an operation; empty where there is none."""
    query = select(instruction.c.inspection).where(instruction.c.operation_id == operation_id)
    text = tx.execute(query).scalar_one_or_none()
    return _plan.decode(text) if text else ()


def decode(text: str) -> tuple[Characteristic, ...]:
    """A stored inspection plan."""
    return _plan.decode(text)


class HandedOut:
    """What stations are told about the quality of the operations on their lists; read once for all."""

    def __init__(
        self, tx: Connection, instructions: Mapping[str, Row[Any]], operations: Mapping[str, Row[Any]]
    ) -> None:
        """``instructions`` and ``operations`` are rows by operation; of the latter also predecessors."""
        planned = {name: row.inspection for name, row in instructions.items() if row.inspection != "[]"}
        self._plans = {name: _plan.decode(text) for name, text in planned.items()}
        self._limits = charts.frozen(tx) if self._plans else {}
        self._held = held(tx, {row.job_id for row in operations.values()})
        self._notices = _notices(tx, instructions) if self._plans else {}
        for name, left in part_courses.of_operations(tx, [*instructions]).items():
            told = [*self._notices.get(name, ()), *map(_course_notice, left[:NOTICES])]
            self._notices[name] = sorted(told, key=lambda notice: -notice.ts)[:NOTICES]

    def inspection(self, name: str, workcell: str) -> tuple[Characteristic, ...]:
        """The plan of an operation with the limits in force at its workcell."""
        return tuple(
            replace(each, limits=self._limits.get(chart_at(each.chart, workcell)))
            for each in self._plans.get(name, ())
        )

    def held(self, name: str) -> tuple[Held, ...]:
        """Why an operation may not begin."""
        return tuple(
            Held(str(each.id), each.text, each.text_zh, each.source) for each in self._held.get(name, ())
        )

    def notices(self, name: str) -> tuple[Notice, ...]:
        """What charts said about an operation, newest first."""
        return tuple(self._notices.get(name, ()))


def held(tx: Connection, jobs: Collection[str]) -> dict[str, list[Nonconformance]]:
    """What follows a nonconformance in one of ``jobs``, by operation, the oldest reason first.

    The rework that was decided is not held: it is what the rest waits for.
    """
    found: dict[str, list[Nonconformance]] = defaultdict(list)
    holding = nonconformances.holding(tx, jobs)
    if not holding:
        return found
    query = select(operation.c.id, operation.c.predecessors, operation.c.rework_of).where(
        operation.c.job_id.in_(sorted({each.job for each in holding}))
    )
    rows = tx.execute(query).all()
    before = {row.id: row.predecessors for row in rows}
    rework_of = {row.id: row.rework_of for row in rows}
    for each in holding:
        decided = each.disposition == Disposition.REWORK
        for name in _followers(before, each.operation):
            if not (decided and rework_of[name] == each.operation):
                found[name].append(each)
    return found


def _followers(before: Mapping[str, Iterable[str]], name: str) -> set[str]:
    """Everything that waits for an operation, directly or not."""
    found: set[str] = set()
    new = {name}
    while new:
        new = {other for other, names in before.items() if other not in found and not new.isdisjoint(names)}
        found |= new
    return found


def _course_notice(told: tuple[str, Deviation]) -> Notice:
    signal, left = told
    return Notice(signal, left.end, f"{signal}: {left.text}", f"{signal}：偏离标准曲线（{left.text}）")


def _notices(tx: Connection, names: Collection[str]) -> dict[str, list[Notice]]:
    found: dict[str, list[Notice]] = defaultdict(list)
    query = (
        select(
            sample_table.c.operation_id,
            sample_table.c.ts,
            sample_table.c.signals,
            chart_table.c.characteristic,
            chart_table.c.title,
            chart_table.c.title_zh,
        )
        .join(chart_table, chart_table.c.id == sample_table.c.chart_id)
        .where(
            sample_table.c.operation_id.in_(sorted(names)),
            sample_table.c.signals != "",
            sample_table.c.actor != charts.BACKLOG,
            sample_table.c.void.is_(False),
        )
        .order_by(sample_table.c.id.desc())
    )
    for row in tx.execute(query):
        notices = found[row.operation_id]
        if len(notices) < NOTICES:
            english, chinese = in_words(tuple(row.signals.split()))
            text = f"{row.title}: {english}", f"{row.title_zh}：{chinese}"
            notices.append(Notice(row.characteristic, row.ts, *text))
    return found
