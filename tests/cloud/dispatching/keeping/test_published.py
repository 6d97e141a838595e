"""What a published plan remembers: its cause, the difference, and for how long."""

from __future__ import annotations

from sqlalchemy import Connection

from cloud.dispatching.floor.building import build
from cloud.dispatching.floor.floor import Planned, read_floor
from cloud.dispatching.keeping import plans
from cloud.dispatching.keeping.plans import MAX_MOVES, Cause, Moved, difference
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.solving.construct import construct
from cloud.orders.articles import import_products
from cloud.store.database import Database
from tests.cloud.orders.shop import NOW_US, SECOND, SITE, order, order_desk, shop_products


def at(workcell: str, start: int) -> Planned:
    return Planned(workcell, start * SECOND, (start + 60) * SECOND)


def test_what_went_to_another_workcell_comes_first_then_what_moved_most() -> None:
    before = {"a-1": at("one", 0), "a-2": at("one", 100), "b-1": at("one", 200), "gone": at("one", 0)}
    after = {"a-1": at("one", 50), "a-2": at("two", 100), "b-1": at("one", 0), "new": at("two", 0)}
    found = difference(before, after, {"a-1": "a", "a-2": "a", "b-1": "b", "new": "c"})
    assert found.moves == (
        Moved("a-2", "a", "one", "two", 0),
        Moved("b-1", "b", "one", "one", -200),
        Moved("a-1", "a", "one", "one", 50),
    )
    assert (found.moved, found.later, found.earlier, found.added, found.dropped) == (("a-2",), 1, 1, 1, 1)


def test_what_stays_is_no_move_and_not_more_are_kept_than_the_limit() -> None:
    before = {f"o-{number}": at("one", number) for number in range(MAX_MOVES * 2)}
    after = {name: at("one", p.start // SECOND + (5 if name != "o-0" else 0)) for name, p in before.items()}
    found = difference(before, after, {})
    assert len(found.moves) == MAX_MOVES
    assert "o-0" not in {move.operation for move in found.moves}
    assert found.later == MAX_MOVES * 2 - 1


def test_old_plans_keep_their_causes_and_counts_but_no_single_moves(database: Database) -> None:
    desk = order_desk()

    def publish(tx: Connection, hours: int) -> int:
        now = NOW_US + hours * 3600 * SECOND  # what was planned for an earlier time has moved
        problem = build(read_floor(tx, SITE, now, 900), SITE, DispatchSettings())
        cause = Cause("waits", "", f"after {hours} h")
        return plans.store(
            tx, problem, construct(problem), causes=[cause], down=[], seconds=0, now=now, keep=2
        )

    def work(tx: Connection) -> None:
        import_products(tx, shop_products(), NOW_US)
        desk.create(tx, order(("door", 2, {}), days=300))
        for hours in range(5):
            publish(tx, hours * 5)

    database.write(work).result()
    with database.read() as tx:
        newest = plans.history(tx)
        assert [plan.version for plan in newest] == [5, 4, 3, 2, 1]
        assert [plan.version for plan in plans.history(tx, before=4, limit=2)] == [3, 2]
    assert [plan.causes[0].text for plan in newest] == [f"after {hours} h" for hours in (20, 15, 10, 5, 0)]
    assert [bool(plan.difference.moves) for plan in newest] == [True, True, False, False, False]
    assert newest[3].difference.later > 0
