"""What ledgered facts do to the rest of the database, in the same transaction."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection

from protocols.actions import Action
from protocols.states import Event


class Effects(Protocol):
    """Effects are total: a fact that is illegal or late is recorded as such and never refused.

    An exception is a bug: the savepoint around the call is rolled back, the batch stays ledgered, and the
    inbox gets a row.
    """

    def actions(self, tx: Connection, edge: str, actions: list[Action], received: int) -> None:
        """Apply what people did at the workcells of ``edge``; ``received`` in µs UTC."""

    def states(self, tx: Connection, edge: str, events: list[Event], received: int) -> None:
        """Apply what machines and the edge reported."""


class Inbox(Protocol):
    """Where a fact without effect goes, so that a person decides about it."""

    def __call__(self, tx: Connection, edge: str, batch: int, kind: str, text: str, received: int) -> None:
        """Record one entry. ``batch`` is the ledger's id; ``kind`` is stable, ``text`` is for people."""
