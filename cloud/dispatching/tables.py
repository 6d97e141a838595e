"""Tables of the plans that were published, and of what people decided about planning. Times are µs UTC."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from cloud.store.metadata import METADATA, RowId, Time

ID = String(64)

plan = Table(
    "plan",
    METADATA,
    Column("version", RowId, primary_key=True, autoincrement=True),
    Column("created", Time, nullable=False),
    Column("causes", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("objective", JSON, nullable=False),
    Column("difference", JSON, nullable=False),
    Column("down", JSON, nullable=False),
    Column("wishes", JSON, nullable=False),
    Column("note", Text, nullable=False),
    Column("decisions", JSON, nullable=False, server_default="[]"),
    Column("stuck", JSON, nullable=False, server_default="[]"),
    Column("problem", LargeBinary),
    Column("schedule", LargeBinary),
    sqlite_autoincrement=True,
)
"""Plans in the order they came into force. ``causes`` is why there is a new one, ``difference`` what it
changes, ``down`` the workcells it counted as down, ``wishes`` the maintenance it had to place, ``decisions``
the ids of those it heeds, ``stuck`` the vehicles it did not count on; ``problem`` and ``schedule`` are kept
for the newest few, so that a plan can be explained."""

plan_operation = Table(
    "plan_operation",
    METADATA,
    Column("version", RowId, ForeignKey("plan.version"), primary_key=True, autoincrement=False),
    Column("operation_id", ID, primary_key=True, index=True),
    Column("workcell", ID, nullable=False),
    Column("start", Time, nullable=False),
    Column("end", Time, nullable=False),
    Column("setup_seconds", Integer, nullable=False),
    Column("changeover_seconds", Integer, nullable=False),
    Column("run_group", ID, nullable=False),
    Column("fixed", Integer, nullable=False),
    Column("due", Time, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("material", Time, nullable=False, server_default="0"),
    Column("held", Integer, nullable=False, server_default="0"),
)
"""Where and when each operation runs; ``start`` to ``end`` without the changeover before it. ``due`` (whole
seconds) and ``weight`` are the promise that the plan was made for, ``material`` is when its material was
expected then, ``held`` whether its lot was on hold."""

plan_service = Table(
    "plan_service",
    METADATA,
    Column("version", RowId, ForeignKey("plan.version"), primary_key=True, autoincrement=False),
    Column("service_id", ID, primary_key=True),
    Column("workcell", ID, nullable=False),
    Column("start", Time, nullable=False),
    Column("end", Time, nullable=False),
)
"""Maintenance windows that the plan places."""

decision = Table(
    "decision",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("workcell", ID, nullable=False),
    Column("skill", ID, nullable=False),
    Column("heads", Integer, nullable=False),
    Column("operation_id", ID, nullable=False),
    Column("start", Time),
    Column("end", Time),
    Column("reason", Text, nullable=False),
    Column("actor", ID, nullable=False),
    Column("made", Time, nullable=False),
    Column("revoked", Time),
    Column("revoked_by", ID),
    sqlite_autoincrement=True,
)
"""What supervisors decided about planning; see ``decisions``. Nothing is deleted: a decision is revoked, or
it is over."""

Index("ix_decision_revoked_end", decision.c.revoked, decision.c.end)
