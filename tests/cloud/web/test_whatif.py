"""What if, without a browser: the form's values become changes, the comparison speaks as a person would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import msgspec
import pytest
from pydantic import ValidationError

from cloud.dispatching.asking.changes import MachineDown, ScenarioRequest
from cloud.dispatching.asking.scenarios import ScenarioAnswer, ScenarioState
from cloud.dispatching.asking.told import Compared, OrderNews, PlanTotals
from cloud.dispatching.questions.comparison import Fate
from cloud.dispatching.shop.money import Lack, Money, Rate
from cloud.orders.requests import ImpossibleOrder, OrderRequest
from cloud.store.database import Database
from cloud.web.planning import asked, compared
from cloud.web.planning.asked import FormError, Shop
from cloud.web.sheet import Teller
from cloud.web.speech import CHINA, ENGLISH, Speech
from protocols.values import MICROSECONDS
from tests.cloud.dispatching.keeping.test_service import SITE
from tests.cloud.orders.shop import open_database, order, order_desk

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
NOW = int(NOON.timestamp()) * MICROSECONDS
HOUR = 3600 * MICROSECONDS
ZONE = ZoneInfo(SITE.calendar.timezone)


def shop(say: Speech = ENGLISH) -> Shop:
    return Shop(Teller(SITE, NOW, say), ())


def request(kind: str, **values: Any) -> ScenarioRequest:
    return ScenarioRequest.model_validate({"changes": [asked.change(kind, values, NOON, ZONE)]})


def test_a_machine_is_down_for_hours_from_now_on() -> None:
    (change,) = request("machine_down", workcell="laser-1", hours=4, start="").changes
    assert isinstance(change, MachineDown)
    assert change.start is None
    assert change.end == NOON + timedelta(hours=4)


def test_times_of_a_form_are_those_of_the_site() -> None:
    (change,) = request("machine_down", workcell="laser-1", hours=1, start="2026-11-27T08:00").changes
    assert isinstance(change, MachineDown)
    assert change.start == datetime(2026, 11, 27, 8, tzinfo=ZONE)
    assert asked.field_time(change.start, ZONE) == "2026-11-27T08:00"


@pytest.mark.parametrize(
    ("kind", "values", "wrong"),
    [
        ("machine_down", {"workcell": "laser-1"}, "say for how many hours"),
        ("machine_down", {"hours": 2}, "choose a workcell"),
        ("overtime", {}, "say until when"),
        ("overtime", {"end": "2026-11"}, "a time is not complete"),
        ("cancelled_order", {}, "choose an order"),
        ("order_terms", {}, "choose an order"),
        ("other_heads", {"heads": 1, "end": "2026-11-27T08:00"}, "choose a skill"),
        ("new_order", {"product": "door", "quantity": 1}, "say by when it is wanted"),
        ("new_order", {"product": "door", "due": "2026-11-27T08:00"}, "say how many"),
    ],
)
def test_what_a_form_lacks_is_said(kind: str, values: dict[str, Any], wrong: str) -> None:
    with pytest.raises(FormError, match=wrong):
        asked.change(kind, values, NOON, ZONE)


@pytest.mark.parametrize(
    ("kind", "values", "english"),
    [
        (
            "new_order",
            {"product": "door", "quantity": 4, "due": "2026-11-26T18:00", "priority": 10, "parameters": {}},
            "order comes in: 4 × door, wanted 18:00:00, priority 10",
        ),
        ("cancelled_order", {"order": "26-1"}, "order 26-1 is cancelled"),
        ("order_terms", {"order": "26-1", "priority": 9}, "order 26-1: priority 9"),
        ("overtime", {"end": "2026-11-26T20:00"}, "the whole site works overtime from now until 20:00:00"),
        (
            "other_heads",
            {"skill": "weld", "heads": -1, "start": "2026-11-26T14:00", "end": "2026-11-26T20:00"},
            "1 fewer for weld from 14:00:00 until 20:00:00",
        ),
    ],
)
def test_changes_in_words(kind: str, values: dict[str, Any], english: str) -> None:
    (change,) = request(kind, **values).changes
    assert asked.change_words(change, shop()) == english
    assert asked.change_words(change, shop(CHINA)) != english


def test_a_long_question_has_a_title_that_fits() -> None:
    (change,) = request("cancelled_order", order="26-1").changes
    title = asked.title([change] * 20, shop())
    assert len(title) == asked.MAX_TITLE
    assert title.endswith("…")


# --- the comparison -------------------------------------------------------------------------------------


def totals(**fields: int) -> PlanTotals:
    plain = {"cost": 1000, "orders": 3, "late_orders": 0, "late_seconds": 0, "tardiness": 0}
    whole = {**plain, "changeover_seconds": 600, "end": NOW + 8 * HOUR, **fields}
    return PlanTotals(**whole)  # type: ignore[arg-type]


def news(order: str, fate: Fate, before: int | None, after: int | None, late: tuple[int, int]) -> OrderNews:
    later = 0 if before is None or after is None else (after - before) // MICROSECONDS
    return OrderNews(order, fate, NOW + HOUR, before, after, late[0], late[1], later)


LATE = news("26-0012", Fate.BECOMES_LATE, NOW + HOUR, NOW + 4 * HOUR + HOUR // 6, (0, 11_400))
LATER = news("26-0009", Fate.LATER_STILL, NOW + 2 * HOUR, NOW + 3 * HOUR, (3600, 7200))
NEW = news("26-0031", Fate.ADDED, None, NOW + 2 * HOUR, (0, 0))
HELPED = news("26-0001", Fate.IN_TIME_AGAIN, NOW + 2 * HOUR, NOW + HOUR, (3600, 0))


def plans(*orders: OrderNews, changeover: int = 600) -> Compared:
    after = totals(changeover_seconds=changeover, end=NOW + 9 * HOUR, cost=1500)
    return Compared([], list(orders), [], [], 12, 60, 0.2, 6, 0, totals(), after)


def test_who_is_hurt_comes_first() -> None:
    teller = Teller(SITE, NOW)
    assert compared.headline(plans(LATE, LATER, changeover=1800), teller) == (
        "2 orders later than promised, worst 26-0012 by 3 h 10 min; changeovers +20 min"
    )
    assert compared.headline(plans(LATE), teller) == "order 26-0012 misses its date by 3 h 10 min more"


def test_what_hurts_nobody_says_so() -> None:
    teller = Teller(SITE, NOW)
    assert compared.headline(plans(NEW), teller) == (
        "the new order 26-0031 ends 14:00:00, in time; no order becomes later than promised"
    )
    assert "1 less late: 26-0001" in compared.headline(plans(HELPED), teller)
    assert "没有订单因此晚于交期" in compared.headline(plans(HELPED), Teller(SITE, NOW, CHINA))


def test_every_fate_has_a_shape_and_words() -> None:
    told = [compared.becomes(news("a", fate, NOW, NOW + HOUR, (0, 60)), ENGLISH) for fate in Fate]
    assert len(set(told)) == len(told)
    assert compared.becomes(LATE, ENGLISH) == "▲ becomes late by 3 h 10 min"


def answer(**fields: Any) -> ScenarioAnswer:
    plain: dict[str, Any] = {
        "id": "s1",
        "title": "t",
        "state": ScenarioState.SEARCHING,
        "changes": [],
        "asked": NOW,
        "actor": "ann",
        "expires": NOW,
        "seconds": 3.2,
        "plans": 4,
        "cost": 1234,
        "bound": None,
        "gap": None,
        "version": 1,
        "stale": False,
        "note": "",
        "orders": [],
        "comparison": plans(LATE, LATER, NEW),
    }
    return ScenarioAnswer(**plain | fields)


def test_the_whole_comparison_is_well_formed_and_names_from_outside_cannot_break_it() -> None:
    odd = news('<b>"&', Fate.CANCELLED, NOW, None, (0, 0))
    html = compared.html(answer(stale=True, comparison=plans(odd)), Teller(SITE, NOW))
    root = ElementTree.fromstring(f"<div>{html}</div>")  # noqa: S314 - our own picture
    cells = [cell.text for cell in root.iter("td")]
    assert '<b>"&' in cells
    assert "✕ falls away" in cells
    assert "the plan has changed since" in html


def test_the_search_says_how_far_it_is() -> None:
    assert compared.progress(answer(bound=1000.0, gap=0.19), 30, ENGLISH) == (
        "searching for better: 3 s of 30 s · plan 4, cost with moved work 1,234 · "
        "no plan costs less than 1,000 · gap 19 %"
    )
    assert "proved" in compared.progress(answer(gap=0.0, state=ScenarioState.FINISHED), 30, ENGLISH)
    assert compared.share(answer(), 32) == pytest.approx(0.1)
    assert compared.share(msgspec.structs.replace(answer(), state=ScenarioState.FINISHED), 32) == 1.0
    for state in ScenarioState:
        assert compared.progress(answer(state=state), 30, CHINA)


def money(working: str, lateness: str = "0") -> Money:
    none = Decimal(0)
    return Money(
        currency="CNY",
        working=Decimal(working),
        setup=none,
        overtime=none,
        service=none,
        lateness=Decimal(lateness),
    )


def test_both_plans_in_money() -> None:
    before = msgspec.structs.replace(totals(), money=money("1200.50"))
    after = msgspec.structs.replace(totals(), money=money("1100.00", "220.40"))
    found = Compared([], [], [], [], 0, 3, 0.0, 0, 0, before, after, [Lack(Rate.PER_HOUR, ("laser-1",))])
    teller = shop().teller
    assert compared.headline(found, teller).endswith("costs +119.90 CNY")
    text = compared.costs(found, teller)
    for part in ("Cost in CNY", "1,200.50", "−100.50", "late orders", "+220.40", "all together", "+119.90"):
        assert part in text
    assert "set-ups" not in text  # nothing of it in either plan
    assert "cost_per_hour of LASER-1" in text
    chinese = compared.costs(found, shop(CHINA).teller)
    assert "费用（CNY）" in chinese
    assert "Cost in" not in chinese


def test_without_rates_the_page_says_what_to_fill_in() -> None:
    found = Compared([], [], [], [], 0, 3, 0.0, 0, 0, totals(), totals(), [Lack(Rate.CURRENCY)])
    assert "the currency (costs: currency)" in compared.costs(found, shop().teller)
    assert "请填写：货币" in compared.costs(found, shop(CHINA).teller)
    assert "costs" not in compared.headline(found, shop().teller)


# --- refused ----------------------------------------------------------------------------------------------


def refusal(database: Database, request: OrderRequest) -> ImpossibleOrder:
    with pytest.raises(ImpossibleOrder) as refused:
        database.write(lambda tx: order_desk().create(tx, request)).result()
    return refused.value


def test_the_order_desk_says_why_not_in_the_language_of_who_asks(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    error = refusal(
        database,
        order(
            ("cabinet", 0, {"widht": 600, "height": 5000, "colour": "RAL 5011"}),
            ("cabient", 1, {}),
            days=-1,
            priority=11,
        ),
    )
    database.close()
    english, chinese = (asked.objections(error, say).splitlines() for say in (ENGLISH, CHINA))
    assert english[0].startswith("Wanted by: 2026-11-22T08:00:00+00:00 is in the past")
    assert "Priority: 11 is not between 1 and 10" in english
    assert "优先级: 11 不在 1 至 10 之间" in chinese
    assert "数量: 0 不大于 0" in chinese
    assert "height: 5000 超出范围：允许 500 至 2200，步长 1 MMT" in chinese
    assert any("是否为 cabinet？" in line for line in chinese)
    assert len(english) == len(chinese) == len(error.problems)
    # Words of English are those of the site alone: ids, values, colours.
    assert not [line for line in chinese if " is " in line or "allowed" in line]


def test_what_a_form_cannot_hold_is_told_in_both_languages() -> None:
    with pytest.raises(ValidationError) as refused:
        request("order_terms", order="26-1", priority=11)
    assert asked.refusals(refused.value, ENGLISH) == "Priority: is more than 10"
    assert asked.refusals(refused.value, CHINA) == "优先级: 大于 10"
