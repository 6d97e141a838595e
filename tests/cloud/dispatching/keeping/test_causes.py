"""Every event that the plan must be made anew for is a cause once, and none when the plan knows it."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.building import Wish, build
from cloud.dispatching.floor.decisions import Decision, Kind
from cloud.dispatching.floor.floor import Floor, current_version, read_floor, read_plan
from cloud.dispatching.keeping import plans
from cloud.dispatching.keeping.causes import DECIDED, URGENT, causes
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.solving.construct import construct
from cloud.ledger.tables import device, machine_lock
from cloud.orders.requests import OrderChange
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import RunPart
from protocols.documents import loads
from protocols.lifecycles import LockState
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, SECOND, open_database, order, order_desk, site_text
from tests.cloud.orders.shop import Floor as Shopfloor

HOUR = 3600 * SECOND
SETTINGS = DispatchSettings()
DEVICES = ", ".join(
    f"{{id: {name}, asset: 00000000-0000-4000-8000-00000000009{number}, profile: a/b, "
    f"url: 'modbus://127.0.0.1:50{number}', workcells: [{cell}]}}"
    for number, (name, cell) in enumerate([("m1", "laser-1"), ("agv-1", ""), ("agv-2", "")])
)
SITE = loads(
    site_text().replace(
        "workcells: [laser-1, laser-2, brake-1, weld-1], devices: []",
        f"workcells: [laser-1, laser-2, brake-1, weld-1], devices: [{DEVICES}]",
    )
    + "crew: {welding: {title: Welders, heads: 2}}\n",
    Site,
    "site.yaml",
)
SITE = SITE.model_copy(
    update={"transport": SITE.transport.model_copy(update={"vehicles": ("agv-1", "agv-2")})}
)
PLANNING = SITE.model_copy(update={"transport": SITE.transport.model_copy(update={"vehicles": None})})
"""What the plan is made for: causes do not depend on it, and a limit of vehicles would only take time."""
CUT = "26-0001-1-10"


class Shop:
    """A shop with one planned order of two cabinets."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW_US
        self.wishes: list[Wish] = []
        self.said = Shopfloor(database, step=SECOND)
        self.place()
        self.plan()

    def place(self, **line: Any) -> None:
        request = order(("cabinet", 2, {}))
        desk = order_desk(f"desk-{self.now}")
        self.database.write(partial(desk.create, request=request)).result()

    def floor(self) -> Floor:
        with self.database.read() as tx:
            return read_floor(tx, SITE, self.now, SETTINGS.repair_seconds)

    def plan(self) -> None:
        """Put a plan in force that knows everything."""
        floor = self.floor()
        problem = build(floor, PLANNING, SETTINGS, self.wishes)
        schedule = construct(problem)
        self.database.write(
            lambda tx: plans.store(
                tx,
                problem,
                schedule,
                causes=[],
                down=[*floor.down],
                seconds=0.0,
                now=self.now,
                keep=100,
                decisions=[one.id for one in floor.decisions],
                stuck=[*floor.stuck],
                wishes=[wish.key for wish in self.wishes],
                material={o.id: o.material_at for o in floor.operations if o.material_at is not None},
            )
        ).result()
        assert self.causes() == []

    def causes(self) -> list[tuple[str, str, str]]:
        with self.database.read() as tx:
            before = plans.stored(tx)
        assert before is not None
        found = causes(
            self.floor(),
            SITE,
            SETTINGS,
            planned_down=before.down,
            wishes=self.wishes,
            planned_wishes=before.wishes,
            planned_decisions=before.decisions,
            planned_stuck=before.stuck,
        )
        return [(cause.kind, cause.about, cause.text) for cause in found]

    def kinds(self) -> list[str]:
        return sorted({kind for kind, _, _ in self.causes()})

    def decide(self, kind: Kind, **fields: Any) -> int:
        times = {} if kind is Kind.PIN else {"start": self.now, "end": self.now + HOUR}
        decision = Decision(kind=kind, **times | fields)
        return self.database.write(lambda tx: decisions.add(tx, decision, "sup-1", self.now, SITE)).result()

    def says(self, name: str, state: str, **more: Any) -> None:
        """A device reports a state."""
        row = {
            "id": name,
            "edge": "machining",
            "connected": True,
            "connected_since": 1,
            "heartbeat": self.now,
            "last_read": self.now,
            "detail": "",
            "state_since": self.now,
            "item_state": state,
            "mode": "processing",
            "state_detail": "",
        }

        def write(tx: Any) -> None:
            tx.execute(delete(device).where(device.c.id == name))
            tx.execute(insert(device).values(row | more))

        self.database.write(write).result()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    database = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    yield Shop(database)
    database.close()


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        (Kind.OVERTIME, {}, ("overtime", "", "overtime at the whole site: rush")),
        (Kind.OVERTIME, {"workcell": "weld-1"}, ("overtime", "weld-1", "overtime at weld-1: rush")),
        (Kind.CLOSED, {"workcell": "weld-1"}, ("closed", "weld-1", "planned stop of weld-1: rush")),
        (
            Kind.HEADS,
            {"skill": "welding", "heads": -1},
            ("absent", "welding", "1 head fewer for welding: rush"),
        ),
        (
            Kind.HEADS,
            {"skill": "welding", "heads": 2},
            ("extra", "welding", "2 heads more for welding: rush"),
        ),
        (
            Kind.PIN,
            {"operation": CUT, "workcell": "laser-2"},
            ("pin", CUT, f"{CUT} is pinned to laser-2: rush"),
        ),
        (
            Kind.PIN,
            {"operation": CUT, "start": NOW_US + HOUR},
            ("pin", CUT, f"{CUT} is pinned to a time: rush"),
        ),
    ],
)
def test_what_a_person_decides_and_takes_back(
    shop: Shop, kind: Kind, fields: dict[str, Any], told: tuple[str, str, str]
) -> None:
    made = shop.decide(kind, reason="rush", **fields)
    assert shop.causes() == [told]
    assert told[0] in DECIDED <= URGENT
    shop.plan()
    shop.database.write(lambda tx: decisions.revoke(tx, made, "sup-2", shop.now)).result()
    assert shop.causes() == [(told[0], told[1], told[2].replace(": rush", ": taken back"))]
    shop.plan()


