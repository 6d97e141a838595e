"""Tables of quality: charts with their samples and frozen limits, and what does not conform.

Times are µs UTC. A sample is only appended; one that was undone is ``void`` and counts no more.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from cloud.store.metadata import METADATA, Quantity, RowId, Time

ID = String(64)

chart = Table(
    "quality_chart",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("characteristic", ID, nullable=False),
    Column("title", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("unit", String(8), nullable=False),
    Column("workcell", ID, nullable=False),
    Column("on_violation", String(8), nullable=False),
    Column("spec", Text, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("points", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated", Time, nullable=False),
    sqlite_autoincrement=True,
)
"""One characteristic at one workcell. ``spec`` is JSON of protocols.spc.charts.Spec, ``state`` msgpack of
protocols.spc.chart.State, ``version`` that of the limits in force, 0 for none."""

limits = Table(
    "quality_limits",
    METADATA,
    Column("chart_id", RowId, ForeignKey("quality_chart.id"), primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("limits", Text, nullable=False),
    Column("last_point", Integer, nullable=False),
    Column("frozen", Time, nullable=False),
    Column("actor", ID, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Frozen limits, never changed: JSON of protocols.spc.limits.Limits. ``last_point`` was there when it was
frozen; sums of CUSUM and EWMA begin after it."""

sample = Table(
    "quality_sample",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("chart_id", RowId, ForeignKey("quality_chart.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("ts", Time, nullable=False),
    Column("source", String(80), nullable=False, unique=True),
    Column("operation_id", ID, nullable=False, index=True),
    Column("job_id", ID, nullable=False),
    Column("actor", ID, nullable=False),
    Column("sample", Text, nullable=False),
    Column("point", Text, nullable=False),
    Column("signals", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("void", Boolean, nullable=False),
    Index("ix_quality_sample_chart_number", "chart_id", "number"),
    sqlite_autoincrement=True,
)
"""What was measured, and the point it gave. ``number`` is 0 while a subgroup is not full; ``source`` is the
action or the tag and time; ``signals`` are separated by spaces."""

nonconformance = Table(
    "nonconformance",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("source", String(80), nullable=False, unique=True),
    Column("chart_id", RowId),
    Column("job_id", ID, nullable=False, index=True),
    Column("operation_id", ID, nullable=False),
    Column("workcell", ID, nullable=False),
    Column("text", Text, nullable=False),
    Column("text_zh", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("disposition", String(16), nullable=False),
    Column("quantity", Quantity),
    Column("reason", Text, nullable=False),
    Column("opened", Time, nullable=False),
    Column("opened_by", ID, nullable=False),
    Column("changed", Time, nullable=False),
    Column("changed_by", ID),
    sqlite_autoincrement=True,
)

nonconformance_event = Table(
    "nonconformance_event",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("nonconformance_id", RowId, ForeignKey("nonconformance.id"), nullable=False, index=True),
    Column("ts", Time, nullable=False),
    Column("actor", ID, nullable=False),
    Column("event", String(16), nullable=False),
    Column("disposition", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Who decided what about a nonconformance, and why; only appended."""

envelope = Table(
    "quality_envelope",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("device", ID, nullable=False),
    Column("program", String(200), nullable=False),
    Column("signal", String(200), nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("learned", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("outside", Integer, nullable=False),
    Column("updated", Time, nullable=False),
    UniqueConstraint("device", "program", "signal", name="uq_quality_envelope_device_program_signal"),
    sqlite_autoincrement=True,
)
"""Golden envelopes: ``state`` is msgpack of cloud.quality.part_courses.Learned, ``version`` 0 while it is
learned, ``learned`` how often it was learned anew; ``parts`` were judged, ``outside`` of them left it."""

deviation = Table(
    "quality_deviation",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("envelope_id", RowId, ForeignKey("quality_envelope.id"), nullable=False, index=True),
    Column("start", Time, nullable=False),
    Column("end", Time, nullable=False),
    Column("operation_id", ID, nullable=False, index=True),
    Column("outside", Integer, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Pieces that left their envelope; ``outside`` is by how many thousandths."""
