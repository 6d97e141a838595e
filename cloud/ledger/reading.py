"""What the API, the page and the demo's report read of the ledger and the machines. Times in µs UTC."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from cloud.ledger import alarms, tables
from protocols.lifecycles import LockState


class Counters(msgspec.Struct, frozen=True):
    """Sums over all edges, or of one. Always: samples committed at the edges = ``samples`` + ``dropped`` +
    still queued there. ``replays`` are harmless repetitions; ``forks`` are not.
    """

    batches: int = 0
    samples: int = 0
    actions: int = 0
    states: int = 0
    replays: int = 0
    repeated_actions: int = 0
    forks: int = 0
    dropped: int = 0
    quarantined: int = 0


class EdgeRow(msgspec.Struct, frozen=True):
    """An edge as the ledger knows it. ``jobs_version`` is the job list it has on disk."""

    id: str
    first_seen: int
    last_seen: int
    catalogue: bytes
    jobs_version: int
    configs: dict[str, str]
    counters: Counters


class MachineLock(msgspec.Struct, frozen=True):
    """Somebody works at a machine (``locked``), or production has not taken it over yet (``released``)."""

    state: str
    owner: str
    reason: str
    since: int


class Machine(msgspec.Struct, frozen=True):
    """A device with its last reported state; states after OPC 40001-1 (see ``protocols.states``).

    ``alarms`` are the texts of the most severe ones; ``alarms_standing`` is how many stand at the machine.
    ``differs`` says how it is not the machine of its profile, ``firmware`` is the version that waits to be
    accepted at a station of its edge.
    """

    id: str
    edge: str
    connected: bool
    connected_since: int
    heartbeat: int
    last_read: int
    detail: str
    item_state: str
    mode: str
    state_since: int
    state_detail: str
    alarms: tuple[str, ...] = ()
    lock: MachineLock | None = None
    """None while it is free."""
    differs: str = ""
    firmware: str = ""
    alarms_standing: int = 0
    alarms_untold: int = 0


class MachineStateRow(msgspec.Struct, frozen=True):
    """A state that a machine entered at ``ts`` and kept until the next row's."""

    ts: int
    item_state: str
    mode: str
    detail: str


class Stop(msgspec.Struct, frozen=True):
    """A machine stop; ``closed`` is None while it lasts."""

    id: str
    edge: str
    device: str
    workcell: str
    opened: int
    closed: int | None
    hint: str


class Tag(msgspec.Struct, frozen=True):
    """A tag of the cloud. Not ``current``: its edge does not list it any more."""

    id: int
    path: str
    type: str
    unit: str
    edge: str
    device: str
    role: str
    max_interval: float
    current: bool


class Gap(msgspec.Struct, frozen=True):
    """Samples that an edge gave up; ``missing`` of the ``samples`` are really gone. ``counts`` has all of
    them by tag number of ``catalogue``.
    """

    edge: str
    from_ts: int
    to_ts: int
    samples: int
    missing: int
    reason: str
    catalogue: bytes
    counts: dict[int, int]


class Quarantined(msgspec.Struct, frozen=True):
    """Something that could not be read. ``batch`` is its row where it is ledgered all the same."""

    id: int
    received: int
    edge: str
    topic: str
    reason: str
    size: int
    batch: int | None


class NoticeRow(msgspec.Struct, frozen=True):
    """Something an edge wants a person to know."""

    edge: str
    ts: int
    severity: str
    code: str
    text: str


def counters(reader: Connection, edge: str = "") -> Counters:
    """Sums over all edges, or those of one."""
    sums = [func.coalesce(func.sum(tables.edge.c[name]), 0).label(name) for name in tables.COUNTERS]
    query = select(*sums)
    if edge:
        query = query.where(tables.edge.c.id == edge)
    row = reader.execute(query).one()
    return Counters(**{name: int(value) for name, value in row._mapping.items()})


def recount(reader: Connection) -> Counters:
    """The counters that can be counted again from the ledger itself, to check the others by."""
    at, gone, missing = tables.batch.c, tables.pruned.c, tables.gap.c
    lanes = {
        lane: (int(batches), int(count or 0))
        for lane, batches, count in reader.execute(
            select(at.lane, func.count(), func.sum(at.count)).group_by(at.lane)
        )
    }
    pruned, samples = reader.execute(
        select(
            func.coalesce(func.sum(gone.last - gone.first + 1), 0),
            func.coalesce(func.sum(gone.samples).filter(gone.lane == "telemetry"), 0),
        )
    ).one()
    return Counters(
        batches=sum(batches for batches, _ in lanes.values()) + int(pruned),
        samples=lanes.get("telemetry", (0, 0))[1] + int(samples),
        actions=int(reader.scalar(select(func.count()).select_from(tables.ledgered_action)) or 0),
        states=lanes.get("states", (0, 0))[1],
        dropped=int(reader.scalar(select(func.sum(missing.samples - missing.ledgered))) or 0),
    )


