"""Answers to questions for blocks in the outbox: the parts, then at once what was found and that it was
told."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sqlite_utils import Database, Migrations

from edge.outbox.sealing import append_bulk
from protocols.waveforms import messages
from protocols.waveforms.messages import Found, Message

REMEMBERED = 1000
"""Questions that are known as answered; the cloud has long forgotten older ones."""

WAVEFORMS = Migrations("waveforms")


@WAVEFORMS(name="0001_answered")
def _answered(db: Database) -> None:
    """Questions of the cloud that were answered: asked again, they are not answered again."""
    db.conn.execute(
        "CREATE TABLE waveform_answered (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE)"
    )


def is_answered(db: sqlite3.Connection, question: str) -> bool:
    """Whether a question was answered before."""
    return db.execute("SELECT 1 FROM waveform_answered WHERE id = ?", (question,)).fetchone() is not None


def append(db: sqlite3.Connection, parts: Sequence[Message], now: int) -> None:
    """Put parts of an answer into the outbox; ``now`` in µs UTC."""
    for part in parts:
        append_bulk(db, messages.encode(part), now)


def answer(db: sqlite3.Connection, found: Found, now: int) -> bool:
    """Put what was found behind its parts, which completes the answer; False when it was answered before.

    What a crash leaves of an answer before that is sent, and comes again with the next one: the cloud knows a
    part that it has.
    """
    added = db.execute("INSERT OR IGNORE INTO waveform_answered (id) VALUES (?)", (found.id,))
    if not added.rowcount:
        return False
    append(db, [found], now)
    db.execute(
        "DELETE FROM waveform_answered WHERE number <= (SELECT max(number) FROM waveform_answered) - ?",
        (REMEMBERED,),
    )
    return True
