"""A changed configuration in the middle of a command: it waits for it, or leaves it unknown, never lost."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from drivers.modbus.simulator import ModbusServer, _Context
from edge import reconfigure
from edge.agent import Agent
from edge.station.commands import WriteMachine
from protocols.lifecycles import CommandState
from tests.edge.shops import PRESS, Shop, living, shop, until


def press(**tags: dict[str, Any]) -> dict[str, Any]:
    """The press, whose load and limit may be set."""
    changed = copy.deepcopy(PRESS)
    changed["tags"]["load"]["access"] = "read-write"
    changed["tags"]["limit"] = {"address": "holding:20", "type": "uint16", "access": "read-write"}
    changed["tags"] |= tags
    changed["writes"] = {"load": {"min": 0, "max": 100}, "limit": {"min": 0, "max": 100}}
    return changed


class Hesitant(_Context):
    """A machine that does what is written at once and takes its time to say so."""

    def __init__(self, server: ModbusServer) -> None:
        super().__init__(server)
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self.written = 0
        cast("Any", server._server).context = self

    async def async_setValues(self, unit: int, function: int, start: int, values: Any) -> Any:
        done = await super().async_setValues(unit, function, start, values)
        self.written += 1
        self.reached.set()
        await self.go.wait()
        return done


@contextlib.asynccontextmanager
async def hesitant(folder: Path, **options: Any) -> AsyncIterator[tuple[Shop, Hesitant]]:
    """The shop, with such a press."""
    async with contextlib.AsyncExitStack() as stack:
        made = await stack.enter_async_context(shop(folder, watch=False))
        made.write_profile("acme/press", press())
        machine = await made.add(stack, "press-1", "acme/press")
        machine.update({"state": 1, "load": 40})
        made.devices["press-1"]["workcells"] = ["press-1"]
        made.devices["press-1"]["options"] |= {"timeout": 20, "share": False, **options}
        made.write_site()
        slow = Hesitant(machine)
        try:
            yield made, slow
        finally:
            slow.go.set()


def change(made: Shop, agent: Agent) -> None:
    """Another tag: the device's driver is another one."""
    made.write_profile("acme/press", press(speed={"address": "holding:2", "type": "uint16"}))
    agent.reconfiguration.ask()


async def begin(agent: Agent, tag: str = "load", value: int = 55) -> None:
    """Set something; returns once that is on disk."""
    command = WriteMachine(id=f"command-{value}", actor="K7", device="press-1", tag=tag, value=value)
    await agent.stations.perform("press-1", command)


def command(agent: Agent, value: int = 55) -> tuple[CommandState, str]:
    found = agent.execution.control.controls.commands[f"command-{value}"]
    return found.state, found.detail


@pytest.mark.parametrize("sessions", [1, 2])
async def test_a_swap_waits_for_the_command_that_is_on_its_way(tmp_path: Path, sessions: int) -> None:
    async with (
        hesitant(tmp_path, max_sessions=sessions) as (made, machine),
        living(made.setup()) as agent,
    ):
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        before = agent.devices.get("press-1")
        assert before is not None
        driver = before.driver
        await begin(agent)
        await machine.reached.wait()
        change(made, agent)
        await until(lambda: agent.reconfiguration.health.trying == ["press-1"])
        await begin(agent, "limit", 66)  # what comes meanwhile is neither refused nor lost
        await asyncio.sleep(0.5)
        assert command(agent)[0] is CommandState.SENDING
        assert before.driver is driver is not None, "the old driver stays for its command"
        machine.go.set()
        await until(lambda: command(agent)[0] is CommandState.DONE)
        assert command(agent)[1] == "read back 55"
        await until(lambda: agent.devices.get("press-1") is not before)
        await until(lambda: command(agent, 66) == (CommandState.DONE, "read back 66"))
        assert not agent.reconfiguration.health.rejected
        assert machine.written == 2


async def test_a_device_that_is_removed_in_the_middle_of_a_command_waits_for_it(tmp_path: Path) -> None:
    async with hesitant(tmp_path) as (made, machine), living(made.setup()) as agent:
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        await begin(agent)
        await machine.reached.wait()
        del made.devices["press-1"]
        made.write_site()
        agent.reconfiguration.ask()
        await asyncio.sleep(0.5)
        assert agent.devices.get("press-1") is not None
        machine.go.set()
        await until(lambda: agent.devices.get("press-1") is None)
        assert command(agent) == (CommandState.DONE, "read back 55")


@pytest.mark.parametrize("sessions", [1, 2])
async def test_a_command_that_takes_too_long_is_cut_off_unknown_and_read_back_by_the_new_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sessions: int
) -> None:
    monkeypatch.setattr(reconfigure, "COMMAND_WAIT", 0.3)
    async with (
        hesitant(tmp_path, max_sessions=sessions) as (made, machine),
        living(made.setup()) as agent,
    ):
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        before = agent.devices.get("press-1")
        states: list[CommandState] = []
        control = agent.execution.control
        keep = control.on_change

        def seen() -> None:
            states.append(command(agent)[0])
            keep()

        await begin(agent)
        await machine.reached.wait()
        control.on_change = seen
        change(made, agent)
        await until(lambda: command(agent)[0] is CommandState.DONE)
        assert states == [CommandState.UNKNOWN, CommandState.DONE]
        assert command(agent)[1] == "read back 55 afterwards"
        assert agent.devices.get("press-1") is not before
        assert machine.written == 1, "never sent again"
