"""Locks and commands at a station: who may what, what is on disk when, and who tries to get round it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus.driver import ModbusDriver, ModbusOptions
from drivers.profile.profile import Tag
from edge.control.controls import Controls
from edge.control.execution import Execution
from edge.station import commands as asked
from edge.station.refusals import Refusal
from protocols import actions as did
from protocols.lifecycles import CommandState, LockState
from protocols.values import Value
from tests.edge.control.machines import Shop, shop
from tests.edge.edges import Edge, edge_with_stations
from tests.edge.workcells import job_list, operation

DEVICES = {"press-1": ["brake-1"]}


@contextlib.asynccontextmanager
async def station(folder: Path, machines: Shop, *, sends: bool = True) -> AsyncIterator[Edge]:
    """A station with its press; ``sends``: whether commands leave."""
    async with edge_with_stations(folder, devices=DEVICES, machines=machines) as edge:
        running = None
        if sends:
            execution = Execution(edge.control, edge.stations, machines, edge.stations.clock)
            running = asyncio.create_task(execution.run())
        try:
            yield edge
        finally:
            if running is not None:
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running


async def ask(edge: Edge, kind: type[Any], number: int, *, actor: str = "K7", **fields: Any) -> None:
    await edge.stations.perform("brake-1", kind(id=f"command-{number}", actor=actor, **fields))


async def ended(edge: Edge, number: int) -> tuple[CommandState, str]:
    """How a command ended, once it has."""
    async with asyncio.timeout(10):
        while True:
            change = edge.stations.next_change("brake-1")
            found = edge.control.controls.commands[f"command-{number}"]
            if found.state not in (CommandState.INTENDED, CommandState.SENDING):
                return found.state, found.detail
            await change.wait()


@contextlib.contextmanager
def refused(code: str) -> Any:
    with pytest.raises(Refusal) as refusal:
        yield
    assert refusal.value.code == code
    assert "?" not in str(refusal.value), "every word of the sentence is filled"


# --- locks ----------------------------------------------------------------------------------------------


async def test_a_lock_blocks_runs_and_writes_and_survives_a_restart(tmp_path: Path) -> None:
    async with shop() as machines:
        async with station(tmp_path, machines) as edge:
            await edge.stations.jobs_received(job_list(operation()))
            await ask(edge, asked.LockMachine, 1, device="press-1", reason="tool change")
            assert machines.refused == ["press-1"]
        async with station(tmp_path, machines) as edge:
            (view,) = edge.stations.view("brake-1").machines
            assert (view.lock, view.owner, view.reason) == (LockState.LOCKED, "K7", "tool change")
            assert "locked by K7: tool change" in edge.control.refuses("press-1")
            with refused("machine-locked"):
                await ask(edge, asked.OpenRun, 2, operations=("op-1",))
            with refused("machine-locked"):
                await ask(edge, asked.WriteMachine, 3, device="press-1", tag="setpoint", value=12.5)
            assert machines.press.written == []


async def test_only_its_owner_releases_a_lock_and_production_accepts(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        await ask(edge, asked.LockMachine, 1, device="press-1", reason="tool change")
        with refused("lock-owner"):
            await ask(edge, asked.ReleaseLock, 2, actor="P2", device="press-1")
        with refused("transition"):
            await ask(edge, asked.AcceptMachine, 3, actor="P2", device="press-1")
        with refused("transition"):
            await ask(edge, asked.LockMachine, 4, actor="P2", device="press-1", reason="mine now")
        await ask(edge, asked.ReleaseLock, 5, device="press-1")
        with refused("machine-released"):
            await ask(edge, asked.OpenRun, 6, operations=("op-1",))
        await ask(edge, asked.AcceptMachine, 7, actor="P2", device="press-1")
        await ask(edge, asked.OpenRun, 8, operations=("op-1",))
        events = [type(action.event) for action in await edge.sent_actions()]
        assert events == [did.MachineLocked, did.LockReleased, did.MachineAccepted, did.RunOpened]


@pytest.mark.parametrize("second", ["", "P2", "p2", "K7"])
async def test_two_others_release_an_absent_owners_lock_and_not_one_twice(
    tmp_path: Path, second: str
) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        await ask(edge, asked.LockMachine, 1, device="press-1", reason="tool change")
        with refused("lock-owner"):
            await ask(edge, asked.ReleaseLock, 2, actor="P2", device="press-1", second=second)
        await ask(edge, asked.ReleaseLock, 3, actor="P2", device="press-1", second="M3")
        released = (await edge.sent_actions())[-1]
        assert (released.actor, released.event) == ("P2", did.LockReleased("press-1", "M3"))


async def test_undo_takes_no_lock_back(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        await ask(edge, asked.LockMachine, 1, device="press-1", reason="tool change")
        with refused("undo-nothing"):
            await ask(edge, asked.Undo, 2, command="command-1")
        assert edge.control.controls.lock("press-1").holds


async def test_a_run_in_hand_may_end_under_a_lock_but_not_go_on(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        await ask(edge, asked.OpenRun, 1, operations=("op-1",))
        await ask(edge, asked.LockMachine, 2, device="press-1", reason="jam")
        await ask(edge, asked.PauseRun, 3, run="command-1")
        with refused("machine-locked"):
            await ask(edge, asked.ResumeRun, 4, run="command-1")
        await ask(edge, asked.CompleteRun, 5, run="command-1")


async def test_a_machine_of_another_station_is_none_of_ours(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        for number, device in enumerate(("laser-1", "press-2"), 1):
            with refused("not-here"):
                await ask(edge, asked.LockMachine, number, device=device, reason="not mine")


# --- commands -------------------------------------------------------------------------------------------


async def test_a_write_is_journalled_step_by_step_and_read_back(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        await ask(edge, asked.WriteMachine, 1, device="press-1", tag="setpoint", value=12.5)
        assert await ended(edge, 1) == (CommandState.DONE, "read back 12.5")
        assert machines.press.written == [("setpoint", 12.5)]
        intended, done = (action.event for action in await edge.sent_actions())
        assert isinstance(intended, did.MachineCommanded)
        assert (intended.target, intended.value, intended.effect) == ("setpoint", "12.5", "parameter")
        assert done == did.MachineCommandEnded("command-1", "press-1", "done", "read back 12.5")


async def test_the_same_command_again_is_not_sent_again(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        for _ in range(3):
            await ask(edge, asked.WriteMachine, 1, device="press-1", tag="setpoint", value=12.5)
            await ended(edge, 1)
        assert machines.press.written == [("setpoint", 12.5)]


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"tag": "secret", "value": 1}, "not-writable"),
    ({"tag": "state", "value": 3}, "not-writable"),
    ({"tag": "nonsense", "value": 3}, "not-writable"),
    ({"tag": "setpoint", "value": 101}, "not-allowed"),
    ({"tag": "setpoint", "value": "many"}, "not-allowed"),
    ({"tag": "start", "value": False}, "not-allowed"),
    ({"tag": "purge", "value": True}, "two-people"),
    ({"tag": "purge", "value": True, "second": "K7"}, "two-people"),
    ({"tag": "purge", "value": True, "second": "k7"}, "two-people"),
]


@pytest.mark.parametrize(("fields", "code"), REFUSALS)
async def test_what_is_not_allowed_is_refused_before_it_is_anywhere(
    tmp_path: Path, fields: dict[str, Any], code: str
) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        with refused(code):
            await ask(edge, asked.WriteMachine, 1, device="press-1", **fields)
        assert await edge.sent_actions() == []
        assert edge.control.controls == Controls()
        assert machines.press.written == []


async def test_a_start_needs_the_machines_own_word_at_that_moment(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        machines.press.set("remote", False)
        await ask(edge, asked.WriteMachine, 1, device="press-1", tag="start", value=True)
        state, detail = await ended(edge, 1)
        assert state is CommandState.REFUSED
        assert "remote" in detail
        assert machines.press.written == []
        machines.press.set("remote", True)
        await ask(edge, asked.WriteMachine, 2, device="press-1", tag="start", value=True)
        assert (await ended(edge, 2))[0] is CommandState.DONE


async def test_a_precondition_on_the_machines_state_holds(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        machines.press.set("state", 3)
        await ask(edge, asked.WriteMachine, 1, device="press-1", tag="setpoint", value=5)
        state, detail = await ended(edge, 1)
        assert (state, machines.press.written) == (CommandState.REFUSED, [])
        assert "executing" in detail


async def test_two_people_do_what_needs_two(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        await ask(edge, asked.WriteMachine, 1, device="press-1", tag="purge", value=True, second="M3")
        assert (await ended(edge, 1))[0] is CommandState.DONE
        first = (await edge.sent_actions())[0]
        assert isinstance(first.event, did.MachineCommanded)
        assert (first.actor, first.event.second) == ("K7", "M3")


async def test_a_machine_that_is_away_or_of_a_foreign_firmware_is_not_written_to(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        driver, machines.connected = machines.connected, None
        with refused("machine-away"):
            await ask(edge, asked.WriteMachine, 1, device="press-1", tag="setpoint", value=5)
        machines.connected, machines.foreign = driver, "9.9"
        with refused("firmware-pending"):
            await ask(edge, asked.WriteMachine, 2, device="press-1", tag="setpoint", value=5)
        with refused("firmware-other"):
            await ask(edge, asked.AcceptFirmware, 3, device="press-1", firmware="1.0")
        await ask(edge, asked.AcceptFirmware, 4, device="press-1", firmware="9.9")
        assert edge.control.accepted("press-1") == ("9.9",)
    async with shop() as machines, station(tmp_path, machines) as edge:
        assert edge.control.accepted("press-1") == ("9.9",)


async def test_a_lock_set_while_a_command_waits_stops_it(tmp_path: Path) -> None:
    async with shop() as machines, station(tmp_path, machines, sends=False) as edge:
        await ask(edge, asked.WriteMachine, 1, device="press-1", tag="setpoint", value=5)
        await ask(edge, asked.LockMachine, 2, device="press-1", reason="stop")
        execution = Execution(edge.control, edge.stations, machines, edge.stations.clock)
        await execution._one(edge.control.waiting()[0])
        state, detail = await ended(edge, 1)
        assert (state, machines.press.written) == (CommandState.REFUSED, [])
        assert "locked by K7: stop" in detail


async def test_what_was_not_sent_in_time_is_not_sent(tmp_path: Path) -> None:
    async with shop() as machines:
        async with station(tmp_path, machines, sends=False) as edge:
            await ask(edge, asked.WriteMachine, 1, device="press-1", tag="setpoint", value=5, seconds=5)
            edge.hands.seconds += 6
            execution = Execution(edge.control, edge.stations, machines, edge.stations.clock)
            await execution._one(edge.control.waiting()[0])
            assert edge.control.controls.commands["command-1"].state is CommandState.EXPIRED
        assert machines.press.written == []


# --- an edge that goes down in between ------------------------------------------------------------------


async def test_what_was_intended_before_a_restart_expires(tmp_path: Path) -> None:
    async with shop() as machines:
        async with station(tmp_path, machines, sends=False) as edge:
            await ask(edge, asked.WriteMachine, 1, device="press-1", tag="setpoint", value=5)
        async with station(tmp_path, machines) as edge:
            assert (await ended(edge, 1))[0] is CommandState.EXPIRED
        assert machines.press.written == []


async def _sending(folder: Path, machines: Shop, **fields: Any) -> None:
    """A command that was about to leave when the edge went down."""
    async with station(folder, machines, sends=False) as edge:
        await ask(edge, asked.WriteMachine, 1, device="press-1", **fields)
        await edge.stations.commit_control(edge.control.send("command-1"))


async def test_what_was_being_sent_is_unknown_and_never_sent_again(tmp_path: Path) -> None:
    async with shop() as machines:
        await _sending(tmp_path, machines, tag="start", value=True)
        machines.press.set("start", True)  # it reads as asked: of a start that proves nothing
        async with station(tmp_path, machines) as edge:
            assert (await ended(edge, 1))[0] is CommandState.UNKNOWN
            with refused("command-open"):
                await ask(edge, asked.WriteMachine, 2, device="press-1", tag="start", value=True)
            await ask(edge, asked.SettleCommand, 3, actor="P2", command="command-1", took_effect=False)
            assert await ended(edge, 1) == (CommandState.FAILED, "P2 looked")
            with refused("command-settled"):
                await ask(edge, asked.SettleCommand, 4, command="command-1", took_effect=True)
        assert machines.press.written == []


async def test_a_parameter_that_reads_as_asked_has_taken_effect(tmp_path: Path) -> None:
    async with shop() as machines:
        await _sending(tmp_path, machines, tag="setpoint", value=7.5)
        machines.press.set("setpoint", 7.5)
        async with station(tmp_path, machines) as edge:
            await _until(edge, lambda: edge.control.controls.commands["command-1"].state is CommandState.DONE)
        assert machines.press.written == []


async def _until(edge: Edge, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            change = edge.stations.next_change("brake-1")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await change.wait()


# --- somebody who tries to get round it -----------------------------------------------------------------


async def test_a_job_list_for_a_locked_machine_starts_nothing(tmp_path: Path) -> None:
    """The planner may send what it likes: the run is the station's, and the station refuses."""
    async with shop() as machines, station(tmp_path, machines) as edge:
        await ask(edge, asked.LockMachine, 1, device="press-1", reason="repair")
        await edge.stations.jobs_received(job_list(operation(), version=9))
        with refused("machine-locked"):
            await ask(edge, asked.OpenRun, 2, operations=("op-1",))


