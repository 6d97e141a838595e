"""Orders as the office gives them: refused with every reason at once, or turned into jobs and operations."""

import uuid
from decimal import Decimal
from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from cloud.dispatching.keeping import outlook
from cloud.orders import tables
from cloud.orders.create import OrderDesk
from cloud.orders.requests import ImpossibleOrder, LineRequest, OrderChange, UnknownOrder
from cloud.store.database import Database
from protocols.documents import loads
from protocols.jobs import Step
from protocols.lifecycle import IllegalTransitionError
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, order, order_desk, site_text


def test_order_becomes_jobs_and_operations_with_instructions_of_its_variant(
    database: Database, desk: OrderDesk
) -> None:
    request = order(("cabinet", 4, {"width": 612, "colour": "RAL 5010", "lock": "code"}), ("door", 10, {}))
    order_id = database.write(lambda tx: desk.create(tx, request)).result()
    assert order_id == "26-0001"
    with database.read() as tx:
        jobs = tx.execute(select(tables.job).order_by(tables.job.c.id)).all()
        assert [(job.id, job.quantity, job.title_zh) for job in jobs] == [
            ("26-0001-1", Decimal(4), "钢制柜"),
            ("26-0001-2", Decimal(10), "柜门"),
        ]
        rows = tx.execute(
            select(tables.operation)
            .where(tables.operation.c.job_id == "26-0001-1")
            .order_by(tables.operation.c.position)
        ).all()
        assert [row.kind for row in rows] == ["laser", "brake", "weld", "coat", "assembly", "pack"]
        assert rows[3].setup == {"colour": "RAL 5010"}
        assert rows[3].predecessors == ["26-0001-1-30"]
        assert rows[0].program == "CAB-612x1800x400.lcc"
        text = tx.execute(
            select(tables.instruction.c.steps).where(tables.instruction.c.operation_id == "26-0001-1-50")
        ).scalar_one()
        steps = msgspec.json.decode(text, type=list[Step])
        assert steps[0].text.en == (
            "Cabinet 612 × 1800 × 400 mm, RAL 5010 gentian blue, 2 shelves, code lock."
        )
        assert steps[0].text.zh == "柜体 612 × 1800 × 400 mm，RAL 5010 龙胆蓝，层板 2 块，密码锁。"
        assert [step.title.en for step in steps] == [
            "What goes in",
            "Fit the shelves",
            "Hinge screws",
            "Fit the code lock",
        ]
        text = tx.execute(
            select(tables.instruction.c.steps).where(tables.instruction.c.operation_id == "26-0001-1-20")
        ).scalar_one()
        bend = msgspec.json.decode(text, type=list[Step])
        assert bend[1].text.zh == "本订单后挡料 380.5 mm（柜深 400 mm）。"
        assert (bend[3].nominal, bend[3].lower, bend[3].upper, bend[3].unit) == (
            Decimal(608),
            Decimal("607.4"),
            Decimal("608.2"),
            "mm",
        )


def test_impossible_order_says_every_reason(database: Database, desk: OrderDesk) -> None:
    request = order(
        ("cabinet", 0, {"widht": 600, "height": 5000, "colour": "RAL 5011"}),
        ("cabient", 1, {}),
        ("door", 2, {"sheet": "1.55", "width": "long"}),
        days=-1,
        priority=11,
    )
    with pytest.raises(ImpossibleOrder) as refused:
        database.write(lambda tx: desk.create(tx, request)).result()
    found = {problem.path: problem.message for problem in refused.value.problems}
    assert found["due"].startswith("2026-11-22T08:00:00+00:00 is in the past (now 2026-11-23 08:00 UTC)")
    assert found["priority"] == "11 is not between 1 and 10"
    assert found["lines.0.quantity"] == "0 is not more than 0"
    assert found["lines.0.parameters.widht"].endswith("did you mean width?")
    assert found["lines.0.parameters.height"] == (
        "5000 is outside the limits: allowed is 500 to 2200 in steps of 1 MMT"
    )
    assert "RAL 5010" in found["lines.0.parameters.colour"]
    assert found["lines.1.product"] == '"cabient" is not one of cabinet, door — did you mean cabinet?'
    assert "does not fit the step" in found["lines.2.parameters.sheet"]
    assert "is not a number" in found["lines.2.parameters.width"]
    with database.read() as tx:
        assert tx.execute(select(tables.orders)).all() == []
        assert tx.execute(select(tables.action)).all() == []


def test_half_a_cabinet_and_no_lines_and_a_taken_id(database: Database, desk: OrderDesk) -> None:
    database.write(lambda tx: desk.create(tx, order(("door", 1, {}), id="rush-1"))).result()
    half = order(("cabinet", 1, {})).model_dump(mode="json")
    half["lines"][0]["quantity"] = "1.5"
    for request, words in (
        (order(id="rush-1"), ["at least one line", 'already an order "rush-1"']),
        (type(order()).model_validate(half), ["1.5 is not a whole number"]),
    ):
        with pytest.raises(ImpossibleOrder) as refused:
            database.write(partial(desk.create, request=request)).result()
        for word in words:
            assert word in str(refused.value)


def test_numbers_count_on_from_the_newest_orders(database: Database, desk: OrderDesk) -> None:
    def made(name: str | None = None) -> str:
        return database.write(lambda tx: desk.create(tx, order(("door", 1, {}), id=name))).result()

    assert [made(), made("26-rush"), made("26-0041"), made("rush-2"), made()] == [
        "26-0001",
        "26-rush",
        "26-0041",
        "rush-2",
        "26-0042",
    ]


