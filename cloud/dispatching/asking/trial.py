"""How the floor would look: changes are made by their real doors, read, and rolled back.

Nothing reaches the disk, no edge and no page hears of it, and ids that were given are given again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import Connection

from cloud.dispatching.asking.changes import Change, Doors, make, touched
from cloud.dispatching.floor.floor import Floor, current_version, read_again
from cloud.dispatching.keeping.making import Situation
from cloud.dispatching.keeping.service import DispatchService
from cloud.store.database import Database

T = TypeVar("T")

TRIES = 3
"""How often to read the floor with and without the changes until both are from one plan."""


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


class Imagined(NamedTuple):
    """The floor as it is and as it would be, and the ids of the orders that would come in."""

    before: Situation
    after: Situation
    orders: tuple[str, ...]


async def imagine(
    database: Database, dispatching: DispatchService, changes: tuple[Change, ...], doors: Doors
) -> Imagined:
    """The floor with ``changes`` beside the floor without, both as of ``doors.now``.

    Only what the changes touch is read within their transaction, for that holds up all other writing.

    Raises:
        ImpossibleChanges: nobody could make these changes now; with every reason at once.
    """

    def unchanged(tx: Connection) -> Situation:
        return dispatching.situation(tx, doors.now)

    for _ in range(TRIES):
        before = await database.query(unchanged)
        floor = before.floor

        def changed(tx: Connection, floor: Floor = floor) -> tuple[int, tuple[str, ...], Floor]:
            orders = make(tx, changes, doors)
            return current_version(tx), orders, read_again(tx, floor, touched(changes).union(orders))

        version, orders, after = await tried(database, changed)
        if version == floor.version:
            break  # else a plan was published in between: not what the floor was read with
    return Imagined(before, before._replace(floor=after), orders)
