"""Alarms of a server that this project did not write: node-opcua's alarms and conditions (OPC 10000-9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.object_ids import ObjectIds

from drivers.driver import Alarm
from drivers.opcua.driver import OPCUA, OpcuaDriver
from drivers.opcua.profile import OpcuaProfile
from tests.system.foreign_programs import NODE_OPCUA, node
from tests.system.processes import Process, quiet_port, until

pytestmark = [pytest.mark.system, pytest.mark.needs("npm"), pytest.mark.timeout(600)]

URI = "urn:foreign:press"
PROFILE = OpcuaProfile.model_validate(
    {
        "vendor": "Foreign",
        "model": "Press",
        "protocol": "opcua",
        "tags": {"temperature": {"address": f"nsu={URI};s=Press.Temperature", "type": "float64"}},
    }
)


class Person:
    """Somebody at the machine's own panel: heats it and acknowledges."""

    def __init__(self, client: Client, number: int) -> None:
        self._client = client
        self._temperature = client.get_node(ua.NodeId("Press.Temperature", number))  # type: ignore[arg-type]
        self._hot = client.get_node(ua.NodeId("Press.Hot", number))  # type: ignore[arg-type]

    async def heat(self, degrees: float) -> None:
        await self._temperature.write_value(ua.DataValue(ua.Variant(degrees, ua.VariantType.Double)))

    async def acknowledge(self) -> None:
        event = await (await self._hot.get_child("0:EventId")).read_value()
        method = ua.NodeId(ua.Int32(ObjectIds.AcknowledgeableConditionType_Acknowledge))
        await self._hot.call_method(method, event, ua.LocalizedText("seen"))


class Told:
    """Every list of alarms that was delivered."""

    def __init__(self) -> None:
        self.lists: list[list[Alarm]] = []

    async def until(self, active: bool, acknowledged: bool) -> Alarm:
        """The newest alarm, once it is so."""

        async def so() -> Alarm | None:
            newest = next((each[-1] for each in reversed(self.lists) if each), None)
            fits = newest is not None and (newest.active, newest.acknowledged) == (active, acknowledged)
            return newest if fits else None

        found = await until(so, f"active {active}, acknowledged {acknowledged}; told: {self.lists}", 30)
        assert found is not None
        return found


@asynccontextmanager
async def hearing(driver: OpcuaDriver) -> AsyncIterator[Told]:
    """What a connected driver tells of alarms."""
    told = Told()
    async with driver:
        task = asyncio.create_task(driver.events(told.lists.append))
        try:

            async def first() -> bool:
                assert not task.done(), task
                return bool(told.lists)

            await until(first, "the first list", 30)
            yield told
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_an_alarm_comes_is_acknowledged_and_goes(tmp_path: Path) -> None:
    port = quiet_port()
    server = Process("press", node(NODE_OPCUA, "alarms.js", str(port), tmp_path), tmp_path / "press.log")
    server.start()
    try:

        async def is_ready() -> bool:
            server.check()
            return "ready" in server.tail()

        await until(is_ready, "the press is ready", 60)
        address = f"opc.tcp://127.0.0.1:{port}"

        def driver() -> OpcuaDriver:
            made = OPCUA.create(address, PROFILE, {"security": "none", "timeout": 20})
            assert isinstance(made, OpcuaDriver)
            return made

        async with Client(address, timeout=20) as client:
            person = Person(client, await client.get_namespace_index(URI))
            async with hearing(driver()) as told:
                assert told.lists == [[]], "nothing stands"
                await person.heat(90)
                hot = await told.until(active=True, acknowledged=False)
                assert hot.id == f"nsu={URI};s=Press.Hot"
                assert "Temperature" in hot.source
                assert hot.text
                assert 1 <= hot.severity <= 1000
                assert hot.time is not None
            async with hearing(driver()) as told:
                assert [(each.id, each.active, each.acknowledged) for each in told.lists[0]] == [
                    (hot.id, True, False)
                ], "what stood before we came is told first"
                await person.acknowledge()
                assert (await told.until(active=True, acknowledged=True)).id == hot.id
                await person.heat(20)
                gone = await told.until(active=False, acknowledged=True)
                assert gone.id == hot.id
            async with hearing(driver()) as told:
                assert told.lists == [[]], "and it stands no more"
    finally:
        await server.stop()