async def test_a_neighbours_actions_release_no_lock(tmp_path: Path) -> None:
    """Who can publish on a neighbour's lane can forge actions; none of them moves a lock or a machine."""
    async with shop() as machines, station(tmp_path, machines) as edge:
        await ask(edge, asked.LockMachine, 1, device="press-1", reason="repair")
        now = edge.stations.clock.now()
        forged: list[did.Event] = [
            did.LockReleased("press-1"),
            did.MachineAccepted("press-1"),
            did.FirmwareAccepted("press-1", "6.6"),
            did.MachineCommanded("forged-1", "press-1", "write", "setpoint", "99", "parameter", now + 10**9),
        ]
        actions = [did.Action(f"f-{n}", now, "brake-1", "K7", event) for n, event in enumerate(forged)]
        await edge.stations.neighbour_actions("other", actions)
        assert edge.control.controls.lock("press-1").state is LockState.LOCKED
        assert edge.control.accepted("press-1") == ()
        assert edge.control.waiting() == []
        assert machines.press.written == []


class Closing(ModbusDriver):
    """A driver whose connection is closed by somebody else while it sends, as asyncua's and others' are: what
    it waits for is cancelled."""

    async def send(self, path: str, tag: Tag, value: Value) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(answer.cancel)
        await answer