def edges(reader: Connection) -> list[EdgeRow]:
    """All edges that were ever heard, by id."""
    return [
        EdgeRow(
            row.id,
            row.first_seen,
            row.last_seen,
            bytes(row.catalogue or b""),
            row.jobs_version,
            dict(row.configs),
            Counters(**{name: getattr(row, name) for name in tables.COUNTERS}),
        )
        for row in reader.execute(select(tables.edge).order_by(tables.edge.c.id))
    ]


def machines(reader: Connection) -> list[Machine]:
    """All devices that ever reported, by id, with the worst of the alarms that stand now."""
    active = alarms.standing(reader)
    lock = tables.machine_lock.c
    locks = {
        device: MachineLock(*row)
        for device, *row in reader.execute(
            select(lock.device, lock.state, lock.owner, lock.reason, lock.since).where(
                lock.state != LockState.FREE
            )
        )
    }
    return [
        Machine(
            row.id,
            row.edge,
            bool(row.connected),
            row.connected_since,
            row.heartbeat,
            row.last_read,
            row.detail,
            row.item_state,
            row.mode,
            row.state_since,
            row.state_detail,
            tuple(alarm.text or alarm.alarm for alarm in active.get(row.id, ())[: alarms.NAMED]),
            locks.get(row.id),
            row.differs,
            row.firmware,
            max(row.alarms_standing, len(active.get(row.id, ()))),
            row.alarms_untold + row.alarms_refused,
        )
        for row in reader.execute(select(tables.device).order_by(tables.device.c.id))
    ]


def machine_states(
    reader: Connection, device: str, start: int, end: int, limit: int | None = None
) -> list[MachineStateRow]:
    """States of a machine between two times, ascending, begun by the one that was valid at ``start``; the
    earliest ``limit``.
    """
    at = tables.machine_state.c
    columns = select(at.ts, at.item_state, at.mode, at.detail).where(at.device == device)
    before = reader.execute(columns.where(at.ts <= start).order_by(at.ts.desc()).limit(1)).all()
    inside = reader.execute(columns.where(at.ts > start, at.ts < end).order_by(at.ts).limit(limit)).all()
    return [MachineStateRow(*row) for row in (*before, *inside)][:limit]


def stops(reader: Connection, since: int = 0, *, open_only: bool = False, limit: int = 500) -> list[Stop]:
    """Stops that were open at or after ``since``, newest first."""
    at = tables.stop.c
    query = select(at.id, at.edge, at.device, at.workcell, at.opened, at.closed, at.hint)
    query = query.where(at.closed.is_(None)) if open_only else query
    query = query.where((at.closed.is_(None)) | (at.closed >= since))
    return [Stop(*row) for row in reader.execute(query.order_by(at.opened.desc(), at.id).limit(limit))]


def tags(reader: Connection, *, edge: str = "", device: str = "", retired: bool = False) -> list[Tag]:
    """Tags by path; those no longer listed only when ``retired``."""
    at = tables.tag.c
    query = select(at.id, at.path, at.type, at.unit, at.edge, at.device, at.role, at.max_interval, at.current)
    if edge:
        query = query.where(at.edge == edge)
    if device:
        query = query.where(at.device == device)
    if not retired:
        query = query.where(at.current)
    return [Tag(*row[:-1], bool(row[-1])) for row in reader.execute(query.order_by(at.path, at.id))]


def gaps(reader: Connection, start: int = 0, end: int = 2**62, edge: str = "") -> list[Gap]:
    """Tombstones that touch the time between ``start`` and ``end`` and really miss something."""
    at = tables.gap.c
    query = select(tables.gap).where(at.to_ts >= start, at.from_ts < end, at.samples > at.ledgered)
    if edge:
        query = query.where(at.edge == edge)
    return [
        Gap(
            row.edge,
            row.from_ts,
            row.to_ts,
            row.samples,
            row.samples - row.ledgered,
            row.reason,
            bytes(row.catalogue),
            {int(number): count for number, count in row.counts.items()},
        )
        for row in reader.execute(query.order_by(at.from_ts, at.id))
    ]


def quarantine(reader: Connection, limit: int = 100) -> list[Quarantined]:
    """What could not be read, newest first."""
    at = tables.quarantine.c
    query = select(at.id, at.received, at.edge, at.topic, at.reason, at.size, at.batch)
    return [Quarantined(*row) for row in reader.execute(query.order_by(at.id.desc()).limit(limit))]


def notices(reader: Connection, limit: int = 100) -> list[NoticeRow]:
    """What edges want people to know, newest first."""
    at = tables.notice.c
    query = select(at.edge, at.ts, at.severity, at.code, at.text)
    return [NoticeRow(*row) for row in reader.execute(query.order_by(at.ts.desc(), at.id).limit(limit))]
