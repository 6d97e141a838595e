"""Missions come from job lists, are on disk first, and are told right after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.outbox.store import Store
from edge.station.commands import ClearAndon
from edge.transport import journal
from edge.transport.journal import TRANSPORT
from edge.transport.missions import (
    MISSION,
    Mission,
    MissionEvent,
    MissionState,
    Order,
    reconciled,
    wanted,
)
from edge.transport.port import Report
from edge.transport.transport import Transport
from protocols.handshake import Handshake, Kind, Step, late
from protocols.lifecycle import IllegalTransitionError
from protocols.site_graph import Within
from protocols.values import MICROSECONDS
from protocols.vda5050_lifecycles import OrderState
from protocols.vda5050_order import Given, Stop
from tests.edge.edges import Edge, edge_with_stations
from tests.edge.workcells import T0, job_list, operation, predecessor

STATIONS = ("laser-1", "brake-1")
ONE = Mission("op-1<laser-1", "op-1", "A-op-1", "laser-1", "brake-1", T0)


def given(state: OrderState = OrderState.ACTIVE) -> Given:
    return Given("o", (Stop("a"),), (), 1, 1, state=state, reason="stuck")


async def queue(edge: Edge, finished: bool, workcell: str = "laser-1") -> list[Mission]:
    before = predecessor(finished=finished, workcell=workcell)
    await edge.stations.jobs_received(job_list(operation(predecessors=[before])))
    return list(wanted([edge.stations.view("brake-1").queue], STATIONS, T0))


async def test_an_operation_whose_predecessor_finished_elsewhere_is_a_mission(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        assert await queue(edge, finished=True) == [ONE]


@pytest.mark.parametrize(("finished", "workcell"), [(False, "laser-1"), (True, "brake-1"), (True, "saw-9")])
async def test_what_is_not_ready_or_has_no_way_is_none(tmp_path: Path, finished: bool, workcell: str) -> None:
    async with edge_with_stations(tmp_path) as edge:
        assert await queue(edge, finished, workcell) == []


def test_the_lifecycle_has_no_dead_corner() -> None:
    reached = set(MISSION.table.values()) | {MISSION.initial}
    assert reached == set(MissionState)
    with pytest.raises(IllegalTransitionError, match="waiting"):
        ONE.after(MissionEvent.FINISH)


@pytest.mark.parametrize(
    ("state", "order", "after"),
    [
        (MissionState.UNDER_WAY, None, MissionState.WAITING),
        (MissionState.WAITING, None, MissionState.WAITING),
        (MissionState.WAITING, OrderState.ACTIVE, MissionState.UNDER_WAY),
        (MissionState.WAITING, OrderState.REJECTED, MissionState.WAITING),
        (MissionState.WAITING, OrderState.FINISHED, MissionState.DONE),
        (MissionState.UNDER_WAY, OrderState.OFFERED, MissionState.UNDER_WAY),
        (MissionState.UNDER_WAY, OrderState.FINISHED, MissionState.DONE),
        (MissionState.UNDER_WAY, OrderState.CANCELLED, MissionState.FAILED),
        (MissionState.DONE, OrderState.FAILED, MissionState.DONE),
    ],
)
def test_after_a_restart_the_orders_on_disk_say_what_became_of_a_mission(
    state: MissionState, order: OrderState | None, after: MissionState
) -> None:
    orders = [] if order is None else [Order("agv-1", ONE.id, given(order))]
    assert reconciled({ONE.id: replace(ONE, state=state)}, orders)[ONE.id].state is after


async def test_missions_and_orders_survive_and_old_ones_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "KEPT_ENDED", 3)
    done = [replace(ONE, id=f"m{n}", created=T0 + n, state=MissionState.DONE) for n in range(9)]
    order = Order("agv-1", ONE.id, given())
    async with Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        await store.run(lambda db: journal.keep_missions(db, [ONE, *done]))
        await store.run(lambda db: journal.keep_order(db, replace(order, mission="")))
        await store.run(lambda db: journal.keep_order(db, order))
    async with Store(tmp_path / "edge.db", [TRANSPORT]) as store:
        missions, orders = await store.read(journal.load)
    assert list(missions) == [ONE.id, "m6", "m7", "m8"]
    assert orders == {"agv-1": order}


class Hand:
    """A carrier that does what the test says: a trolley that a person pushes."""

    def __init__(self) -> None:
        self.seen: list[Mission] = []
        self.next: list[tuple[Mission, MissionEvent, str]] = []

    async def step(self, waiting: Sequence[Mission], report: Report) -> None:
        self.seen = list(waiting)
        for mission, event, reason in self.next:
            report(mission, event, "trolley", reason)
        self.next = []


async def test_a_mission_that_is_given_up_calls_a_person_once(tmp_path: Path) -> None:
    async with (
        Store(tmp_path / "transport.db", [TRANSPORT]) as store,
        edge_with_stations(tmp_path) as edge,
    ):
        await queue(edge, finished=True)
        hand = Hand()
        made = Transport(
            edge.stations, ["brake-1"], STATIONS, hand, store, edge.hands.clock(), topic="material"
        )
        await made.step()
        assert hand.seen == [ONE]
        missions, _ = await store.read(journal.load)
        assert missions == {ONE.id: ONE}
        hand.next = [(ONE, MissionEvent.TAKE, "")]
        await made.step()
        await made.step()
        assert hand.seen == []
        hand.next = [(ONE, MissionEvent.FAIL, "belt torn")]
        await made.step()
        await made.step()
        (andon,) = edge.stations.view("brake-1").andons
        assert (andon.topic, andon.note) == ("material", "trolley: laser-1 > brake-1 (A-op-1): belt torn")
        missions, _ = await store.read(journal.load)
        assert missions[ONE.id].state is MissionState.FAILED


async def test_what_nobody_wants_any_more_is_dropped(tmp_path: Path) -> None:
    async with (
        Store(tmp_path / "transport.db", [TRANSPORT]) as store,
        edge_with_stations(tmp_path) as edge,
    ):
        await queue(edge, finished=True)
        hand = Hand()
        made = Transport(edge.stations, ["brake-1"], STATIONS, hand, store, edge.hands.clock())
        await made.step()
        await edge.stations.jobs_received(job_list(version=2))
        await made.step()
        assert made.missions[ONE.id].state is MissionState.DROPPED
        assert hand.seen == []


async def test_nothing_is_brought_to_where_somebody_works_with_their_hands(tmp_path: Path) -> None:
    async with (
        Store(tmp_path / "transport.db", [TRANSPORT]) as store,
        edge_with_stations(tmp_path) as edge,
    ):
        await queue(edge, finished=True)
        hand, hands = Hand(), {"brake-1"}
        made = Transport(
            edge.stations, ["brake-1"], STATIONS, hand, store, edge.hands.clock(), lambda cell: cell in hands
        )
        await made.step()
        assert hand.seen == []
        hands.clear()
        await made.step()
        assert hand.seen == [ONE]


async def test_a_handshake_that_stands_still_calls_a_person_once_a_step_with_the_reason(
    tmp_path: Path,
) -> None:
    async with (
        Store(tmp_path / "transport.db", [TRANSPORT]) as store,
        edge_with_stations(tmp_path) as edge,
    ):
        made = Transport(
            edge.stations, ["brake-1"], STATIONS, Hand(), store, edge.hands.clock(), topic="material"
        )
        stuck = Handshake(ONE.id, Kind.DROP, "brake-1", "agv-1", "brake-1", T0)
        reason = late(stuck, Within(), T0 + 601 * MICROSECONDS)
        for _ in range(2):  # a restart between the call and its note on disk says it again
            made.late(stuck, reason)
            await made.step()
        (andon,) = edge.stations.view("brake-1").andons
        assert andon.note == "agv-1: drop at brake-1: the station has not been ready for 600 s"
        docked = replace(stuck, step=Step.DOCKED, since=T0 + 1)
        made.late(docked, "the load has not been sensed")
        await made.step()
        await edge.stations.perform("brake-1", ClearAndon(id="clear-001", actor="K7", andon=andon.id))
        await made.step()
        (second,) = edge.stations.view("brake-1").andons
        assert second.note == "agv-1: the load has not been sensed", "it waited for the first to be cleared"
        made.late(replace(docked, since=T0 + 2), "the load has not been sensed")
        made.holds = lambda _: False
        await edge.stations.perform("brake-1", ClearAndon(id="clear-002", actor="K7", andon=second.id))
        await made.step()
        assert edge.stations.view("brake-1").andons == (), "nobody is called for what has gone on"
