"""How the floor would look: changes are made by their real doors, read, and rolled back.

Nothing reaches the disk, no edge and no page hears of it, and ids that were given are given again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from cloud.store.database import Database

T = TypeVar("T")


class _RolledBack(Exception):
    """No error: the way out of a transaction that shall not stand."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer


async def tried(database: Database, work: Callable[[Connection], T]) -> T:
    """The answer of ``work``, of which nothing stays. It holds up all other writing while it runs."""

    def and_back(tx: Connection) -> None:
        raise _RolledBack(work(tx))

    try:
        await database.run(and_back)
    except _RolledBack as back:
        return cast("T", back.answer)
    raise AssertionError("a trial was committed")