async def test_a_command_whose_connection_is_closed_under_it_is_unknown_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    async with shop() as machines, station(tmp_path, machines) as edge:
        driver = machines.connected
        assert driver is not None
        async with Closing(driver.address, driver.profile, ModbusOptions()) as closing:
            machines.connected = closing
            await ask(edge, asked.WriteMachine, 1, device="press-1", tag="start", value=True)
            assert await ended(edge, 1) == (
                CommandState.UNKNOWN,
                "the connection was closed while it was sent",
            )
        machines.connected = driver
        await ask(edge, asked.WriteMachine, 2, device="press-1", tag="setpoint", value=5)
        assert (await ended(edge, 2))[0] is CommandState.DONE


async def test_nothing_begins_at_a_device_that_is_paused_and_all_goes_on_afterwards(tmp_path: Path) -> None:
    async with shop() as machines, edge_with_stations(tmp_path, devices=DEVICES, machines=machines) as edge:
        execution = Execution(edge.control, edge.stations, machines, edge.stations.clock)
        running = asyncio.create_task(execution.run())
        async with execution.paused("press-1", 5) as ended_before:
            assert ended_before
            async with execution.paused("press-1", 5):
                await ask(edge, asked.WriteMachine, 1, device="press-1", tag="setpoint", value=5)
            await asyncio.sleep(0.2)
            assert edge.control.controls.commands["command-1"].state is CommandState.INTENDED
        assert (await ended(edge, 1))[0] is CommandState.DONE
        running.cancel()
        await asyncio.wait([running])