def test_a_decision_that_is_over_is_no_cause(shop: Shop) -> None:
    shop.decide(Kind.CLOSED, workcell="pack-1")
    shop.plan()
    planned_end = shop.now + 2 * HOUR
    with shop.database.read() as tx:
        assert len(decisions.current(tx, shop.now)) == 1
        assert decisions.current(tx, planned_end) == []
    shop.now = planned_end
    assert not DECIDED & {kind for kind, _, _ in shop.causes()}


def test_a_vehicle_that_reports_a_fatal_error_or_is_locked(shop: Shop) -> None:
    shop.says("agv-2", "out_of_service", state_detail="lost its way")
    assert shop.causes() == [("stuck", "agv-2", "agv-2 is stuck: lost its way")]
    shop.plan()
    shop.says("agv-2", "not_executing")
    assert shop.causes() == [("freed", "agv-2", "agv-2 drives again")]
    lock = {
        "device": "agv-1",
        "edge": "machining",
        "workcell": "",
        "state": str(LockState.LOCKED),
        "owner": "op-7",
        "reason": "lidar",
        "since": shop.now,
    }
    shop.database.write(lambda tx: tx.execute(insert(machine_lock).values(lock))).result()
    assert ("stuck", "agv-1", "agv-1 is stuck: locked by op-7: lidar") in shop.causes()
    shop.plan()
    free = update(machine_lock).values(state=str(LockState.FREE))
    shop.database.write(lambda tx: tx.execute(free)).result()
    assert shop.causes() == [("freed", "agv-1", "agv-1 drives again")]


def test_orders_in_changed_and_cancelled(shop: Shop) -> None:
    desk = order_desk("change")
    shop.now += 1
    shop.place()
    assert shop.causes() == [("order", "26-0002", "order 26-0002 came in")]
    shop.plan()
    shop.database.write(lambda tx: desk.change(tx, "26-0001", OrderChange(priority=4))).result()
    assert shop.kinds() == ["promise"]
    shop.plan()
    later = OrderChange.model_validate({"material_at": "2026-11-24T08:00:00Z"})
    shop.database.write(lambda tx: desk.change(tx, "26-0001", later)).result()
    assert shop.causes() == [("material", "26-0001", "material of order 26-0001 comes at another time")]
    shop.plan()
    with shop.database.read() as tx:
        start = read_plan(tx, current_version(tx))[CUT].start
    assert start >= NOW_US + 24 * HOUR
    shop.database.write(lambda tx: desk.cancel(tx, "26-0002")).result()
    assert shop.kinds() == ["cancelled"]


def test_operations_early_late_waiting_and_scrapped(shop: Shop) -> None:
    with shop.database.read() as tx:
        planned = read_plan(tx, current_version(tx))
    cell = planned[CUT].workcell
    shop.now = planned[CUT].end - 1
    assert shop.kinds() == ["waits"]
    shop.now = NOW_US + SECOND
    opened = act.RunOpened("r1", (RunPart(CUT, Decimal(2)),))
    shop.said.says(cell, opened)
    shop.now = planned[CUT].end + HOUR
    assert shop.kinds() == ["late", "waits"]
    shop.now = NOW_US + 60 * SECOND
    one = Decimal(1)
    shop.said.says(cell, act.Booked("r1", CUT, good=one, scrap=one), act.RunCompleted("r1", (CUT,)))
    assert shop.kinds() == ["early", "remake"]


def test_machines_down_and_up_and_maintenance(shop: Shop) -> None:
    shop.says("m1", "out_of_service", state_detail="fault")
    assert shop.causes() == [("down", "laser-1", "laser-1 is down: fault")]
    shop.plan()
    shop.says("m1", "executing")
    assert shop.causes() == [("up", "laser-1", "laser-1 is back")]
    shop.plan()
    shop.wishes.append(Wish("case-1", "weld-1", 600, NOW_US + 24 * HOUR, "bearing"))
    assert shop.causes() == [("maintenance", "case-1", "maintenance of weld-1: bearing")]
    shop.plan()
    shop.wishes[0] = Wish("case-1", "weld-1", 600, NOW_US + 24 * HOUR, "bearing", revision=1)
    assert shop.causes() == [("maintenance", "case-1", "maintenance of weld-1 has another window: bearing")]
    shop.plan()
    shop.wishes.clear()
    assert shop.kinds() == ["maintenance"]
