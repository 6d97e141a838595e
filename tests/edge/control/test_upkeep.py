"""Maintenance orders at the edge: begun, found, broken off, done with the lock, and all of it offline."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.control.controls import Controls, apply
from edge.control.upkeep import receive
from edge.station import commands as asked
from edge.station.refusals import Refusal
from protocols import actions as did
from protocols.actions import Action
from protocols.jobs import JobList, MaintenanceOrder, Text
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import LockState
from protocols.order_window import Declined, Outside
from tests.edge.control.machines import Shop, shop
from tests.edge.edges import Edge, edge_with_stations
from tests.edge.workcells import SECOND, T0, operation

ORDER = MaintenanceOrder(
    "case-1",
    "press-1",
    "brake-1",
    Text("Replace the bearing", "更换轴承"),
    why="vibration is 6 mm/s, normally 2",
    start=T0 + 3600 * SECOND,
    end=T0 + 7200 * SECOND,
    bound=T0 + 86_400 * SECOND,
    seconds=3600,
    steps=(Text("Lock and tag the main switch", "锁定并挂牌主开关"),),
)


def listed(*orders: MaintenanceOrder, version: int = 1) -> JobList:
    return JobList("forming", version, T0, (operation(),), orders)


@contextlib.asynccontextmanager
async def station(folder: Path, machines: Shop) -> AsyncIterator[Edge]:
    async with edge_with_stations(folder, devices={"press-1": ["brake-1"]}, machines=machines) as edge:
        yield edge


async def ask(edge: Edge, kind: type[Any], number: int, *, actor: str = "K7", **fields: Any) -> None:
    await edge.stations.perform("brake-1", kind(id=f"command-{number}", actor=actor, **fields))


@contextlib.contextmanager
def refused(code: str) -> Any:
    with pytest.raises(Refusal) as refusal:
        yield
    assert refusal.value.code == code
    assert "?" not in str(refusal.value), "every word of the sentence is filled"


async def test_begun_it_locks_the_machine_and_ends_when_production_accepts(tmp_path: Path) -> None:
    """A restart in between loses nothing, and nobody needs the network for it."""
    async with shop() as machines:
        async with station(tmp_path, machines) as edge:
            await edge.stations.jobs_received(listed(ORDER))
            await ask(edge, asked.StartMaintenance, 1, case="case-1")
            with refused("order-begun"):
                await ask(edge, asked.StartMaintenance, 2, actor="P2", case="case-1")
            with refused("machine-locked"):
                await ask(edge, asked.OpenRun, 3, operations=("op-1",))
            begun = [action.event for action in await edge.sent_actions()]
            assert begun == [
                did.MaintenanceStarted("case-1", "press-1"),
                did.MachineLocked("press-1", "Replace the bearing"),
            ]
        async with station(tmp_path, machines) as edge:
            (view,) = edge.stations.view("brake-1").machines
            assert (view.lock, view.owner) == (LockState.LOCKED, "K7")
            assert [(o.order.case, o.by) for o in view.orders] == [("case-1", "K7")]
            await ask(edge, asked.ReportFinding, 4, case="case-1", found="inner race pitted")
            with refused("lock-owner"):
                await ask(edge, asked.ReleaseLock, 5, actor="P2", device="press-1")
            await ask(edge, asked.ReleaseLock, 6, device="press-1")
            await ask(edge, asked.AcceptMachine, 7, actor="P2", device="press-1")
            done = (await edge.sent_actions())[-2:]
            assert [action.event for action in done] == [
                did.MachineAccepted("press-1"),
                did.MaintenanceDone("case-1", "press-1"),
            ]
            assert len({action.id for action in done}) == 2
            await edge.stations.jobs_received(listed(ORDER, version=2))  # was under way meanwhile
            assert edge.stations.view("brake-1").machines[0].orders == ()
            await ask(edge, asked.OpenRun, 8, operations=("op-1",))


@pytest.mark.parametrize("renews", [True, False])
async def test_a_machine_is_as_new_when_it_is_done_and_as_old_as_it_was_when_a_sensor_was(
    tmp_path: Path, renews: bool
) -> None:
    repaired: list[str] = []
    async with shop() as machines, station(tmp_path, machines) as edge:
        edge.control.on_repaired = lambda device, _since: repaired.append(device)
        await edge.stations.jobs_received(listed(replace(ORDER, renews=renews)))
        await ask(edge, asked.StartMaintenance, 1, case="case-1")
        await ask(edge, asked.ReleaseLock, 2, device="press-1")
        assert repaired == []
        await ask(edge, asked.AcceptMachine, 3, device="press-1")
    assert repaired == (["press-1"] if renews else [])


async def test_broken_off_the_lock_stays_and_acceptance_finishes_nothing(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        await edge.stations.jobs_received(listed(ORDER))
        with refused("order-not-begun"):
            await ask(edge, asked.BreakOffMaintenance, 1, case="case-1", reason="no bearing")
        await ask(edge, asked.StartMaintenance, 2, case="case-1")
        await ask(edge, asked.BreakOffMaintenance, 3, case="case-1", reason="no bearing")
        assert edge.control.controls.lock("press-1").holds
        assert edge.stations.view("brake-1").machines[0].orders == ()
        await ask(edge, asked.ReleaseLock, 4, device="press-1")
        await ask(edge, asked.AcceptMachine, 5, device="press-1")
        events = [type(action.event) for action in await edge.sent_actions()]
        assert did.MaintenanceDone not in events
        await edge.stations.jobs_received(listed(replace(ORDER, revision=3), version=2))
        assert len(edge.stations.view("brake-1").machines[0].orders) == 1


async def test_refused_or_kept_at_the_station(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        other = replace(ORDER, case="case-2", start=0, end=0)
        await edge.stations.jobs_received(listed(ORDER, other))
        await ask(edge, asked.KeepMaintenance, 1, case="case-1")
        with refused("order-kept"):
            await ask(edge, asked.KeepMaintenance, 2, case="case-1")
        with refused("order-not-planned"):
            await ask(edge, asked.KeepMaintenance, 3, case="case-2")
        await ask(edge, asked.RefuseMaintenance, 4, case="case-2", reason="rush order first")
        with refused("unknown-order"):
            await ask(edge, asked.StartMaintenance, 5, case="case-2")
        with refused("unknown-order"):
            await ask(edge, asked.ReportFinding, 6, case="case-9", found="x")
        assert [action.event for action in await edge.sent_actions()] == [
            did.MaintenanceKept("case-1", "press-1", ORDER.start),
            did.MaintenanceRefused("case-2", "press-1", "rush order first"),
        ]


async def test_moved_at_the_station_within_its_window(tmp_path: Path) -> None:
    """With the limit told back; the station shows it at its new time before the service answers."""
    async with shop() as machines, station(tmp_path, machines) as edge:
        now = edge.stations.clock.now()
        order = replace(ORDER, earliest=now + 3600 * SECOND, bound=now + 86_400 * SECOND)
        await edge.stations.jobs_received(listed(order))
        late = now + 86_400 * SECOND
        for number, (start, code) in enumerate(
            [(now - 120 * SECOND, "order-past"), (now + 60 * SECOND, "order-parts"), (late, "order-bound")]
        ):
            with refused(code):
                await ask(edge, asked.MoveMaintenance, number, case="case-1", start=start, reason="night")
        start = now + 7200 * SECOND
        await ask(edge, asked.MoveMaintenance, 8, case="case-1", start=start, reason="night shift")
        (view,) = edge.stations.view("brake-1").machines[0].orders
        assert (view.order.start, view.order.end, view.order.fixed) == (start, start + 3600 * SECOND, True)
        assert [action.event for action in await edge.sent_actions()] == [
            did.MaintenanceMoved("case-1", "press-1", start, "night shift")
        ]
        answered = replace(order, declined=Declined(start, Outside.BOUND, now, now), revision=2)
        await edge.stations.jobs_received(listed(answered, version=2))
        assert edge.stations.view("brake-1").machines[0].orders[0].order == answered


async def test_a_lock_of_somebody_else_stands_against_it(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        await edge.stations.jobs_received(listed(ORDER))
        await ask(edge, asked.LockMachine, 1, actor="P2", device="press-1", reason="tool change")
        with refused("machine-locked"):
            await ask(edge, asked.StartMaintenance, 2, case="case-1")
        await ask(edge, asked.StartMaintenance, 3, actor="P2", case="case-1")
        events = [action.event for action in await edge.sent_actions()]
        assert events[1:] == [did.MaintenanceStarted("case-1", "press-1")]


FACTS = st.sampled_from(
    [
        did.MaintenanceStarted("case-1", "press-1"),
        did.MaintenanceFound("case-1", "press-1", "dry"),
        did.MaintenanceBrokenOff("case-1", "press-1", "no part"),
        did.MaintenanceDone("case-1", "press-1"),
        did.MaintenanceRefused("case-1", "press-1", "later"),
        did.MaintenanceKept("case-1", "press-1", T0),
        did.MaintenanceMoved("case-1", "press-1", T0, "night shift"),
        did.MachineLocked("press-1", "x"),
        did.LockReleased("press-1"),
        did.MachineAccepted("press-1"),
    ]
)


@given(st.lists(FACTS, max_size=12), st.integers(0, 12))
def test_what_was_done_gives_the_same_state_again(events: list[did.Event], lists_at: int) -> None:
    """Whatever the order: a case is never open and in work at once, and one that is done never comes back."""

    def whole() -> Controls:
        controls = replace(Controls(), upkeep=receive(Controls().upkeep, listed(ORDER)))
        for number, event in enumerate(events):
            if number == lists_at:
                controls = replace(controls, upkeep=receive(controls.upkeep, listed(ORDER, version=2)))
            with contextlib.suppress(IllegalTransitionError):
                controls = apply(controls, Action(f"a{number}", T0, "brake-1", "K7", event))
        return controls

    after = whole()
    assert after == whole()
    if "case-1" in after.upkeep.begun:
        assert after.upkeep.open_order("case-1") is None
    if events and events[-1] == did.MaintenanceDone("case-1", "press-1"):
        assert after.upkeep.of("press-1") == ()
