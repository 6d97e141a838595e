"""A machine that comes back with another firmware: told, shown at its station, refused until accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from edge.agent import Agent
from edge.station import commands as asked
from protocols.states import DeviceHeartbeat, Notice
from tests.edge.shops import PRESS, Shop, living, shop, told, until
from tests.servers import free_port

VERSIONED: dict[str, Any] = {
    **PRESS,
    "identification": {"firmware": "version"},
    "firmware": {"min": "2", "max": "3"},
    "tags": {**PRESS["tags"], "version": {"address": "holding:10", "type": "uint16"}},
}


def press(made: Shop, port: int, version: int) -> ModbusServer:
    server = ModbusServer(load_profile(made.folder / "profiles" / "acme" / "press.yaml"), port=port)
    server.update({"state": 3, "load": 40, "version": version})
    return server


async def last(agent: Agent) -> tuple[bool, str, str]:
    """Connected, firmware and difference as the newest heartbeat tells them."""
    beat = [beat for beat in (await told(agent)).of(DeviceHeartbeat) if beat.device == "press-1"][-1]
    return beat.connected, beat.firmware, beat.differs


async def test_another_firmware_is_told_refused_and_accepted_at_the_station(tmp_path: Path) -> None:
    async with shop(tmp_path) as made:
        made.write_profile("acme/press", VERSIONED)
        port = free_port()
        made.devices["press-1"]["url"] = f"modbus://127.0.0.1:{port}"
        made.write_site()
        async with living(made.setup()) as agent:
            collector = agent.devices.get("press-1")
            assert collector is not None
            async with press(made, port, 3):
                await until(lambda: collector.reads_well)
                assert collector.recognition.foreign_firmware == ""
                assert collector.driver is not None
                assert collector.driver.refuses == ""
            await until(lambda: not collector.connected)
            async with press(made, port, 9):  # somebody updated it while it was off
                await until(lambda: collector.recognition.foreign_firmware == "9")
                await until(lambda: collector.reads_well)
                assert collector.driver is not None
                assert 'firmware "9" found, 2 to 3 expected' in collector.driver.refuses
                (machine,) = agent.stations.view("press-1").machines
                assert machine.firmware == "9"
                (notice,) = (await told(agent)).of(Notice)
                assert notice.code == "device.identity"
                assert "then accept this firmware at its station (F10)" in notice.text
                connected, firmware, differs = await last(agent)
                assert (connected, firmware, differs) == (True, "9", notice.text)

                accept = asked.AcceptFirmware(id="accept-1", actor="K7", device="press-1", firmware="9")
                await agent.stations.perform("press-1", accept)
                await until(lambda: collector.recognition.foreign_firmware == "")
                assert collector.driver is not None
                assert collector.driver.refuses == ""
                await until(lambda: collector._beat[1] == "")
                assert await last(agent) == (True, "", "")
                assert "(accepted)" in collector.recognition.differs
            await until(lambda: not collector.connected)
            async with press(made, port, 3):  # and put back
                await until(lambda: collector.reads_well)
                assert await last(agent) == (True, "", "")
