"""The ledger within one transaction: what it has, and how a batch gets in with its effects.

``prepare`` does what can be done outside the transaction (decoding). ``Ledger.writing`` opens the view that
the link decides by (:class:`protocols.link_cloud.Ledger`) and that carries its decisions out. Threads and
MQTT are the ingest's.
"""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import structlog
from sqlalchemy import BindParameter, Connection, bindparam, func, insert, select, text
from sqlalchemy.exc import OperationalError

from cloud.hub import ActionsLedgered, BulkLedgered, Hub, OrdersChanged, StatesLedgered
from cloud.ledger import gaps, quarantine, tables
from cloud.ledger.effects import Effects, Inbox
from cloud.store.database import after_commit, dialect_insert, savepoint
from protocols import actions, states, telemetry
from protocols.actions import Action
from protocols.lanes import Lane, up
from protocols.packing import UndecodableError
from protocols.session import Batch, BatchKey, Bounds
from protocols.states import Event
from protocols.telemetry import SampleColumns
from protocols.waveforms import messages as waveforms

_log = structlog.get_logger(__name__)

_ORDER_LOCK = 0x4F4E454C4F54
"""Advisory lock of PostgreSQL that makes batch ids grow in the order of commits, for readers by cursor."""

_CHUNK = 500


class LedgerConflictError(RuntimeError):
    """Another process ledgered a different batch under the same key meanwhile: begin again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch ready for the ledger: at most one of its payloads, or the ``problem`` with its blob.

    A historical telemetry batch is not decoded (the history does that) and has neither. ``received`` is the
    time in µs UTC.
    """

    edge: str
    batch: Batch
    received: int
    actions: list[Action] | None = None
    states: list[Event] | None = None
    samples: SampleColumns | None = None
    problem: str = ""

    @property
    def count(self) -> int:
        """Samples, actions or events in the blob: as decoded, else as the envelope says."""
        if self.problem:
            return 0
        for payload in (self.actions, self.states, self.samples):
            if payload is not None:
                return len(payload)
        return self.batch.count

    def unreadable(self, problem: str) -> Prepared:
        """The same batch, to be ledgered without effect and quarantined."""
        return replace(self, actions=None, states=None, samples=None, problem=problem)


def prepare(edge: str, batch: Batch, received: int) -> Prepared:
    """Decode a batch. Never raises: what cannot be read becomes the ``problem``."""
    try:
        match batch.lane:
            case Lane.ACTIONS:
                return Prepared(edge, batch, received, actions=actions.decode(batch.blob))
            case Lane.STATES:
                return Prepared(edge, batch, received, states=states.decode(batch.blob))
            case Lane.TELEMETRY if not batch.historical:
                return Prepared(edge, batch, received, samples=telemetry.decode(batch.blob))
            case Lane.BULK:
                waveforms.decode(batch.blob)  # read by whoever puts its parts together
    except UndecodableError as error:
        return Prepared(edge, batch, received, problem=str(error))
    return Prepared(edge, batch, received)


class Ledger:
    """Opens the ledger for writing within a transaction. ``effects`` apply in the order given."""

    def __init__(self, effects: Sequence[Effects], inbox: Inbox, hub: Hub | None = None) -> None:
        self.effects = tuple(effects)
        self.inbox = inbox
        self.hub = hub

    @contextlib.contextmanager
    def writing(self, tx: Connection, received: int) -> Iterator[LedgerWriter]:
        """The ledger as the link and the ingest see it inside ``tx``; counters are written at the end."""
        if tx.dialect.name == "postgresql":
            tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDER_LOCK})
        writer = LedgerWriter(self, tx, received)
        yield writer
        writer.write_counters()


