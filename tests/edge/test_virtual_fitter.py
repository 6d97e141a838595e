"""A virtual fitter does an order as a person would, and operators make room for it and accept the machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from edge.station import commands as asked
from edge.station.lease import receive
from edge.station.refusals import Refusal
from edge.station.station_view import ControlView, LinkView, OrderView, StationView, view
from edge.station.unassigned import Machine
from edge.station.workcell import Surroundings, Workcell
from edge.virtual_fitter import VirtualFitter
from edge.virtual_operator import Button, Deed, Do, Push, VirtualOperator, Wait
from protocols.jobs import MaintenanceOrder, Text
from protocols.lifecycles import LockState
from protocols.states import ItemState, OperationMode
from tests.edge.workcells import PLACE, SECOND, T0, job_list, operation

ORDER = MaintenanceOrder(
    case="c1",
    device="m1",
    workcell=PLACE.id,
    title=Text("Bearings", "轴承"),
    why="it shakes",
    start=T0 + 60 * SECOND,
    end=T0 + 90 * SECOND,
    earliest=T0,
    bound=T0 + 600 * SECOND,
    seconds=30,
)


@dataclass
class Station:
    """A station whose machine waits for maintenance; what is done to it changes it as an edge would."""

    wear: float = 0.6
    seconds: float = 0.0
    machine: ControlView = field(
        default_factory=lambda: ControlView("m1", "M1", True, orders=(OrderView(ORDER),))
    )
    state: Machine = field(default_factory=lambda: Machine("m1", ItemState.NOT_EXECUTING, OperationMode.NONE))
    terminals: int = 0
    did: list[str] = field(default_factory=list)

    def look(self) -> StationView:
        cell = receive(Workcell(PLACE), job_list(operation("op-0")))
        around = Surroundings(T0 + int(self.seconds * SECOND))
        link = LinkView(online=True, cloud=True)
        return view(cell, self.state, link, around, self.terminals, (self.machine,))

    def happens(self, fitter: VirtualFitter, deed: Deed) -> None:
        change: dict[str, Any] = {}
        order = self.machine.orders[0] if self.machine.orders else OrderView(ORDER)
        match deed:
            case Push(button=Button.LOOK):
                fitter.saw("m1", self.wear)
            case Push(button=Button.REPAIR):
                self.wear = 0.0
            case Do(command=asked.StartMaintenance() as command):
                now = T0 + int(self.seconds * SECOND)
                begun = msgspec.structs.replace(order, since=now, by=command.actor)
                change = {"lock": LockState.LOCKED, "owner": command.actor, "orders": (begun,)}
            case Do(command=asked.ReportFinding() as command):
                change = {"orders": (msgspec.structs.replace(order, found=command.found),)}
            case Do(command=asked.ReleaseLock()):
                change = {"lock": LockState.RELEASED}
        self.machine = msgspec.structs.replace(self.machine, **change)
        if not isinstance(deed, Wait):
            what = (
                deed.command.do
                if isinstance(deed, Do)
                else deed.button
                if isinstance(deed, Push)
                else "carry"
            )
            self.did.append(f"{self.seconds:.0f} {what}")


def lived(station: Station, until: float = 120) -> list[str]:
    fitter = VirtualFitter(PLACE.id, 1, "s", hands=True)
    while station.seconds < until:
        deed = fitter.think(station.look(), station.seconds)
        station.happens(fitter, deed)
        station.seconds += deed.seconds if isinstance(deed, Wait) else 0.1
    return station.did


def test_an_order_is_begun_at_its_time_and_the_machine_mended_before_it_is_given_back() -> None:
    station = Station()
    assert [what.split()[1] for what in lived(station)] == [
        *("maintenance-start", "look", "maintenance-found", "repair", "unlock")
    ]
    begun, *_, released = (float(what.split()[0]) for what in station.did)
    assert begun == pytest.approx(60, abs=1.1)
    assert released - begun == pytest.approx(30, abs=2.2)
    assert station.machine.orders[0].found == "worn, exchanged"
    assert station.wear == 0


def test_what_is_not_worn_is_said_so() -> None:
    station = Station(wear=0.001)
    lived(station)
    assert station.machine.orders[0].found == "no wear to be seen"


def test_a_machine_that_failed_does_not_wait_for_its_time() -> None:
    station = Station(state=Machine("m1", ItemState.OUT_OF_SERVICE, OperationMode.PROCESSING, connected=True))
    assert lived(station)[0] == "0 maintenance-start"


def test_nothing_is_touched_where_a_person_sits_or_another_has_the_lock() -> None:
    assert lived(Station(terminals=1)) == []
    other = ControlView("m1", "M1", True, LockState.LOCKED, "K7", "x", orders=(OrderView(ORDER, T0, "K7"),))
    assert lived(Station(machine=other)) == []


def test_after_a_refusal_it_thinks_again_later() -> None:
    station, fitter = Station(seconds=100), VirtualFitter(PLACE.id, 1, "s", hands=True)
    assert isinstance(fitter.think(station.look(), 100), Do)
    fitter.refused(Refusal("unknown-order", order="c1", station=PLACE.id), 100)
    assert isinstance(fitter.think(station.look(), 101), Wait)
    assert isinstance(fitter.think(station.look(), 103), Do)


def test_an_operator_begins_nothing_when_maintenance_is_due_and_accepts_the_machine_afterwards() -> None:
    station, operator = Station(seconds=30), VirtualOperator(PLACE.id, 1, "s")
    for _ in range(400):
        deed = operator.think(station.look(), station.seconds)
        if not isinstance(deed, Wait) or station.seconds > 59:
            break
        station.seconds += deed.seconds
    assert isinstance(deed, Do) and isinstance(deed.command, asked.OpenRun), "before, there is time"

    station, operator = Station(seconds=61), VirtualOperator(PLACE.id, 1, "s")
    for _ in range(50):
        deed = operator.think(station.look(), station.seconds)
        assert isinstance(deed, Wait)
        station.seconds += deed.seconds
    station.machine = msgspec.structs.replace(station.machine, lock=LockState.RELEASED)
    deed = operator.think(station.look(), station.seconds)
    assert isinstance(deed, Do) and isinstance(deed.command, asked.AcceptMachine)
