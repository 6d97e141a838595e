"""The table of the models: every version with its file, what it is used for and how it fares."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from cloud.store.metadata import METADATA, Time

MODEL_VERSION = Table(
    "model_version",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("scope", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("file", LargeBinary, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("created", Time, nullable=False),
    Column("changed", Time, nullable=False),
    Column("changed_by", String(32), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("activated", Time, nullable=True),
    Column("shadow_scores", Integer, nullable=False, server_default="0"),
    Column("shadow_difference", Float, nullable=False, server_default="0"),
    Column("drift_kind", String(16), nullable=False, server_default=""),
    Column("drift_text", Text, nullable=False, server_default=""),
    Column("drift_at", Time, nullable=True),
    Index("ix_model_version_scope_state", "scope", "state"),
)
