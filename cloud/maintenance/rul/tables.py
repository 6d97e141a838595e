"""The tables of the models, and of the lives that they tell: what is shown, and the rows it was made of."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from cloud.store.metadata import METADATA, RowId, Time

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
"""Every version with its file, what it is used for and how it fares."""

MODEL_STEP = Table(
    "model_step",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("version", String(36), ForeignKey("model_version.id"), nullable=False, index=True),
    Column("ts", Time, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("event", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Who brought a model in, or had it used for what, when and why; only appended."""

MODEL_DRIFT = Table(
    "model_drift",
    METADATA,
    Column("version", String(36), ForeignKey("model_version.id"), primary_key=True),
    Column("seen", LargeBinary, nullable=False),
)
"""What a model's signals were on running machines, counted by the quantiles of its training (msgpack)."""

REMAINING_LIFE = Table(
    "remaining_life",
    METADATA,
    Column("asset", String(36), primary_key=True),
    Column("device", String(32), nullable=False),
    Column("version", String(36), nullable=False),
    Column("updated", Time, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""What the active model says of each asset (msgpack)."""

LIFE_STRETCH = Table(
    "life_stretch",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("asset", String(36), nullable=False),
    Column("version", String(36), nullable=False),
    Column("since", Time, nullable=False),
    Column("first", Integer, nullable=False),
    Column("begins", Time, nullable=False),
    Column("ends", Time, nullable=False),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("asset", "version", "since", "first", name="uq_life_stretch"),
)
"""Rows and scores of an asset under a model, in stretches (msgpack). ``since`` is when the life began."""

LIFE_RENEWED = Table(
    "life_renewed",
    METADATA,
    Column("asset", String(36), primary_key=True),
    Column("since", Time, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("reason", Text, nullable=False),
)
"""Since when an asset is as new: a repair, or what a person said."""

EDGE_MODEL = Table(
    "edge_model",
    METADATA,
    Column("edge", String(32), primary_key=True),
    Column("device", String(32), primary_key=True),
    Column("deployment", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("since", Time, nullable=False),
    Column("file", Boolean, nullable=False),
    Column("refused", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("life", Time, nullable=False),
    Column("told", Time, nullable=False),
)
"""What each edge says that it scores its machines with; see ``protocols.states.ModelHeld``."""

LIFE_END = Table(
    "life_end",
    METADATA,
    Column("asset", String(36), primary_key=True),
    Column("version", String(36), primary_key=True),
    Column("since", Time, primary_key=True),
    Column("upper", Float, nullable=False),
    Column("lived", Float, nullable=False),
    Column("ts", Time, nullable=False),
)
"""Lives that ended, or outlasted the first interval that was told of them: its upper end, and the rows that
came after it."""
