"""What the page says about planning: causes, replans, what waits for what, decisions. In both languages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Decision, Kind
from cloud.dispatching.keeping import causes as planner
from cloud.dispatching.keeping.making import SearchProgress
from cloud.dispatching.keeping.plans import Cause, Difference, Shift, StoredPlan
from cloud.dispatching.shop.explanation import Cause as Reason
from cloud.dispatching.shop.explanation import explain
from cloud.dispatching.shop.schedule import Objective
from cloud.dispatching.solving.construct import construct
from cloud.store.database import Database
from cloud.web import sheets
from cloud.web.planning import replans, waits
from cloud.web.planning.causes import WORDS, cause_words, causes_words
from cloud.web.sheet import Sheet, Teller
from cloud.web.speech import CHINA, ENGLISH, Speech
from protocols.clock import Clock
from protocols.values import MICROSECONDS
from tests.cloud.dispatching.keeping.test_service import QUICK, SITE, Shop, until
from tests.cloud.dispatching.random_features import ALL
from tests.cloud.dispatching.random_shop import random_shop
from tests.cloud.orders.shop import open_database

NOW = 1_790_000_000 * MICROSECONDS
BERLIN = ZoneInfo("Europe/Berlin")
DOWN = Cause("down", "laser-2", "laser-2 is down: emergency stop")


COST = Objective(weighted_tardiness=0, changeover_seconds=0, deviation_seconds=0, makespan=0, total=0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'plan.db'}")
    yield opened
    opened.close()


def title(name: str) -> str:
    return {"laser-2": "Laser 2"}.get(name, name)


def stored(*causes: Cause, orders: tuple[Shift, ...] = (), moved: tuple[str, ...] = ()) -> StoredPlan:
    changed = Difference(moved=moved, orders=orders)
    return StoredPlan(7, NOW, causes, "feasible", 1.23, COST, changed, (), (), "")


def test_a_cause_names_the_place_as_people_do() -> None:
    assert cause_words(DOWN, ENGLISH, title) == "Laser 2 is down: emergency stop"
    assert cause_words(DOWN, CHINA, title) == "Laser 2 停机: emergency stop"


def test_a_cause_of_an_unknown_kind_is_told_in_the_planners_words() -> None:
    assert cause_words(Cause("eclipse", "sun", "the sun is dark"), CHINA, title) == "the sun is dark"


def test_every_urgent_cause_has_words() -> None:
    assert set(WORDS) >= planner.URGENT | planner.LATENESS


def test_the_first_causes_are_told_and_the_others_counted() -> None:
    found = [Cause("order", f"26-{n}", f"order 26-{n} came in") for n in range(5)]
    assert causes_words([DOWN, DOWN, *found], ENGLISH, title, shown=2) == (
        "Laser 2 is down: emergency stop; order 26-0 came in and 4 more"
    )


def test_what_people_did_comes_before_what_took_its_course() -> None:
    late = Cause("late", "26-1-1-10", "26-1-1-10 is not finished, 3 min after its planned end")
    asked = Cause("scenario", "s1", "what was asked came true: rush")
    assert causes_words([late, DOWN, asked], ENGLISH, title, shown=1) == (
        "what was asked came true: rush and 2 more"
    )


def test_the_line_above_the_plan_says_when_why_and_what_moved() -> None:
    plan = stored(
        DOWN, orders=(Shift("26-1", 600), Shift("26-2", 11_400), Shift("26-3", -60), Shift("26-4", 5))
    )
    assert replans.line(plan, NOW, BERLIN, ENGLISH, title) == (
        "16:13:20 planned anew in 1.2 s: Laser 2 is down: emergency stop — "
        "2 orders later, worst 26-2 by 3 h 10 min, 1 order earlier"
    )
    assert "2 个订单推迟，最多 26-2 推迟 3 h 10 min" in replans.line(plan, NOW, BERLIN, CHINA, title)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (Difference(), "no order moves"),
        (Difference(orders=(Shift("a", 29), Shift("b", -29))), "no order moves"),
        (Difference(orders=(Shift("a", 90),)), "order a 1 min 30 s later"),
        (Difference(moved=("x",)), "1 operation at another workcell"),
        (
            Difference(moved=("x", "y"), orders=(Shift("a", -90), Shift("b", -40))),
            "2 orders earlier, 2 operations at another workcell",
        ),
    ],
)
def test_what_a_plan_changed(changed: Difference, words: str) -> None:
    assert replans.changes(changed, ENGLISH) == words


def test_while_a_plan_is_made_the_page_says_how_far_it_is() -> None:
    assert replans.planning(SearchProgress(searching=False, seconds=9.0)) == ""
    assert replans.planning(SearchProgress(searching=True, seconds=0.82)) == "planning … 0.8 s"
    assert replans.planning(SearchProgress(searching=True, seconds=0.82, gap=0.123)) == (
        "planning … 0.8 s, gap 12 %"
    )
    assert replans.planning(SearchProgress(searching=True, seconds=2), CHINA) == "计划中 … 2.0 秒"


def test_every_reason_of_a_chain_has_a_sentence_in_both_languages() -> None:
    assert set(waits.SENTENCES) == set(Reason)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_whatever_work_waits_for_is_told_in_both_languages(seed: int, operations: int) -> None:
    problem = random_shop(random.Random(seed), operations=operations, runs=2, features=ALL)
    plan = construct(problem)
    for name in plan.assignments:
        for link in explain(problem, plan, name).links:
            told = {
                say.language: waits.sentence(Teller(SITE, NOW, say), link, NOW, {})
                for say in (ENGLISH, CHINA)
            }
            assert told["en"].startswith(f"{link.operation} ")
            assert told["zh"] != told["en"]
            assert not {"{", "}"} & set(told["en"] + told["zh"])
            assert " waits " not in told["zh"]


async def test_sheets_say_why_it_was_planned_anew_and_what_waits_for_what(database: Database) -> None:
    shop = Shop(database, QUICK)

    async def sheet(address: str, say: Speech = ENGLISH) -> Sheet:
        return await database.query(lambda tx: sheets.read(tx, SITE, Clock().now(), address, say))

    async def planned() -> None:
        await until(lambda: shop.edges.queue("pack-1"))
        await until(lambda: not shop.service.planning)

    async with shop.running():
        first, second = (shop.order(("cabinet", 2, {})) for _ in range(2))
        await planned()
        newest = (await sheet("replans")).tables[0].rows[-1]
        assert f"order {first} came in" in newest.cells[1]
        assert newest.opens == "replan:1"
        plan = await sheet(newest.opens)
        assert plan.title == "plan 1"
        assert f"• order {first} came in" in plan.lines
        assert (await sheet("replan:no")).lines == ("there is no such plan",)

        order = await sheet(f"order:{second}")
        assert any(f"{second}-1-60" in line and "waits until" in line for line in order.lines)
        chinese = await sheet(f"order:{second}", CHINA)
        assert any("等待" in line for line in chinese.lines)
        assert not any("waits" in line for line in chinese.lines)

        name = f"{second}-1-60"
        before = await sheet(f"operation:{name}")
        assert before.acts == (("pin", name), ("pin time", name))


def test_a_decision_is_listed_and_can_be_revoked(database: Database) -> None:
    end = NOW + 3600 * MICROSECONDS

    def decide(tx: Connection) -> list[int]:
        made = [
            Decision(kind=Kind.CLOSED, workcell="laser-1", start=NOW, end=end, reason="new lens"),
            Decision(kind=Kind.OVERTIME, start=NOW, end=end),
            Decision(kind=Kind.HEADS, skill="weld", heads=-1, start=NOW, end=end),
        ]
        return [decisions.add(tx, decision, "ann", NOW) for decision in made]

    ids = database.write(decide).result()
    with database.read() as tx:
        listed = sheets.read(tx, SITE, NOW, "decisions").tables[0].rows
        one = sheets.read(tx, SITE, NOW, f"decision:{ids[0]}")
        late = sheets.read(tx, SITE, end, f"decision:{ids[0]}", CHINA)
    assert [row.cells[0] for row in listed] == [
        f"{SITE.workcells()['laser-1'].title} is closed",
        "overtime at the whole site",
        "1 fewer for weld",
    ]
    assert one.acts == (("revoke", str(ids[0])),)
    assert "because: new lens" in one.lines
    assert late.lines == ("已到期或已撤销",)
