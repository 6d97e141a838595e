"""Released NC programs with everything running: site folder, edge, broker, cloud, and a machine that keeps
them.

An engineer releases, an operator takes the work in hand, somebody edits at the machine, and the edge is
killed in the middle of a delivery.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from drivers.programs import sha256
from edge.client import EdgeClient, EdgeUnreachableError
from edge.station.commands import OpenRun, SendProgram
from edge.station.refusals import Refusal
from edge.station.station_view import CommandView, ProgramView, StationView
from tests.drivers.opcua.file_server import FileServer, file_server
from tests.edge.programs.releases import V1, V2, release_list
from tests.system.plant import Machine, Plant, plant
from tests.system.processes import quiet_port, until

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(240)]

EDGE, MILL = "north", "mill-1"
V3 = b"%\nO1000\n(THE NEXT RELEASE)\nM30\n%\n"
OPCUA = """\
vendor: Acme
model: Mill
protocol: opcua
opcua: {namespaces: ["urn:acme:mill"]}
tags:
  state: {address: "i=2259", type: int32, role: state, sampling: 0.2, max_interval: 1}
states:
  0: {item_state: not_executing}
files: {node: "ns=1;s=Programs"}
"""
MODBUS = """\
vendor: Acme
model: Mill
protocol: modbus
tags:
  state: {address: "holding:0", type: uint16, role: state, sampling: 0.2}
  program: {address: "holding:100", type: string, length: 20, role: program, sampling: 0.2}
states:
  0: {item_state: not_executing}
  1: {item_state: executing}
"""


@dataclass(slots=True)
class Works:
    """The plant, and the station of its mill as its operator sees it."""

    plant: Plant
    client: EdgeClient
    folder: Path

    def release(self, content: bytes, **more: str) -> None:
        """The engineer's list with this content."""
        release_list(self.folder / "site/programs", content, target=f"devices: [{MILL}]", **more)

    async def take_in_hand(self) -> None:
        """Order a piece and start on it, once its operation has reached the station."""
        await self.plant.order(1, MILL)
        view = await self.sees(lambda view: bool(view.queue), "the operation has come")
        run = OpenRun(id="command-1", actor="K7", operations=(view.queue[0].operation.id,), setup=True)
        await self.client.act(MILL, run)

    async def sees(self, holds: Callable[[StationView], bool], what: str) -> StationView:
        """The station's view once something about it holds."""

        async def look() -> StationView | None:
            self.plant.check()
            try:
                view = await self.client.station(MILL)
            except EdgeUnreachableError:
                return None
            return view if holds(view) else None

        found = await until(look, what, 90)
        assert found is not None
        return found

    async def ends(self, *states: str) -> list[CommandView]:
        """The commands of the mill, once they have ended so, one after the other."""
        view = await self.sees(
            lambda view: [str(each.state) for each in view.machines[0].commands] == list(states),
            f"the commands end {', '.join(states)}",
        )
        return list(view.machines[0].commands)

    async def program(self, state: str) -> ProgramView:
        """What the station shows of the program, once it is so."""

        def shows(view: StationView) -> bool:
            return [each.state for each in view.machines[0].programs] == [state]

        view = await self.sees(shows, f"the program is {state}")
        return view.machines[0].programs[0]

    async def send(self, number: int, content: bytes, **more: Any) -> None:
        """F10 at the station."""
        command = SendProgram(
            id=f"send-{number:04}",
            actor="K7",
            device=MILL,
            program="O1000",
            sha256=sha256(content),
            **more,
        )
        await self.client.act(MILL, command)

    async def told(self, code: str) -> list[str]:
        """The notices of a code that the cloud has, once there is one."""

        async def look() -> list[str]:
            return [each["text"] for each in await self.plant.get("/notices") if each["code"] == code]

        return await until(look, f"the cloud has heard of {code}")

    async def kill(self) -> None:
        await self.plant.edges[EDGE].process.kill()

    def restart(self) -> None:
        self.plant.edges[EDGE].process.start()


@contextlib.asynccontextmanager
async def works(folder: Path, profile: str, url: str, **options: Any) -> AsyncIterator[Works]:
    """One edge with one mill, whose operation needs O1000; laid out with V1 released, and started."""
    (folder / "profiles/acme").mkdir(parents=True)
    (folder / "profiles/acme/mill.yaml").write_text(profile, "utf-8")
    machines = {EDGE: [Machine(MILL, "acme/mill", url, options)]}
    async with plant(folder, machines, profiles=folder / "profiles") as made:
        product, site = folder / f"site/part-{MILL}.yaml", folder / "site/site.yaml"
        part = json.loads(product.read_text("utf-8"))
        part["operations"][0]["program"] = "O1000"
        product.write_text(json.dumps(part), "utf-8")
        text = json.loads(site.read_text("utf-8")) | {"programs": "programs/releases.yaml"}
        release_list(folder / "site/programs", V1, target=f"devices: [{MILL}]")
        site.write_text(json.dumps(text), "utf-8")
        await made.start()
        edge = made.edges[EDGE]
        async with EdgeClient(edge.url, await edge.token()) as client:
            yield Works(made, client, folder)