class LedgerWriter:
    """One transaction's view of the ledger."""

    def __init__(self, ledger: Ledger, tx: Connection, received: int) -> None:
        self.tx = tx
        self.received = received
        self._ledger = ledger
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seen: set[str] = set()
        # Few streams have tombstones or pruned batches: one look for each, instead of one for each batch.
        self._pruned: dict[bytes, bool] = {}
        self._gaps: dict[bytes, bool] = {}

    # --- what the link asks ---------------------------------------------------------------------------

    def digest(self, key: BatchKey) -> bytes | None:
        """Digest of the batch ledgered under ``key``; None where it is new or was pruned."""
        known = self.tx.scalar(_DIGEST, {"stream": key.stream, "lane": key.lane.value, "seq": key.seq})
        return None if known is None else bytes(known)

    def last(self, stream: bytes, lane: Lane) -> int:
        """Highest seq ledgered of a lane of a stream, pruned ones included; 0 when there is none."""
        of = {"stream": stream, "lane": lane.value}
        return max(int(self.tx.scalar(_LAST_KEPT, of) or 0), int(self.tx.scalar(_LAST_PRUNED, of) or 0))

    def digests(self, bounds: Bounds, limit: int) -> list[tuple[int, bytes]]:
        """Seq and digest of what is ledgered within ``bounds``, ascending, at most ``limit``."""
        at = tables.batch.c
        rows = self.tx.execute(
            select(at.seq, at.digest)
            .where(
                at.stream == bounds.stream,
                at.lane == bounds.lane.value,
                at.seq.between(bounds.first, bounds.last),
            )
            .order_by(at.seq)
            .limit(limit)
        )
        return [(int(seq), bytes(digest)) for seq, digest in rows]

    # --- counting -------------------------------------------------------------------------------------

    def count(self, edge: str, **counts: int) -> None:
        """Add to the counters of an edge (names in ``tables.COUNTERS``), and note that it was heard."""
        if edge not in self._seen:
            self._seen.add(edge)
            _touch(self.tx, edge, self.received, Counter())  # effects may count on the row of their edge
        self._counts[edge].update(counts)

    def write_counters(self) -> None:
        """Bring the counters of this transaction into the table."""
        for edge, counts in self._counts.items():
            if any(counts.values()):
                _touch(self.tx, edge, self.received, counts)
        self._counts.clear()

    # --- writing --------------------------------------------------------------------------------------

    def quarantine(self, edge: str, topic: str, reason: str, payload: bytes) -> None:
        """Keep a message that is no batch at all."""
        self.count(edge, quarantined=1)
        quarantine.put(
            self.tx, edge=edge, topic=topic, reason=reason, payload=payload, received=self.received
        )

    def note(self, edge: str, kind: str, words: str, batch: int = 0) -> None:
        """Put something into the exceptions inbox."""
        self._ledger.inbox(self.tx, edge, batch, kind, quarantine.printable(words), self.received)

    def commit(self, prepared: Prepared) -> int | None:
        """Ledger a batch and apply it; returns its id, None when it was ledgered (and pruned) before.

        Whatever a payload holds, its batch gets in: what has no effect is quarantined or goes to the inbox.
        Raises LedgerConflictError when another process was quicker with another batch.
        """
        if prepared.problem or prepared.batch.lane in (Lane.TELEMETRY, Lane.BULK):
            return self._commit(prepared)
        counts = self._counts[prepared.edge].copy()
        try:
            with savepoint(self.tx):
                return self._commit(prepared)
        except (OperationalError, LedgerConflictError):
            raise  # the database, not the batch
        except Exception as error:  # noqa: BLE001 - no payload may stop a lane
            _log.exception("ledger.unreadable", edge=prepared.edge, seq=prepared.batch.seq)
            self._counts[prepared.edge] = counts
            return self._commit(prepared.unreadable(f"the ledger could not take it: {_last_line(error)}"))

    def _commit(self, prepared: Prepared) -> int | None:
        batch, edge = prepared.batch, prepared.edge
        self.count(edge)
        if self._was_pruned(batch.key):
            self.count(edge, replays=1)
            return None
        row = self.tx.scalar(
            _statements(self.tx.dialect.name).batch,
            {
                "edge": edge,
                "stream": batch.stream,
                "lane": batch.lane.value,
                "seq": batch.seq,
                "digest": batch.digest,
                "count": prepared.count,
                "historical": batch.historical,
                "decodable": not prepared.problem,
                "received": prepared.received,
                "blob": batch.blob,
            },
        )
        if row is None:
            if self.digest(batch.key) != batch.digest:
                raise LedgerConflictError(f'edge "{edge}": {batch.lane} {batch.seq} was ledgered meanwhile')
            self.count(edge, replays=1)
            return None
        self.count(edge, batches=1)
        self._take_effect(int(row), prepared)
        return int(row)

    def _take_effect(self, row: int, prepared: Prepared) -> None:
        edge, batch = prepared.edge, prepared.batch
        if prepared.problem:
            self.count(edge, quarantined=1)
            quarantine.put(
                self.tx,
                edge=edge,
                topic=up(edge, batch.lane),
                reason=prepared.problem,
                payload=batch.blob,
                received=self.received,
                batch=row,
            )
        elif prepared.actions is not None:
            self._apply_actions(row, prepared, prepared.actions)
        elif prepared.states is not None:
            self._apply_states(row, prepared, prepared.states)
        elif batch.lane is Lane.TELEMETRY:
            filled = self._fill_gaps(batch.key, prepared.count)
            self.count(edge, samples=prepared.count, dropped=-filled)
        elif batch.lane is Lane.BULK and (hub := self._ledger.hub) is not None:
            after_commit(self.tx, lambda: hub.publish(BulkLedgered()))

    def _apply_actions(self, row: int, prepared: Prepared, sent: list[Action]) -> None:
        tx, edge, hub = self.tx, prepared.edge, self._ledger.hub
        new = _new_actions(tx, row, sent)
        self.count(edge, actions=len(new), repeated_actions=len(sent) - len(new))
        if not new:
            return
        for effects in self._ledger.effects:
            with self._guarded(prepared, row):
                effects.actions(tx, edge, new, prepared.received)
        if hub is not None:
            after_commit(tx, lambda: hub.publish(ActionsLedgered(edge, new)))
            after_commit(tx, lambda: hub.publish(OrdersChanged()))

    def _apply_states(self, row: int, prepared: Prepared, events: list[Event]) -> None:
        tx, edge, hub = self.tx, prepared.edge, self._ledger.hub
        self.count(edge, states=len(events))
        for event in events:
            if isinstance(event, states.Dropped):
                self.count(edge, dropped=gaps.record(tx, edge, event, prepared.received))
                self._gaps.pop(event.stream, None)
        for effects in self._ledger.effects:
            with self._guarded(prepared, row):
                effects.states(tx, edge, events, prepared.received)
        if hub is not None:
            after_commit(tx, lambda: hub.publish(StatesLedgered(edge, events)))

    @contextlib.contextmanager
    def _guarded(self, prepared: Prepared, row: int) -> Iterator[None]:
        """Effects are total; where a bug makes them raise, the fact stays and a person is told."""
        try:
            with savepoint(self.tx):
                yield
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            _log.exception("effects.failed", edge=prepared.edge, lane=prepared.batch.lane, batch=row)
            words = f"{prepared.batch.lane} batch {row} is ledgered but had no effect: {_last_line(error)}"
            self.note(prepared.edge, "effects-failed", words, row)

    def _was_pruned(self, key: BatchKey) -> bool:
        if key.stream not in self._pruned:
            self._pruned[key.stream] = self.tx.scalar(_ANY_PRUNED, {"stream": key.stream}) is not None
        if not self._pruned[key.stream]:
            return False
        found = self.tx.scalar(_PRUNED, {"stream": key.stream, "lane": key.lane.value, "seq": key.seq})
        return found is not None

    def _fill_gaps(self, key: BatchKey, count: int) -> int:
        if key.stream not in self._gaps:
            self._gaps[key.stream] = gaps.has_any(self.tx, key.stream)
        return gaps.fill(self.tx, key, count) if self._gaps[key.stream] else 0


