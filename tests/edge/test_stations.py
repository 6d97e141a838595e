"""What a person did is on disk, in the outbox and in the state, together or not at all."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from drivers.counting import Count
from edge.outbox.store import StoreLimits
from edge.station import commands as asked
from edge.station.refusals import Refusal
from edge.station.stations import UnknownStationError
from protocols import actions as did
from protocols import states
from protocols.jobs import ReleaseRequest
from protocols.lifecycles import OperationState, RunState
from protocols.states import ItemState, OperationMode
from tests.edge.edges import Edge, Hands, edge_with_stations
from tests.edge.workcells import PLACE, SECOND, T0, job_list, operation, predecessor

OPEN = asked.OpenRun(id="open-0001", actor="K7", operations=("op-1",))
ONE = asked.Booking(operation="op-1", good=Decimal(1))
BOOK = asked.Book(id="book-0001", actor="K7", run="open-0001", booking=ONE)


async def test_an_accepted_action_is_in_the_outbox_and_survives_a_restart(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        await edge.stations.perform("brake-1", OPEN)
        receipt = await edge.stations.perform("brake-1", BOOK)
        assert receipt.actions == ("book-0001",)
        assert [action.id for action in await edge.sent_actions()] == ["open-0001", "book-0001"]
        before = edge.stations.view("brake-1")
    async with edge_with_stations(tmp_path) as edge:
        after = edge.stations.view("brake-1")
        assert after.runs == before.runs
        assert after.queue == before.queue
        assert after.runs[0].booked == 1
        assert after.jobs_version == 1


async def test_the_same_command_again_gives_the_same_answer_without_effect(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        first = await edge.stations.perform("brake-1", OPEN)
        again = await edge.stations.perform("brake-1", OPEN)
        assert (again.actions, again.ts, again.repeated) == (first.actions, first.ts, True)
        other = OPEN.model_copy(update={"operations": ("op-2",)})
        with pytest.raises(Refusal, match="used for something else"):
            await edge.stations.perform("brake-1", other)
        assert len(await edge.sent_actions()) == 1
    async with edge_with_stations(tmp_path) as edge:
        assert (await edge.stations.perform("brake-1", OPEN)).repeated


async def test_a_full_disk_refuses_and_changes_nothing(tmp_path: Path) -> None:
    limits = StoreLimits(max_bytes=300 << 10, reserve=0, ballast=0)
    async with edge_with_stations(tmp_path, limits=limits) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        note = "燃" * 500
        accepted = 0
        with pytest.raises(Refusal) as full:  # noqa: PT012 - how many fit is not known beforehand
            for n in range(2000):
                command = asked.WriteShiftNote(id=f"note-{n:05}", actor="K7", note=f"{n}{note[:490]}")
                await edge.stations.perform("brake-1", command)
                accepted += 1
        assert full.value.code == "disk-full"
        assert "outbox.max_bytes" in str(full.value)
        assert len(await edge.sent_actions()) == accepted > 0
        assert edge.stations.view("brake-1").notes[-1].note.startswith(f"{accepted - 1}燃")


async def test_a_job_list_is_on_disk_before_it_is_reported(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        assert await edge.stations.jobs_received(job_list(operation(), version=3))
        assert not await edge.stations.jobs_received(job_list(version=3))
        assert await edge.sent_states() == [states.JobsApplied(T0, 3)]


async def test_a_release_request_is_answered_once(tmp_path: Path) -> None:
    request = ReleaseRequest("r-1", ("op-1", "op-2"), "rush order")
    async with edge_with_stations(tmp_path) as edge:
        await edge.stations.jobs_received(job_list(operation("op-1"), operation("op-2")))
        await edge.stations.perform("brake-1", OPEN)
        await edge.stations.release_requested(request)
        await edge.stations.release_requested(request)
        events = [action.event for action in await edge.sent_actions()]
        assert events[1:] == [did.LeaseReleased("r-1", ("op-2",)), did.LeaseKept("r-1", ("op-1",))]
    async with edge_with_stations(tmp_path) as edge:
        assert [entry.operation.id for entry in edge.stations.view("brake-1").queue] == []


def _finish(run: str, *operations: str) -> did.Action:
    return did.Action(f"a-{run}", T0, "laser-1", "K1", did.RunCompleted(run, operations))


async def test_a_neighbour_that_finishes_a_predecessor_makes_the_operation_ready(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        await edge.stations.jobs_received(job_list(operation(predecessors=[predecessor()])))
        with pytest.raises(Refusal, match="waits for Cut panels"):
            await edge.stations.perform("brake-1", OPEN)
        await edge.stations.neighbour_actions("other", [_finish("run-9", "op-0")])
    async with edge_with_stations(tmp_path) as edge:
        assert edge.stations.view("brake-1").queue[0].waits_for == ()
        reopened = did.Action("a-10", T0, "laser-1", "K1", did.RunReopened("run-9"))
        await edge.stations.neighbour_actions("other", [reopened])
        with pytest.raises(Refusal, match="waits for Cut panels"):
            await edge.stations.perform("brake-1", OPEN)


async def test_finishing_here_makes_the_next_station_of_the_same_edge_ready(tmp_path: Path) -> None:
    weld = replace(PLACE, id="weld-1")
    after = predecessor("op-1", edge="machining", workcell="brake-1")
    async with edge_with_stations(tmp_path, places=(PLACE, weld)) as edge:
        await edge.stations.jobs_received(
            job_list(operation(quantity=1), operation("op-2", workcell="weld-1", predecessors=[after]))
        )
        assert edge.stations.view("weld-1").queue[0].waits_for == (after,)
        await edge.stations.perform("brake-1", OPEN)
        changed = edge.stations.next_change("weld-1")
        done = asked.CompleteRun(id="done-0001", actor="K7", run="open-0001", bookings=(ONE,))
        await edge.stations.perform("brake-1", done)
        assert changed.is_set()
        assert edge.stations.view("weld-1").queue[0].waits_for == ()
        assert edge.stations.view("brake-1").queue == ()


def _machine(state: ItemState, mode: OperationMode = OperationMode.PROCESSING, at: float = 0) -> states.Event:
    return states.MachineStateChanged(T0 + int(at * SECOND), "press-1", state, mode)


async def test_the_machine_says_what_the_station_does(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path, devices={"press-1": ["brake-1"]}) as edge:
        shapes = [str(edge.stations.view("brake-1").shape)]
        for events in (
            [_machine(ItemState.EXECUTING)],
            [_machine(ItemState.EXECUTING, OperationMode.SETUP)],
            [_machine(ItemState.NOT_EXECUTING)],
            [states.StopOpened(T0, "stop-1", "press-1", "brake-1", "door open")],
            [_machine(ItemState.OUT_OF_SERVICE)],
            [states.DeviceHeartbeat(T0, "press-1", connected=False)],
        ):
            await edge.stations.states_reported(events)
            shapes.append(str(edge.stations.view("brake-1").shape))
        assert shapes == ["no-data", "running", "setup", "idle", "stopped", "fault", "no-data"]


async def test_a_stop_gets_its_reason_later(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        await edge.stations.states_reported([states.StopOpened(T0, "stop-1", "press-1", "brake-1")])
        await edge.stations.states_reported([states.StopClosed(T0 + SECOND, "stop-1")])
    async with edge_with_stations(tmp_path) as edge:
        assert [stop.id for stop in edge.stations.view("brake-1").stops] == ["stop-1"]
        why = asked.GiveStopReason(id="reason-01", actor="K7", stop="stop-1", reason="tool")
        await edge.stations.perform("brake-1", why)
        assert edge.stations.view("brake-1").stops == ()


async def test_work_nobody_booked_opens_and_closes_an_unassigned_run(tmp_path: Path) -> None:
    hands = Hands()
    async with edge_with_stations(tmp_path, devices={"press-1": ["brake-1"]}, hands=hands) as edge:
        await edge.stations.states_reported([_machine(ItemState.EXECUTING)])
        edge.stations.counted("press-1", Count(100, 100))
        hands.seconds = 11
        await edge.stations.watch()
        await edge.stations.watch()
        edge.stations.counted("press-1", Count(103, 103))
        assert edge.stations.view("brake-1").unassigned is not None
        await edge.stations.states_reported([_machine(ItemState.NOT_EXECUTING, at=12)])
        hands.seconds = 30
        await edge.stations.watch()
        opened, closed = [action.event for action in await edge.sent_actions()]
        assert isinstance(opened, did.UnassignedOpened)
        assert closed == did.UnassignedClosed(opened.run, 3)
        assert edge.stations.view("brake-1").unassigned is None


async def test_the_counter_proposes_and_the_difference_is_shown(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path, devices={"press-1": ["brake-1"]}) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        edge.stations.counted("press-1", Count(100, 100))
        await edge.stations.perform("brake-1", OPEN)
        edge.stations.counted("press-1", Count(103, 103))
        await edge.stations.perform("brake-1", BOOK)
        (run,) = edge.stations.view("brake-1").runs
        assert run.machine_parts == 3
        assert run.booked == 1


async def test_an_unknown_station_names_the_known_ones(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        with pytest.raises(UnknownStationError, match='no station "brake-9": it serves brake-1'):
            await edge.stations.perform("brake-9", OPEN)


async def test_the_last_action_and_its_undo_are_on_the_snapshot(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        await _booked(edge)
        last = edge.stations.view("brake-1").last
        assert last is not None
        assert (last.what, last.parameters["good"]) == ("run.booked", "1")
        assert last.undo_until == T0 + 20 * SECOND
        await edge.stations.perform("brake-1", asked.Undo(id="undo-0001", actor="K7", command=last.command))
        after = edge.stations.view("brake-1")
        assert after.last is not None
        assert (after.last.what, after.last.undo_until) == ("undone", 0)
        assert after.runs[0].booked == 0
        assert after.runs[0].state is RunState.RUNNING
        assert after.runs[0].parts[0].view.state is OperationState.RUNNING


async def _booked(edge: Edge) -> None:
    await edge.stations.jobs_received(job_list(operation()))
    await edge.stations.perform("brake-1", OPEN)
    await edge.stations.perform("brake-1", BOOK)


async def test_the_counter_is_known_after_a_restart_of_the_edge(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path, devices={"press-1": ["brake-1"]}) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        edge.stations.counted("press-1", Count(4, 65_540, at=T0))
        await edge.stations.perform("brake-1", OPEN)
    async with edge_with_stations(tmp_path, devices={"press-1": ["brake-1"]}) as edge:
        assert edge.stations.count_of("press-1") == Count(4, 65_540, at=T0)
        assert edge.stations.count_of("press-2") is None
        edge.stations.counted("press-1", Count(6, 65_542, at=T0))
        (run,) = edge.stations.view("brake-1").runs
        assert run.machine_parts == 2
