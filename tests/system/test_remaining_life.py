"""A machine, its edge, a broker and the service: one model on both sides, one number, over a cut link."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cloud.maintenance.command.main import app
from drivers.modbus.simulator import ModbusServer
from edge.config import load_setup
from tests.cloud.maintenance.rul import hall, signed
from tests.cloud.maintenance.rul.test_life_service import of_file
from tests.cloud.test_service import CloudProcess
from tests.edge.life.test_lives import bits, configured, show, work
from tests.edge.test_bootstrap import living, until
from tests.servers import MosquittoServer, free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(240), pytest.mark.needs("mosquitto")]
ASSET = "11111111-1111-1111-1111-111111111115"


class Office:
    """The service as a process, and its API as its first user."""

    def __init__(self, folder: Path, broker: int, site: Path) -> None:
        folder.mkdir()
        signed.public_key(folder)
        self.process = CloudProcess(folder, broker)
        self.process.config.write_text(
            f"site: {site}\nbroker: {{port: {broker}}}\nhttp: {{port: {self.process.port}}}\n"
            "maintenance: {trusted_keys: [signing.pem.pub]}\n",
            "utf-8",
        )
        self.url = f"http://127.0.0.1:{self.process.port}"
        self.login = self.process.data / "first-login.txt"

    def models(self, *words: str) -> str:
        """``onelot maintenance models …``; what it says."""
        asked = ["models", *words, "--server", self.url, "--login", str(self.login)]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
        return done.stdout

    def get(self, path: str, **query: Any) -> Any:
        lines = dict(line.split(": ") for line in self.login.read_text().splitlines())
        with httpx.Client(base_url=f"{self.url}/api/v1", timeout=20) as http:
            token = http.post("/session", json=lines).json()["token"]
            answer = http.get(path, params=query, headers={"Authorization": f"Bearer {token}"})
            answer.raise_for_status()
            return answer.json()


async def eventually(ask: Callable[[], Any], met: Callable[[Any], bool], seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = await asyncio.to_thread(ask)
        if met(found):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.3)


async def test_edge_and_service_say_the_same_over_a_cut_link(tmp_path: Path) -> None:
    measured = hall.cycles(60)
    files = configured(tmp_path / "files", "modbus://127.0.0.1:1")
    server = ModbusServer(load_setup(files).machines[0].profile, port=free_port())
    show(server, measured[0], 1)
    await server.start()
    with MosquittoServer(tmp_path / "broker") as broker:
        config = configured(tmp_path / "edge", server.url, broker=broker.port)
        office = Office(tmp_path / "cloud", broker.port, tmp_path / "edge" / "site.yaml")
        await asyncio.to_thread(office.process.start)
        await asyncio.to_thread(office.process.health)
        try:
            async with living(load_setup(config)) as (agent, _):
                await until(lambda: agent.uplink.status.cloud)
                await eventually(lambda: office.get("/tags"), lambda tags: len(tags) >= 6)
                file = str(tmp_path / "edge" / "press.json")
                made = await asyncio.to_thread(office.models, "add", file, "--for", "press-1", "--json")
                model = json.loads(made)["id"]
                await asyncio.to_thread(office.models, "shadow", model)
                await asyncio.to_thread(office.models, "activate", model, "--reason", "tried on files")
                await work(agent, server, measured[:25], 1)
                await asyncio.to_thread(broker.stop)
                await until(lambda: not agent.uplink.status.online)
                await work(agent, server, measured[25:45], 26)
                await until(lambda: agent.lives is not None and agent.lives.views()["press-1"].age == 44)
                await asyncio.to_thread(broker.start)
                await until(lambda: agent.uplink.status.cloud, 60)
                await work(agent, server, measured[45:], 46)
                await until(lambda: agent.lives is not None and agent.lives.views()["press-1"].age == 59)
                path = f"/maintenance/assets/{ASSET}/life"
                sheet = await eventually(
                    lambda: office.get(path),
                    lambda found: (
                        len(found["rows"]) == 59
                        and not any(row["missed"] for row in found["rows"])
                        and found["life"]["state"] == "scored"
                    ),
                )
                assert agent.lives is not None
                view = agent.lives.views()["press-1"]
        finally:
            await asyncio.to_thread(office.process.stop)
            await server.stop()

    rows = sheet["rows"]
    assert [row["count"] for row in rows] == [float(n) for n in range(1, 60)]
    assert [tuple(row["values"]) for row in rows] == measured[:59]
    wanted = [b"".join(one) for one in of_file(measured)]
    assert [bits(row["life"], row["lower"], row["upper"]) for row in rows] == wanted[:59]
    assert bits(view.life, view.lower, view.upper) == wanted[58], "the edge says the same"
    assert sheet["life"]["life"] == view.life
    assert len(sheet["evidence"]) == 3
