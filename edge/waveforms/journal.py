"""Answers to questions for blocks, written into the outbox in one transaction with the note that they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sqlite_utils import Database, Migrations

from edge.outbox.sealing import append_bulk
from protocols.waveforms import messages
from protocols.waveforms.messages import Message

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


def answer(db: sqlite3.Connection, question: str, answers: Sequence[Message], now: int) -> bool:
    """Put an answer into the outbox; False when the question was answered before."""
    added = db.execute("INSERT OR IGNORE INTO waveform_answered (id) VALUES (?)", (question,))
    if not added.rowcount:
        return False
    for message in answers:
        append_bulk(db, messages.encode(message), now)
    db.execute(
        "DELETE FROM waveform_answered WHERE number <= (SELECT max(number) FROM waveform_answered) - ?",
        (REMEMBERED,),
    )
    return True
