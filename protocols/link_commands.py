"""What the edge's half of the link and its shell say to each other: wants, offered rows, commands."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from protocols.lanes import Lane
from protocols.packing import digest
from protocols.session import Batch, BatchKey


class Feed(StrEnum):
    """What is pulled from the outbox separately, most urgent first."""

    ACTIONS = "actions"
    STATES = "states"
    LIVE = "live"
    BACKLOG = "backlog"
    BULK = "bulk"


class Queued(msgspec.Struct, frozen=True):
    """A sealed batch in the outbox. ``size`` is the bytes of its blob, ``count`` what it holds;
    ``historical`` forces the flag (a batch that got a new key is not fresh).
    """

    key: BatchKey
    digest: bytes
    size: int
    count: int
    historical: bool = False


class Want(NamedTuple):
    """Rows that the link would like to be offered: of ``lane``, after ``after`` (from the oldest when
    None) up to and with ``upto`` (no bound when None), in the order (stream opened, seq), ``limit`` at most.
    """

    session: bytes
    feed: Feed
    lane: Lane
    after: BatchKey | None
    upto: BatchKey | None
    limit: int
    mark: int


class SendHello(NamedTuple):
    """Read the bounds of the outbox, pass them to :meth:`EdgeLink.hello` and send what it returns."""

    session: bytes


class SendBatch(NamedTuple):
    """Read the blob and send :meth:`envelope`; when the outbox has dropped it, :meth:`EdgeLink.dropped`."""

    session: bytes
    batch: Queued
    historical: bool

    def envelope(self, blob: bytes) -> Batch:
        """The message that carries the batch; it says so when the disk has changed the blob."""
        batch = self.batch
        rotten = digest(blob) != batch.digest
        return Batch(self.session, *batch.key, batch.digest, batch.count, self.historical, blob, rotten)


class Delete(NamedTuple):
    """These are in the ledger: delete each row that has this key *and* this digest."""

    batches: tuple[tuple[BatchKey, bytes], ...]


class Rekey(NamedTuple):
    """Another batch has this key in the ledger. In one transaction give the row of this key and digest the
    next seq of its lane in the open stream (flag it historical), opening a new stream first when
    ``open_stream`` says so; then :meth:`EdgeLink.sealed`.
    """

    key: BatchKey
    digest: bytes
    open_stream: bool


class Alarm(NamedTuple):
    """A person should know. ``code`` is stable."""

    code: str
    text: str


Command = SendHello | SendBatch | Delete | Rekey | Alarm
