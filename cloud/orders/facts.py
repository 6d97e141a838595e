"""A fact on its way to its effects: the transaction, where it came from, and the inbox beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection

from cloud.orders import exceptions
from protocols.actions import Action


class Matter(Protocol):
    """What changes orders: a fact from a station, or a decision in the office. ``ts`` in µs UTC."""

    tx: Connection

    @property
    def ts(self) -> int:
        """When it happened."""
        ...

    def inbox(self, kind: str, text: str, *, concerns: str = "") -> None:
        """Hand the matter to a person."""
        ...


@dataclass(slots=True)
class Decided:
    """A decision of the office being applied, under the id it has in the journal."""

    tx: Connection
    command: str
    at: int

    @property
    def ts(self) -> int:
        return self.at

    def inbox(self, kind: str, text: str, *, concerns: str = "") -> None:
        exceptions.record(
            self.tx, ts=self.at, kind=kind, text=text, edge="", source=self.command, concerns=concerns
        )


@dataclass(slots=True)
class Fact:
    """One action being applied. ``ts`` (µs UTC) is when it happened, whenever it arrives."""

    tx: Connection
    edge: str
    action: Action
    received: int
    in_inbox: bool = field(default=False, init=False)

    @property
    def ts(self) -> int:
        """When it happened, µs UTC."""
        return self.action.ts

    def inbox(self, kind: str, text: str, *, concerns: str = "") -> None:
        """Hand the matter to a person: the fact stands, but it has no effect (or one to be looked at)."""
        self.in_inbox = True
        exceptions.record(
            self.tx,
            ts=self.ts,
            kind=kind,
            text=text,
            edge=self.edge,
            source=self.action.id,
            concerns=concerns,
        )
