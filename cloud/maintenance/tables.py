"""Tables of the maintenance: what is known of each asset, and its cases."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, LargeBinary, String, Table, Text

from cloud.store.metadata import METADATA, Time

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
    Index("ix_case_asset_mode", "asset", "mode"),
)
