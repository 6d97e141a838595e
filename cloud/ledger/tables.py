"""Tables of the ledger and of what machines report. Times are µs UTC.

``batch`` is the truth: blobs as the edges sealed them. Everything else in this file can be rebuilt from it,
except what has been pruned from the telemetry lane.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from cloud.store.metadata import METADATA, RowId, Time

EDGE = String(32)
NAME = String(128)
"""Ids that come from an edge: devices, stops, alarms."""

batch = Table(
    "batch",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("edge", EDGE, nullable=False),
    Column("stream", LargeBinary(16), nullable=False),
    Column("lane", String(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("historical", Boolean, nullable=False),
    Column("decodable", Boolean, nullable=False),
    Column("received", Time, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    UniqueConstraint("stream", "lane", "seq"),
    sqlite_autoincrement=True,
)
"""Ledgered batches in the order they took effect. ``count`` is 0 where the blob is not ``decodable``."""

Index("ix_batch_lane_id", batch.c.lane, batch.c.id)
Index("ix_batch_lane_count", batch.c.lane, batch.c.count)

pruned = Table(
    "pruned",
    METADATA,
    Column("stream", LargeBinary(16), primary_key=True),
    Column("lane", String(16), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
)
"""Seqs (inclusive), with the samples they held, of batches that were ledgered and, their retention over,
deleted: still not new.
"""

ledgered_action = Table(
    "ledgered_action",
    METADATA,
    Column("id", NAME, primary_key=True),
    Column("batch", RowId, nullable=False),
)
"""Ids of all actions that took effect: none takes effect twice."""

quarantine = Table(
    "quarantine",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("received", Time, nullable=False),
    Column("edge", EDGE, nullable=False),
    Column("topic", Text, nullable=False),
    Column("batch", RowId),
    Column("reason", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
"""What could not be read. ``batch`` where it is ledgered all the same; else ``payload`` has its beginning."""

gap = Table(
    "gap",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("edge", EDGE, nullable=False, index=True),
    Column("stream", LargeBinary(16), nullable=False),
    Column("lane", String(16), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("from_ts", Time, nullable=False),
    Column("to_ts", Time, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("ledgered", BigInteger, nullable=False),
    Column("catalogue", LargeBinary, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received", Time, nullable=False),
)
"""Tombstones. ``ledgered`` samples of the ``samples`` were in the ledger after all: not missing."""

Index("ix_gap_stream_lane", gap.c.stream, gap.c.lane, gap.c.first)

edge = Table(
    "edge",
    METADATA,
    Column("id", EDGE, primary_key=True),
    Column("first_seen", Time, nullable=False),
    Column("last_seen", Time, nullable=False),
    Column("catalogue", LargeBinary),
    Column("jobs_version", BigInteger, nullable=False),
    Column("configs", JSON, nullable=False),
    Column("batches", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("actions", BigInteger, nullable=False),
    Column("states", BigInteger, nullable=False),
    Column("replays", BigInteger, nullable=False),
    Column("repeated_actions", BigInteger, nullable=False),
    Column("forks", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
)
"""Edges and their counters, kept in the same transactions as what they count."""

COUNTERS = (
    "batches",
    "samples",
    "actions",
    "states",
    "replays",
    "repeated_actions",
    "forks",
    "dropped",
    "quarantined",
)

catalogue = Table(
    "catalogue",
    METADATA,
    Column("hash", LargeBinary(16), primary_key=True),
    Column("edge", EDGE, nullable=False),
    Column("received", Time, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
"""Catalogues by content hash, kept for ever: ledgered samples mean nothing without them."""

tag = Table(
    "tag",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("path", Text, nullable=False),
    Column("type", String(16), nullable=False),
    Column("unit", String(64), nullable=False),
    Column("edge", EDGE, nullable=False, index=True),
    Column("device", NAME, nullable=False, index=True),
    Column("role", String(64), nullable=False),
    Column("max_interval", Float, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("first_seen", Time, nullable=False),
    UniqueConstraint("path", "type", "unit"),
    sqlite_autoincrement=True,
)
"""The cloud's own tags. A path whose type or unit changed is a new one; the old one is not ``current``."""

device = Table(
    "device",
    METADATA,
    Column("id", NAME, primary_key=True),
    Column("edge", EDGE, nullable=False),
    Column("connected", Boolean, nullable=False),
    Column("connected_since", Time, nullable=False),
    Column("heartbeat", Time, nullable=False),
    Column("last_read", Time, nullable=False),
    Column("detail", Text, nullable=False),
    Column("state_since", Time, nullable=False),
    Column("item_state", String(16), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("state_detail", Text, nullable=False),
    Column("differs", Text, nullable=False, server_default=""),
    Column("firmware", NAME, nullable=False, server_default=""),
    Column("alarms_standing", BigInteger, nullable=False, server_default="0"),
    Column("alarms_untold", BigInteger, nullable=False, server_default="0"),
    Column("alarms_refused", BigInteger, nullable=False, server_default="0"),
)
"""Devices as last reported; what arrives late never replaces what is newer. ``alarms_standing`` are those
that stand at the machine, ``alarms_untold`` the changes that its edge held back in a flood,
``alarms_refused`` those that were more than is kept here.
"""

machine_state = Table(
    "machine_state",
    METADATA,
    Column("device", NAME, primary_key=True),
    Column("ts", Time, primary_key=True),
    Column("item_state", String(16), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("detail", Text, nullable=False),
)
"""Every state of every machine, each from ``ts`` until the next row's."""

stop = Table(
    "stop",
    METADATA,
    Column("id", NAME, primary_key=True),
    Column("edge", EDGE, nullable=False),
    Column("device", NAME, nullable=False, index=True),
    Column("workcell", NAME, nullable=False),
    Column("opened", Time, nullable=False, index=True),
    Column("closed", Time, index=True),
    Column("hint", Text, nullable=False),
)

Index("ix_stop_workcell_opened", stop.c.workcell, stop.c.opened)
"""Machine stops; the reasons people give are actions and kept with the orders."""

alarm = Table(
    "alarm",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("device", NAME, nullable=False),
    Column("alarm", NAME, nullable=False),
    Column("edge", EDGE, nullable=False),
    Column("raised", Time, nullable=False),
    Column("cleared", Time, index=True),
    Column("text", Text, nullable=False),
    Column("source", NAME, nullable=False, server_default=""),
    Column("severity", Integer, nullable=False, server_default="0"),
    Column("acknowledged", Time),
)
"""Alarms from their rise to their end (``cleared``); ``severity`` 1 to 1000, 0: it is not known."""

Index("ix_alarm_device_alarm", alarm.c.device, alarm.c.alarm, alarm.c.raised)

notice = Table(
    "notice",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("edge", EDGE, nullable=False),
    Column("ts", Time, nullable=False, index=True),
    Column("received", Time, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("text", Text, nullable=False),
)

projection = Table(
    "projection",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("held", JSON, nullable=False),
)
"""How far readers of the ledger have got: the history, and others that follow it."""

machine_lock = Table(
    "machine_lock",
    METADATA,
    Column("device", NAME, primary_key=True),
    Column("edge", EDGE, nullable=False),
    Column("workcell", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Time, nullable=False),
)
"""The lock of a machine as its edge last told (``protocols.lifecycles.LockState``)."""