async def test_a_release_its_edit_its_next_one_and_a_program_that_runs(tmp_path: Path) -> None:
    """The machine's folder is mounted at the edge's computer; here the machine fetches it from there."""
    nc = tmp_path / "nc"
    nc.mkdir()
    profile = tmp_path / "mill.yaml"
    profile.write_text(MODBUS, "utf-8")
    mill = ModbusServer(load_profile(profile), port=quiet_port())
    options = {"program_folder": str(nc), "program_mount": False}
    async with mill, works(tmp_path, MODBUS, mill.url, **options) as now:
        await now.take_in_hand()
        (sent,) = await now.ends("done")
        assert (nc / "O1000.nc").read_bytes() == V1
        assert (sent.actor, sent.detail) == ("K7", f"read back {sha256(V1)[:12]}")

        # Somebody edits it at the machine; the edge looks at every copy after a start.
        await now.kill()
        (nc / "O1000.nc").write_bytes(V2)
        now.restart()
        edit = await now.program("edited")
        assert (edit.found, edit.wanted) == (sha256(V2), True)
        (told,) = await now.told("program.edited")
        assert "O1000.nc was edited at the machine" in told and "(by E4, 2026-11-20)" in told
        with pytest.raises(Refusal, match="was edited at mill-1"):
            await now.send(1, V1)
        assert (nc / "O1000.nc").read_bytes() == V2
        await now.send(2, V1, overwrite=edit.found)
        await now.ends("done", "done")
        assert (nc / "O1000.nc").read_bytes() == V1

        # The next release comes while the machine runs the program.
        mill.update({"state": 1, "program": "O1000"})
        now.release(V3, earlier=f"[{sha256(V1)}]")
        *_, refused = await now.ends("done", "done", "refused")
        assert '"O1000.nc" is running (program = O1000) — wait until it ends' in refused.detail
        assert (nc / "O1000.nc").read_bytes() == V1
        assert (await now.program("outdated")).ran
        mill.update({"state": 0})
        await now.send(3, V3)
        await now.ends("done", "done", "refused", "done")
        assert (nc / "O1000.nc").read_bytes() == V3
        assert [each.name for each in nc.iterdir()] == ["O1000.nc"]
        assert len(await now.told("program.edited")) == 1, "told once, restarts and releases included"


async def test_an_edge_that_is_killed_in_the_middle_of_a_delivery_reports_no_half_program(
    tmp_path: Path,
) -> None:
    async with (
        file_server(piece=6, port=quiet_port()) as server,
        works(tmp_path, OPCUA, server.url, security="none", timeout=30) as now,
    ):
        server.holds_after = 2
        await now.take_in_hand()
        await asyncio.wait_for(server.held.wait(), 60)
        await now.kill()
        assert server.files["O1000.nc"].content == V1[:12]
        server.holds_after = -1
        server.go.set()
        now.restart()
        # The server still keeps the file of the dead session locked: nobody can say what became of it.
        (command,) = await now.ends("unknown")
        assert command.detail == "the edge went down while it was sent"
        server.files["O1000.nc"].give_up()
        first, second = await now.ends("failed", "done")
        assert server.files["O1000.nc"].content == V1
        part = sha256(V1[:12])[:12]
        assert first.detail == f"the machine holds {part}, only its beginning, found afterwards"
        assert second.detail == f"read back {sha256(V1)[:12]}"
        (told,) = await now.told("program.partial")
        assert "only the beginning of O1000.nc is at the machine" in told
        assert _opened(server) == [3, 4], "the third piece never arrived; all four came once more"


def _opened(server: FileServer) -> list[int]:
    """The pieces that were sent each time the file was opened for writing."""
    found: list[int] = []
    for call in server.calls:
        if call == "Open 6":
            found.append(0)
        elif call.startswith("Write"):
            found[-1] += 1
    return found


async def test_a_kill_while_a_long_program_goes_to_a_folder_leaves_the_old_or_the_new_one(
    tmp_path: Path,
) -> None:
    nc, long = tmp_path / "nc", b"".join(b"N%07d G1 X%d\n" % (n, n) for n in range(1_500_000))
    nc.mkdir()
    (nc / "O1000.nc").write_bytes(V1)
    profile = tmp_path / "mill.yaml"
    profile.write_text(MODBUS, "utf-8")
    mill = ModbusServer(load_profile(profile), port=quiet_port())
    options = {"program_folder": str(nc), "program_mount": False}
    async with mill, works(tmp_path, MODBUS, mill.url, **options) as now:
        await now.take_in_hand()
        now.release(long, earlier=f"[{sha256(V1)}]")

        async def is_on_its_way() -> bool:
            assert (nc / "O1000.nc").stat().st_size == len(V1)
            return (nc / ".O1000.nc.part").exists()

        await until(is_on_its_way, "the program is on its way", 60, 0.001)
        await now.kill()
        assert (nc / "O1000.nc").read_bytes() == V1
        now.restart()
        first, second = await now.ends("failed", "done")
        assert first.detail == f"the machine holds {sha256(V1)[:12]}, found afterwards"
        assert second.detail == f"read back {sha256(long)[:12]}"
        assert (nc / "O1000.nc").read_bytes() == long
        assert [each.name for each in nc.iterdir()] == ["O1000.nc"], "what the kill left is gone, too"
