"""What if: nothing of a question stays, the answer says who is hurt, and accepting it comes true."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from cloud.dispatching.asking.changes import Doors, ImpossibleChanges, ScenarioRequest, make
from cloud.dispatching.asking.scenarios import (
    KEPT_SECONDS,
    MAX_KEPT,
    WAIT_SECONDS,
    NoLongerPossible,
    ScenarioAnswer,
    Scenarios,
    ScenarioState,
    UnknownScenario,
)
from cloud.dispatching.asking.trial import imagine
from cloud.dispatching.asking.turns import BusyError, Turns
from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Kind
from cloud.dispatching.keeping import plans
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.solve import solve
from cloud.hub import OrdersChanged, PlanPublished
from cloud.store.database import Database
from protocols.clock import Clock
from protocols.lifecycles import OrderState
from tests.cloud.dispatching.keeping.test_service import QUICK, SITE, Shop, until
from tests.cloud.orders.shop import open_database

SEARCH = QUICK.model_copy(update={"scenario_seconds": 1.0, "scenario_workers": 2})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'what-if.db'}")
    yield opened
    opened.close()


def everything(tx: Connection) -> dict[str, list[Any]]:
    """Every row of every table, counters of ids included."""
    tables = sorted(inspect(tx).get_table_names())
    if tx.dialect.name == "sqlite":
        tables.append("sqlite_sequence")
    return {name: sorted(map(repr, tx.execute(text(f'SELECT * FROM "{name}"')))) for name in tables}  # noqa: S608


def contents(database: Database) -> dict[str, list[Any]]:
    with database.read() as tx:
        return everything(tx)


def scenarios(shop: Shop, settings: DispatchSettings = SEARCH, clock: Clock | None = None) -> Scenarios:
    numbers = count(1)
    return Scenarios(
        shop.database,
        shop.hub,
        SITE,
        shop.desk,
        shop.service,
        clock or shop.clock,
        settings,
        new_id=lambda: f"s{next(numbers)}",
    )


def asking(*changes: dict[str, Any], title: str = "") -> ScenarioRequest:
    return ScenarioRequest.model_validate({"title": title, "changes": changes})


def at(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


def rush(**fields: Any) -> dict[str, Any]:
    lines = [{"product": "door", "quantity": 4, "parameters": {}}]
    return {"change": "new_order", "order": {"due": at(hours=3), "priority": 10, "lines": lines} | fields}


@contextlib.asynccontextmanager
async def busy_shop(database: Database, orders: int = 4) -> AsyncIterator[Shop]:
    """A dispatcher at work on cabinets that are just in time."""
    shop = Shop(database, QUICK)
    async with shop.running():
        for number in range(orders):
            due = at(hours=2 + number)
            shop.order(("cabinet", 2, {"colour": ("RAL 5010", "RAL 3000")[number % 2]}), due=due)
        await until(lambda: shop.edges.queue("pack-1"))
        await until(lambda: not shop.service.planning)
        yield shop


@contextlib.asynccontextmanager
async def searched(what_if: Scenarios) -> AsyncIterator[None]:
    running = asyncio.create_task(what_if.run())
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def reached(what_if: Scenarios, scenario: str, state: ScenarioState) -> ScenarioAnswer:
    """The answer as soon as the scenario is so."""
    async with asyncio.timeout(30):
        while (answer := await what_if.answer(scenario)).state is not state:  # noqa: ASYNC110 - as a client asks
            await asyncio.sleep(0.02)
        return answer


async def test_of_a_question_nothing_stays_and_nobody_hears(database: Database) -> None:
    shop = Shop(database, QUICK)
    for number in range(3):
        shop.order(("cabinet", 1, {}), id=f"order-{number}")
    what_if = scenarios(shop)
    before = contents(database)
    async with shop.hub.subscribe({OrdersChanged, PlanPublished}) as heard:
        answer = await what_if.ask(
            asking(
                rush(),
                {"change": "cancelled_order", "order": "order-0"},
                {"change": "order_terms", "order": "order-1", "priority": 9},
                {"change": "machine_down", "workcell": "laser-1", "end": at(hours=2)},
                {"change": "overtime", "end": at(hours=2)},
                {"change": "pinned_operation", "operation": "order-2-1-10", "workcell": "laser-2"},
            ),
            "ann",
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(heard.get_all(), 0.1)
    assert contents(database) == before
    assert shop.edges.lists == {}
    assert [order.order for order in answer.comparison.orders if order.fate == "cancelled"] == ["order-0"]
    again = await what_if.ask(asking(rush()), "ann")
    assert again.orders == answer.orders, "the id was not used up"
    assert shop.order(("door", 1, {})) == answer.orders[0]


async def test_the_floor_of_a_trial_is_the_floor_if_it_were_so(database: Database) -> None:
    """Only a part is read again: all of it, read after the same changes were made for good, is the same."""
    async with busy_shop(database) as shop:
        pass
    request = asking(
        rush(id="rush"),
        {"change": "cancelled_order", "order": "26-0001"},
        {"change": "order_terms", "order": "26-0002", "priority": 9, "due": at(hours=5)},
        {"change": "order_terms", "order": "26-0003", "material_at": at(hours=1)},
        {"change": "machine_down", "workcell": "laser-1", "end": at(hours=2)},
        {"change": "pinned_operation", "operation": "26-0004-1-30", "start": at(hours=6)},
    )
    doors = Doors(shop.desk, SITE, "ann", shop.clock.now())
    imagined = await imagine(database, shop.service, request.changes, doors)
    await database.run(lambda tx: make(tx, request.changes, doors))
    real = await database.query(lambda tx: shop.service.situation(tx, doors.now))
    assert imagined.after == real
    assert imagined.before != real
    assert imagined.before.floor.leases != imagined.after.floor.leases


async def test_of_a_question_nothing_stays_on_postgresql(postgres_url: str) -> None:
    database = open_database(postgres_url)
    try:
        shop = Shop(database, QUICK)
        shop.order(("cabinet", 1, {}))
        before = contents(database)
        answer = await scenarios(shop).ask(asking(rush()), "ann")
        assert contents(database) == before
        assert shop.order(("door", 1, {})) == answer.orders[0]
    finally:
        database.close()


async def test_a_rush_order_says_who_is_hurt_and_comes_true_when_accepted(database: Database) -> None:
    async with busy_shop(database) as shop:
        what_if = scenarios(shop)
        async with searched(what_if):
            first = await what_if.ask(asking(rush(), title="Rush for Miller"), "ann")
            assert first.comparison.before.orders == 4
            assert first.comparison.after.orders == 5
            new = next(order for order in first.comparison.orders if order.order == first.orders[0])
            assert (new.before, new.fate in ("added", "added_late")) == (None, True)
            assert new.after is not None and new.after > shop.clock.now()
            assert {
                order.order for order in first.comparison.orders if order.order in first.comparison.hurt
            } == set(first.comparison.hurt)
            assert any(f"Order {first.orders[0]} ends" in line for line in first.comparison.sentences)
            answer = await reached(what_if, "s1", ScenarioState.FINISHED)
            assert answer.cost <= first.cost
            assert answer.seconds > 0
            assert answer.note == ""
            made = await what_if.accept("s1", "ben")
            again = await what_if.accept("s1", "ben")
        assert (made.state, made.orders, again.orders) == ("accepted", first.orders, first.orders)
        await until(lambda: "scenario" in shop.causes())
        await until(lambda: not shop.service.planning)
    with database.read() as tx:
        told = [cause.text for plan in plans.history(tx) for cause in plan.causes]
        ids = (
            tx.execute(text("SELECT id FROM orders WHERE id = :id"), {"id": first.orders[0]}).scalars().all()
        )
        actors = tx.execute(text("SELECT actor FROM action WHERE type = 'order.create'")).scalars().all()
    assert "what was asked came true: Rush for Miller" in told
    assert (len(ids), actors.count("ben"), actors.count("ann")) == (1, 1, 0)


async def test_every_reason_at_once_and_where(database: Database) -> None:
    shop = Shop(database, QUICK)
    shop.order(("cabinet", 1, {}), id="there")
    before = contents(database)
    with pytest.raises(ImpossibleChanges) as refused:
        await scenarios(shop).ask(
            asking(
                rush(priority=11, id="there"),
                {"change": "cancelled_order", "order": "26-9999"},
                {"change": "machine_down", "workcell": "laser-3", "end": at(hours=-2)},
                {"change": "order_terms", "order": "there"},
            ),
            "ann",
        )
    found: dict[str, str] = {}
    for problem in refused.value.problems:
        found[problem.path] = f"{found.get(problem.path, '')} {problem.message}"
    assert {"changes.0.order.id", "changes.0.order.priority", "changes.1.order", "changes.3.due"} <= set(
        found
    )
    assert "did you mean laser-" in found["changes.2.workcell"]
    assert "in the past" in found["changes.2.end"]
    assert 'no order "26-9999"' in found["changes.1.order"]
    assert contents(database) == before


async def test_what_the_floor_no_longer_allows_is_refused_whole(database: Database) -> None:
    shop = Shop(database, QUICK)
    kept = shop.order(("cabinet", 1, {}))
    what_if = scenarios(shop)
    await what_if.ask(
        asking({"change": "overtime", "end": at(hours=4)}, rush(id="rush"), title="both"), "ann"
    )
    shop.order(("door", 1, {}), id="rush")
    before = contents(database)
    with pytest.raises(NoLongerPossible, match="the floor has changed since s1 was asked for"):
        await what_if.accept("s1", "ann")
    assert contents(database) == before
    assert (await what_if.answer("s1")).state is ScenarioState.WAITING
    database.write(lambda tx: shop.desk.cancel(tx, kept)).result()
    await what_if.ask(asking({"change": "cancelled_order", "order": kept}), "ann")  # twice is no fault
    with pytest.raises(ImpossibleChanges, match="not possible now"):
        await what_if.ask(asking({"change": "order_terms", "order": kept, "priority": 3}), "ann")


async def test_the_dispatcher_goes_on_from_the_plan_that_was_accepted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Schedule | None] = []

    def watched(*given: Any, **more: Any) -> Schedule:
        starts.append(more["start"])
        return solve(*given, **more)

    async with busy_shop(database) as shop:
        monkeypatch.setattr("cloud.dispatching.keeping.service.solve", watched)
        what_if = scenarios(shop)
        answer = await what_if.ask(asking(rush()), "ann")
        await what_if.accept(answer.id, "ben")
        await until(lambda: any(starts))
        (start,) = [start for start in starts if start is not None]
        await until(lambda: "scenario" in shop.causes())
    wanted = what_if._kept[answer.id].best.assignments
    assert any(name.startswith(answer.orders[0]) for name in start.assignments)
    assert {n: a.machine for n, a in start.assignments.items()} == {
        n: wanted[n].machine for n in start.assignments
    }


async def test_a_search_that_nobody_waits_for_ends(database: Database) -> None:
    settings = SEARCH.model_copy(update={"scenario_seconds": 300.0})
    elapsed = [0]
    async with busy_shop(database) as shop:
        what_if = scenarios(shop, settings, Clock(elapsed_ns=lambda: elapsed[0]))
        async with searched(what_if):
            await what_if.ask(asking(rush()), "ann")
            await reached(what_if, "s1", ScenarioState.SEARCHING)
            elapsed[0] += round((WAIT_SECONDS + 1) * 1e9)
            async with asyncio.timeout(60):
                while (await what_if.heads())[0].state is ScenarioState.SEARCHING:  # noqa: ASYNC110 - no look at it
                    await asyncio.sleep(0.05)
            assert (await what_if.answer("s1")).state is ScenarioState.FINISHED


async def test_nothing_is_planned_on_a_machine_that_would_be_down(database: Database) -> None:
    async with busy_shop(database, 3) as shop:
        what_if = scenarios(shop)
        back = at(hours=8)
        down = {"change": "machine_down", "workcell": "weld-1", "end": back}
        answer = await what_if.ask(asking(down), "ann")
    asked = what_if._kept["s1"]
    welds = [a for a in asked.best.assignments.values() if a.machine == "weld-1"]
    assert welds
    end = datetime.fromisoformat(back).timestamp() * 1e6
    assert all(asked.problem.utc(a.start) + 1_000_000 > end for a in welds)  # plans have whole seconds
    assert answer.comparison.hurt
    assert any(move.workcell_after == "weld-1" and move.later > 0 for move in answer.comparison.moves)


async def test_decisions_of_a_scenario_come_true(database: Database) -> None:
    async with busy_shop(database, 2) as shop:
        what_if = scenarios(shop)
        answer = await what_if.ask(
            asking(
                {"change": "machine_down", "workcell": "brake-1", "start": at(hours=1), "end": at(hours=9)}
            ),
            "ann",
        )
        assert answer.orders == []
        assert answer.comparison.added == answer.comparison.removed == 0
        await what_if.accept(answer.id, "ben")
        await until(lambda: "scenario" in shop.causes())
    with database.read() as tx:
        (held,) = decisions.current(tx, shop.clock.now())
    assert (held.kind, held.workcell, held.actor) == (Kind.CLOSED, "brake-1", "ben")


async def test_another_plan_in_force_makes_it_stale(database: Database) -> None:
    async with busy_shop(database, 2) as shop:
        what_if = scenarios(shop)
        answer = await what_if.ask(asking(rush()), "ann")
        assert (answer.stale, answer.version) == (False, 1)
        order_id = shop.order(("door", 1, {}))
        await until(lambda: order_id in str(shop.edges.lists))
        assert (await what_if.answer(answer.id)).stale
        assert [head.stale for head in await what_if.heads()] == [True]


async def test_one_that_is_discarded_is_searched_no_more(database: Database) -> None:
    settings = SEARCH.model_copy(update={"scenario_seconds": 60.0})
    async with busy_shop(database) as shop:
        what_if = scenarios(shop, settings)
        async with searched(what_if):
            await what_if.ask(asking(rush()), "ann")
            await what_if.ask(asking(rush(), title="the second"), "ann")
            await reached(what_if, "s1", ScenarioState.SEARCHING)
            assert (await what_if.answer("s2")).state is ScenarioState.WAITING
            what_if.discard("s1")
            await reached(what_if, "s2", ScenarioState.SEARCHING)
            with pytest.raises(UnknownScenario, match="ask anew"):
                await what_if.answer("s1")


async def test_a_search_that_breaks_off_leaves_its_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with busy_shop(database, 2) as shop:
        what_if = scenarios(shop)

        def broken(*_: Any, **__: Any) -> None:
            raise MemoryError("no more")

        monkeypatch.setattr("cloud.dispatching.asking.scenarios.solve", broken)
        async with searched(what_if):
            first = await what_if.ask(asking(rush()), "ann")
            answer = await reached(what_if, "s1", ScenarioState.FAILED)
    assert (answer.cost, "MemoryError: no more" in answer.note) == (first.cost, True)


async def test_few_are_kept_and_not_for_ever(database: Database) -> None:
    shop = Shop(database, QUICK)
    shop.order(("door", 1, {}))
    elapsed = [0]
    what_if = scenarios(shop, clock=Clock(elapsed_ns=lambda: elapsed[0]))
    for _ in range(MAX_KEPT):
        await what_if.ask(asking(rush()), "ann")
    with pytest.raises(BusyError):
        await what_if.ask(asking(rush()), "ann")
    await what_if.accept("s2", "ann")
    elapsed[0] += round((KEPT_SECONDS - 1) * 1e9)
    await what_if.ask(asking(rush()), "ann")
    assert "s2" not in {head.id for head in await what_if.heads()}
    await what_if.answer("s1")
    elapsed[0] += round(2e9)
    assert {head.id for head in await what_if.heads()} == {"s1", f"s{MAX_KEPT + 1}"}


async def test_without_a_plan_and_without_work(database: Database) -> None:
    shop = Shop(database, QUICK)
    answer = await scenarios(shop).ask(asking(rush()), "ann")
    assert (answer.version, answer.comparison.before.orders, answer.comparison.after.orders) == (0, 0, 1)


async def test_the_plan_of_a_scenario_keeps_every_rule(database: Database) -> None:
    async with busy_shop(database) as shop:
        what_if = scenarios(shop)
        async with searched(what_if):
            await what_if.ask(asking(rush(), {"change": "overtime", "end": at(hours=4)}), "ann")
            await reached(what_if, "s1", ScenarioState.FINISHED)
        asked = what_if._kept["s1"]
        assert violations(asked.problem, asked.best) == []
        assert violations(asked.base, asked.kept) == []
        with database.read() as tx:
            states = set(tx.execute(text("SELECT state FROM orders")).scalars())
    assert states <= {OrderState.RELEASED, OrderState.STARTED}


async def test_questions_have_their_turns_and_too_many_hear_when_to_come_back() -> None:
    turns, order, go_on = Turns(2.0, most=2), [], asyncio.Event()

    async def question(name: str) -> None:
        async with turns.take():
            order.append(name)
            await go_on.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(question("first"))
        tasks.create_task(question("second"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(BusyError) as busy:
            await question("third")
        assert order == ["first"]
        go_on.set()
    assert (order, busy.value.seconds) == (["first", "second"], 4.0)
    await question("fourth")