def _touch(tx: Connection, edge: str, seen: int, counts: Counter[str]) -> None:
    """Note that an edge was heard at ``seen`` (µs UTC), and add to its counters."""
    tx.execute(
        _statements(tx.dialect.name).touch,
        {
            "id": edge,
            "first_seen": seen,
            "last_seen": seen,
            "jobs_version": 0,
            "configs": {},
            **{name: counts[name] for name in tables.COUNTERS},
        },
    )


# --- statements, built once: building one costs several times what SQLite takes to run it -------------

_kept, _gone = tables.batch.c, tables.pruned.c
_stream: BindParameter[bytes] = bindparam("stream")
_lane: BindParameter[str] = bindparam("lane")
_seq: BindParameter[int] = bindparam("seq")
_DIGEST = select(_kept.digest).where(_kept.stream == _stream, _kept.lane == _lane, _kept.seq == _seq)
_LAST_KEPT = select(func.max(_kept.seq)).where(_kept.stream == _stream, _kept.lane == _lane)
_LAST_PRUNED = select(func.max(_gone.last)).where(_gone.stream == _stream, _gone.lane == _lane)
_ANY_PRUNED = select(_gone.first).where(_gone.stream == _stream).limit(1)
_PRUNED = select(_gone.first).where(
    _gone.stream == _stream, _gone.lane == _lane, _gone.first <= _seq, _gone.last >= _seq
)


class _Statements(NamedTuple):
    batch: Any
    touch: Any


@functools.cache
def _statements(dialect: str) -> _Statements:
    """INSERTs with what each dialect does about a conflict."""
    batch = dialect_insert(dialect, tables.batch).on_conflict_do_nothing().returning(tables.batch.c.id)
    touch = dialect_insert(dialect, tables.edge)
    return _Statements(
        batch,
        touch.on_conflict_do_update(
            index_elements=["id"],
            set_={
                "last_seen": touch.excluded.last_seen,
                **{name: tables.edge.c[name] + touch.excluded[name] for name in tables.COUNTERS},
            },
        ),
    )


def _new_actions(tx: Connection, row: int, sent: list[Action]) -> list[Action]:
    """Those of ``sent`` whose id never took effect; from now on it has."""
    by_id: dict[str, Action] = {}
    for action in sent:
        by_id.setdefault(action.id, action)
    ids, known = list(by_id), set[str]()
    for start in range(0, len(ids), _CHUNK):
        at = tables.ledgered_action.c.id
        known.update(tx.scalars(select(at).where(at.in_(ids[start : start + _CHUNK]))))
    new = [action for action in by_id.values() if action.id not in known]
    if new:
        tx.execute(insert(tables.ledgered_action), [{"id": action.id, "batch": row} for action in new])
    return new


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()[:500]
