"""Tables of the orders area. Times are µs UTC, quantities decimals, ids the words people scan.

What people did (``action``) is only appended; everything else here follows from it and from the office's
commands in the same table, so that it can be rebuilt. A lease is not a state of the operation's row: it
belongs to the talk between planner and edge, and is joined when the state is read.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, false

from cloud.store.metadata import METADATA, Quantity, RowId, Time

ID = String(64)
"""Ids that people read and scan."""

product = Table(
    "product",
    METADATA,
    Column("hash", String(32), primary_key=True),
    Column("id", ID, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("imported", Time, nullable=False),
    Column("current", Boolean, nullable=False),
)
"""Product families by content hash; one of each id is current, the others are what old orders refer to."""

actor = Table(
    "actor",
    METADATA,
    Column("pseudonym", ID, primary_key=True),
    Column("first_seen", Time, nullable=False),
)

person = Table(
    "person",
    METADATA,
    Column("pseudonym", ID, ForeignKey("actor.pseudonym"), primary_key=True),
    Column("name", Text, nullable=False),
)
"""The only place where a pseudonym meets a name: may be emptied or kept elsewhere, nothing joins it."""

action = Table(
    "action",
    METADATA,
    Column("seq", RowId, primary_key=True, autoincrement=True),
    Column("id", ID, nullable=False, unique=True),
    Column("edge", String(32), nullable=False),
    Column("ts", Time, nullable=False),
    Column("received", Time, nullable=False),
    Column("workcell", ID, nullable=False),
    Column("actor", ID, nullable=False),
    Column("type", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("undone", Boolean, nullable=False, default=False),
    sqlite_autoincrement=True,
)
"""Every action and office command in the order it took effect. ``outcome``: applied, inbox or failed.
``edge`` is empty for commands of the office."""

Index("ix_action_workcell_ts", action.c.workcell, action.c.ts)

orders = Table(
    "orders",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("customer", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("due", Time, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("shortage", String(8), nullable=False, server_default="replace"),
    Column("state", String(16), nullable=False, index=True),
    Column("created", Time, nullable=False, index=True),
    Column("started", Time),
    Column("completed", Time, index=True),
)
"""Orders of customers. ``shortage`` says what follows from scrap: it is made anew, or less is delivered."""

order_line = Table(
    "order_line",
    METADATA,
    Column("order_id", ID, ForeignKey("orders.id"), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("product", String(32), ForeignKey("product.hash"), nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("unit", String(8), nullable=False),
    Column("variant", JSON, nullable=False),
)

job = Table(
    "job",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("order_id", ID, nullable=False, index=True),
    Column("line", Integer, nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("unit", String(8), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("variant", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("urgent", Boolean, nullable=False),
    Column("remake_of", ID),
    Column("remake_cause", ID, index=True),
    Column("material_at", Time),
    Column("created", Time, nullable=False, index=True),
    Column("started", Time),
    Column("completed", Time),
)
"""A lot of units of one order line. ``remake_cause`` is the operation whose scrap made it necessary,
``material_at`` when its material is there, where that is still to come."""

operation = Table(
    "operation",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("job_id", ID, ForeignKey("job.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("step_id", ID, nullable=False),
    Column("title", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("good", Quantity, nullable=False),
    Column("scrap", Quantity, nullable=False),
    Column("rework", Quantity, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("predecessors", JSON, nullable=False),
    Column("setup", JSON, nullable=False),
    Column("setup_seconds", Quantity, nullable=False),
    Column("seconds_per_run", Quantity, nullable=False),
    Column("seconds_per_piece", Quantity, nullable=False),
    Column("program", Text, nullable=False),
    Column("rework_of", ID, index=True),
    Column("undelivered", Quantity, nullable=False, server_default="0"),
    Column("interruptible", Boolean, nullable=False, server_default=false()),
    Column("needs", JSON, nullable=False, server_default="{}"),
    Column("links", JSON, nullable=False, server_default="{}"),
    Column("workcell", ID),
    Column("started", Time),
    Column("finished", Time),
)
"""One step of a job. ``workcell`` is where it last ran, empty until it starts. ``needs`` are the tools
and heads it takes beside its workcell, ``links`` how it follows a predecessor where that is more than *after
its end* (``routing.Link``). ``undelivered`` is by how much what follows was reduced because this yielded
less, where the order is delivered with less."""

instruction = Table(
    "instruction",
    METADATA,
    Column("operation_id", ID, ForeignKey("operation.id"), primary_key=True),
    Column("steps", Text, nullable=False),
    Column("inspection", Text, nullable=False, server_default="[]"),
)
"""Steps rendered for the variant in both languages when the order came in (JSON of protocols.jobs.Step), and
the inspection plan (JSON of protocols.inspection.Characteristic)."""

run = Table(
    "run",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("workcell", ID, nullable=False),
    Column("edge", String(32), nullable=False),
    Column("actor", ID, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("opened", Time, nullable=False, index=True),
    Column("started", Time),
    Column("paused", Time),
    Column("paused_us", Time, nullable=False, default=0),
    Column("ended", Time),
    Column("reason", Text, nullable=False),
)

Index("ix_run_workcell_opened", run.c.workcell, run.c.opened)

run_part = Table(
    "run_part",
    METADATA,
    Column("run_id", ID, ForeignKey("run.id"), primary_key=True),
    Column("operation_id", ID, primary_key=True, index=True),
    Column("quantity", Quantity, nullable=False),
    Column("good", Quantity, nullable=False),
    Column("scrap", Quantity, nullable=False),
    Column("rework", Quantity, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("effective", Boolean, nullable=False),
)
"""An operation that a run covers; no foreign key to it, because a fact may name an operation that is not
there. A part that is not ``effective`` counts nothing to the order: the inbox says why."""

booking = Table(
    "booking",
    METADATA,
    Column("action_id", ID, primary_key=True),
    Column("run_id", ID, nullable=False, index=True),
    Column("operation_id", ID, nullable=False),
    Column("ts", Time, nullable=False),
    Column("good", Quantity, nullable=False),
    Column("scrap", Quantity, nullable=False),
    Column("rework", Quantity, nullable=False),
    Column("reason", Text, nullable=False),
)

step_done = Table(
    "step_done",
    METADATA,
    Column("action_id", ID, primary_key=True),
    Column("run_id", ID, nullable=False, index=True),
    Column("operation_id", ID, nullable=False, index=True),
    Column("step", Integer, nullable=False),
    Column("ts", Time, nullable=False),
    Column("value", Text, nullable=False),
    Column("ok", Boolean, nullable=False),
)

unit = Table(
    "unit",
    METADATA,
    Column("serial", ID, primary_key=True),
    Column("job_id", ID, ForeignKey("job.id"), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("made", Time, nullable=False),
    Column("void", Boolean, nullable=False),
)
"""Pieces that passed the last operation, each with its serial; ``void`` when the booking was undone."""

genealogy = Table(
    "genealogy",
    METADATA,
    Column("child", ID, primary_key=True),
    Column("parent", ID, primary_key=True),
    Column("relation", String(16), primary_key=True),
    Column("run_id", ID),
    Column("ts", Time, nullable=False),
)
"""Who came from what: unit ← job, job ← material lot (``material``), remake job ← job (``remake``)."""

Index("ix_genealogy_parent", genealogy.c.parent)

andon = Table(
    "andon",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("workcell", ID, nullable=False),
    Column("topic", ID, nullable=False),
    Column("note", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("raised", Time, nullable=False, index=True),
    Column("cleared", Time, index=True),
)

stop_reason = Table(
    "stop_reason",
    METADATA,
    Column("action_id", ID, primary_key=True),
    Column("stop", ID, nullable=False, index=True),
    Column("ts", Time, nullable=False),
    Column("reason", ID, nullable=False),
    Column("note", Text, nullable=False),
)
"""Reasons given for machine stops; only appended, the newest of a stop counts."""

unassigned_run = Table(
    "unassigned_run",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("workcell", ID, nullable=False),
    Column("opened", Time, nullable=False, index=True),
    Column("closed", Time, index=True),
    Column("parts", Integer, nullable=False),
)

shift_note = Table(
    "shift_note",
    METADATA,
    Column("action_id", ID, primary_key=True),
    Column("workcell", ID, nullable=False),
    Column("ts", Time, nullable=False),
    Column("note", Text, nullable=False),
)

exception_inbox = Table(
    "exception_inbox",
    METADATA,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("ts", Time, nullable=False),
    Column("edge", String(32), nullable=False),
    Column("source", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("concerns", Text, nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("owner", String(32), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("settled", Time),
    Column("settled_by", String(32)),
    sqlite_autoincrement=True,
)
"""Facts without effect, and whatever else a person must decide. ``source`` is an action or batch;
``settled_by`` is null where an entry settled itself."""

lease = Table(
    "lease",
    METADATA,
    Column("operation_id", ID, primary_key=True),
    Column("edge", String(32), nullable=False),
    Column("workcell", ID, nullable=False),
    Column("version", RowId, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("run_group", ID, nullable=False, default=""),
    Column("since", Time, nullable=False),
    Column("returned", Boolean, nullable=False, default=False),
)
"""Operations that an edge holds, or, until it has confirmed ``version``, may hold: its job list had them.
A ``returned`` one is nobody's, but goes out nowhere until a plan knows it."""

release_request = Table(
    "release_request",
    METADATA,
    Column("request", ID, primary_key=True),
    Column("edge", String(32), nullable=False),
    Column("operations", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked", Time, nullable=False),
    Column("sent", Time, nullable=False),
    Column("answered", Time, index=True),
    Column("answer", String(16), nullable=False),
)
"""Requests to give leased operations back. ``answer``: empty, released, kept or mixed."""

job_list = Table(
    "job_list",
    METADATA,
    Column("edge", String(32), primary_key=True),
    Column("version", RowId, primary_key=True, autoincrement=False),
    Column("issued", Time, nullable=False),
    Column("sent", Time, nullable=False),
    Column("applied", Time),
    Column("digest", String(32), nullable=False),
    Column("body", Text, nullable=False),
)
"""Job lists as they were sent (JSON of protocols.jobs.JobList); old ones are deleted."""
