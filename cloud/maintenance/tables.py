"""Tables of the maintenance: what is known of each asset, its cases, and every step of theirs."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, LargeBinary, String, Table, Text

from cloud.store.metadata import METADATA, RowId, Time

ASSET_HEALTH = Table(
    "asset_health",
    METADATA,
    Column("asset", String(36), primary_key=True),
    Column("device", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("health", Float, nullable=True),
    Column("updated", Time, nullable=False),
    Column("model", LargeBinary, nullable=False),
)

CASE = Table(
    "maintenance_case",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("asset", String(36), nullable=False),
    Column("device", String(32), nullable=False),
    Column("mode", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened", Time, nullable=False),
    Column("changed", Time, nullable=False),
    Column("changed_by", String(32)),
    Column("health", Float, nullable=False),
    Column("summary", Text, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("evidence_from", Time, nullable=False, server_default="0"),
    Column("snoozed_until", Time, nullable=False, server_default="0"),
    Column("order", LargeBinary),
    Column("began", Time),
    Column("ended", Time),
    Column("verdict", String(16)),
    Column("cause", Text, nullable=False, server_default=""),
    Column("found", Text, nullable=False, server_default=""),
    Column("judged", Time),
    Column("judged_by", String(32)),
    Index("ix_case_asset_mode", "asset", "mode"),
)
"""The newest state of every case. ``order`` is its maintenance order (msgpack)."""

STEP = Table(
    "maintenance_step",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("case_id", String(36), ForeignKey("maintenance_case.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("ts", Time, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("event", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""The journal of the cases, only appended: who did what, when and why. ``name`` is the id of the action or
command it came with, so that none takes effect twice; ``body`` is the whole step as JSON. The first one of a
case is ``open``."""