def test_open_orders_come_first_and_then_those_that_ended_last(database: Database, desk: OrderDesk) -> None:
    """However many there were: the newest ended one is not the last of a year's."""
    for name, days in (("a", 9), ("b", 2), ("c", 5), ("d", 1)):
        database.write(partial(desk.create, request=order(("door", 1, {}), id=name, days=days))).result()
    for minute, name in enumerate(("d", "c")):
        ended = {"state": "completed", "completed": NOW_US + minute}
        this = tables.orders.update().where(tables.orders.c.id == name).values(ended)
        database.write(partial(Connection.execute, statement=this)).result()
    with database.read() as tx:
        assert [found.id for found in outlook.orders(tx)] == ["b", "a", "c", "d"]
        assert [found.id for found in outlook.orders(tx, limit=3)] == ["b", "a", "c"]
        assert [found.id for found in outlook.orders(tx, open_only=True)] == ["b", "a"]


def test_another_promise(database: Database, desk: OrderDesk) -> None:
    def change(**wanted: object) -> None:
        request = OrderChange.model_validate(wanted)
        database.write(lambda tx: desk.change(tx, order_id, request, "p1")).result()

    def promise() -> tuple[int, int, int]:
        with database.read() as tx:
            row = tx.execute(select(tables.orders)).one()
            return (row.due - NOW_US) // 1_000_000, row.priority, len(tx.execute(select(tables.action)).all())

    order_id = database.write(lambda tx: desk.create(tx, order(("door", 1, {}), days=3))).result()
    change(due="2026-11-24T10:00:00+02:00")
    assert promise() == (86_400, 1, 2)
    change(priority=5)
    change(priority=5, due="2026-11-24T08:00:00Z")
    assert promise() == (86_400, 5, 3)  # what changes nothing is not in the journal
    with pytest.raises(ImpossibleOrder) as refused:
        change(due="2026-11-22T08:00:00Z", priority=0)
    assert [problem.path for problem in refused.value.problems] == ["due", "priority"]
    database.write(lambda tx: desk.cancel(tx, order_id)).result()
    with pytest.raises(IllegalTransitionError, match=f"{order_id} is cancelled"):
        change(priority=2)
    assert promise() == (86_400, 5, 4)
    order_id = "26-0815"
    with pytest.raises(UnknownOrder, match="26-0815"):
        change(priority=2)


def test_cancelling(database: Database, desk: OrderDesk) -> None:
    order_id = database.write(lambda tx: desk.create(tx, order(("door", 1, {})))).result()
    for _ in range(2):
        database.write(lambda tx: desk.cancel(tx, order_id, "customer withdrew")).result()
    with database.read() as tx:
        assert set(tx.execute(select(tables.operation.c.state)).scalars()) == {"cancelled"}
        row = tx.execute(select(tables.orders)).one()
        assert (row.state, row.completed) == ("cancelled", NOW_US)
        assert len(tx.execute(select(tables.action)).all()) == 2
    with pytest.raises(UnknownOrder, match="26-0815"):
        database.write(lambda tx: desk.cancel(tx, "26-0815")).result()
    database.write(
        lambda tx: tx.execute(tables.orders.update().values(state="completed", completed=1))
    ).result()
    with pytest.raises(IllegalTransitionError):
        database.write(lambda tx: desk.cancel(tx, order_id)).result()


def test_what_the_site_cannot_make_is_refused(database: Database) -> None:
    glue = loads(site_text().replace("kind: weld}", "kind: glue}"), Site, "site.yaml")
    short = "{shifts: [{name: a, days: [1, 2, 3, 4, 5], start: '08:00', end: '10:00'}]}"
    shift = loads(site_text(short), Site, "site.yaml")
    for site, words in (
        (glue, 'cabinet needs a workcell of kind "weld", and the site has none'),
        (shift, "Weld the body of 20 takes 243 min, and nobody works longer than 120 without a rest: split"),
    ):
        with pytest.raises(ImpossibleOrder) as refused:
            database.write(partial(order_desk(site=site).create, request=order(("cabinet", 20, {})))).result()
        assert words in str(refused.value)


@given(
    product=st.sampled_from(["cabinet", "door", "", "x" * 60]),
    quantity=st.decimals(allow_nan=False, allow_infinity=False),
    name=st.sampled_from(["width", "height", "colour", "sheet", "lock", "none"]),
    value=st.one_of(st.decimals(allow_nan=False, allow_infinity=False), st.text(max_size=40)),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_request_is_made_or_refused_with_reasons(
    database: Database, product: str, quantity: Decimal, name: str, value: Decimal | str
) -> None:
    line = LineRequest(product=product, quantity=quantity, parameters={name: value})
    request = order().model_copy(update={"lines": (line,)})
    order_id, problems = None, []
    try:
        order_id = database.write(partial(order_desk(uuid.uuid4().hex).create, request=request)).result()
    except ImpossibleOrder as error:
        problems = error.problems
    with database.read() as tx:
        at = tables.operation.c
        rows = tx.execute(select(tables.operation).where(at.job_id == f"{order_id}-1")).all()
    assert bool(problems) == (order_id is None)
    assert {row.quantity for row in rows} == (set() if problems else {quantity})
