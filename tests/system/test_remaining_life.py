"""A machine, its edge, a broker and the service: one model on both sides, one number, over a cut link."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cloud.maintenance.command.main import app
from cloud.maintenance.rul import keys
from drivers.modbus.simulator import ModbusServer
from edge.agent import Agent
from edge.config import load_setup
from edge.station.station_view import LifeView
from protocols.prognostics import model_file
from protocols.prognostics.lifeline import Lifeline, Score
from protocols.prognostics.model import Prognoser
from protocols.prognostics.rows import Row
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
        self.token = ""
        self.login = self.process.data / "first-login.txt"

    def models(self, *words: str) -> str:
        """``onelot maintenance models …``; what it says."""
        asked = ["models", *words, "--server", self.url, "--login", str(self.login)]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
        return done.stdout

    def get(self, path: str, **query: Any) -> Any:
        with self._http() as http:
            return http.get(path, params=query).raise_for_status().json()

    def renew(self, asset: str, since: int, reason: str) -> None:
        """Say that an asset is as new since a time (µs UTC)."""
        said = {"reason": reason, "since": datetime.fromtimestamp(since / 1e6, UTC).isoformat()}
        with self._http() as http:
            http.post(f"/maintenance/assets/{asset}/renewed", json=said).raise_for_status()

    @contextlib.contextmanager
    def _http(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=f"{self.url}/api/v1", timeout=20) as http:
            if not self.token:
                lines = dict(line.split(": ") for line in self.login.read_text().splitlines())
                self.token = http.post("/session", json=lines).json()["token"]
            http.headers["Authorization"] = f"Bearer {self.token}"
            yield http


async def eventually(ask: Callable[[], Any], met: Callable[[Any], bool], seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = await asyncio.to_thread(ask)
        if met(found):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.3)


@contextlib.asynccontextmanager
async def hall_with_office(folder: Path) -> AsyncIterator[tuple[Office, ModbusServer, MosquittoServer, Path]]:
    """A press that shows its first cycle, a broker, the service, and the file of an edge with no model."""
    files = configured(folder / "files", "modbus://127.0.0.1:1")
    server = ModbusServer(load_setup(files).machines[0].profile, port=free_port())
    show(server, hall.cycles(60)[0], 1)
    await server.start()
    with MosquittoServer(folder / "broker") as broker:
        config = configured(folder / "edge", server.url, broker=broker.port, named=False)
        office = Office(folder / "cloud", broker.port, folder / "edge" / "site.yaml")
        await asyncio.to_thread(office.process.start)
        await asyncio.to_thread(office.process.health)
        try:
            yield office, server, broker, config
        finally:
            await asyncio.to_thread(office.process.stop)
            await server.stop()


async def activated(office: Office, file: Path, agent: Agent) -> str:
    """Bring a model into use at the service, until the edge scores with it; its hash."""
    made = await asyncio.to_thread(office.models, "add", str(file), "--for", "press-1", "--json")
    version = json.loads(made)
    await asyncio.to_thread(office.models, "shadow", version["id"])
    await asyncio.to_thread(office.models, "activate", version["id"], "--reason", "tried on files")
    await until(lambda: used(agent) == version["sha256"], 60)
    return str(version["id"])


def used(agent: Agent) -> str:
    """The hash of the model that the edge scores the press with; empty: none."""
    assert agent.deployments is not None
    model = agent.deployments.models.get("press-1")
    return "" if model is None else model.sha256


def view(agent: Agent) -> LifeView:
    assert agent.lives is not None
    return agent.lives.views()["press-1"]


async def aged(agent: Agent, rows: int, seconds: float = 20.0) -> None:
    await until(lambda: view(agent).age == rows, seconds)


async def life_of(office: Office, rows: int) -> Any:
    """The life as the service tells it, once it has so many rows, none missed, and nothing is behind."""
    return await eventually(
        lambda: office.get(f"/maintenance/assets/{ASSET}/life"),
        lambda found: (
            found["life"]["age"] == rows and len(found["rows"]) >= rows and found["life"]["state"] == "scored"
        ),
    )


async def test_the_service_sends_its_model_and_both_say_the_same_over_a_cut_link(tmp_path: Path) -> None:
    measured = hall.cycles(60)
    async with hall_with_office(tmp_path) as (office, server, broker, config):
        async with living(load_setup(config)) as (agent, _):
            await until(lambda: agent.uplink.status.cloud)
            await eventually(lambda: office.get("/tags"), lambda tags: len(tags) >= 6)
            await activated(office, tmp_path / "edge" / "press.json", agent)
            await work(agent, server, measured[:25], 1)
            await asyncio.to_thread(broker.stop)
            await until(lambda: not agent.uplink.status.online)
            await work(agent, server, measured[25:35], 26)
            await aged(agent, 34)
        async with living(load_setup(config)) as (agent, _):  # started anew, with nobody to ask
            await aged(agent, 34)
            await work(agent, server, measured[35:45], 36)
            await aged(agent, 44)
            await asyncio.to_thread(broker.start)
            await until(lambda: agent.uplink.status.cloud, 60)
            await work(agent, server, measured[45:], 46)
            await aged(agent, 59)
            sheet = await life_of(office, 59)
            seen = view(agent)

    rows = sheet["rows"]
    assert [row["count"] for row in rows] == [float(n) for n in range(1, 60)]
    assert [tuple(row["values"]) for row in rows] == measured[:59]
    wanted = [b"".join(one) for one in of_file(measured)]
    assert [bits(row["life"], row["lower"], row["upper"]) for row in rows] == wanted[:59]
    assert bits(seen.life, seen.lower, seen.upper) == wanted[58], "the edge says the same"
    assert sheet["life"]["life"] == seen.life
    assert len(sheet["evidence"]) == 3


async def test_what_is_decided_at_the_service_follows_to_the_edge_and_so_does_a_renewal_while_it_was_away(
    tmp_path: Path,
) -> None:
    measured = hall.cycles(60)
    second = tmp_path / "second.json"
    second.write_bytes(signed.data(2))
    async with hall_with_office(tmp_path) as (office, server, broker, config):  # noqa: SIM117
        async with living(load_setup(config)) as (agent, _):
            await until(lambda: agent.uplink.status.cloud)
            await eventually(lambda: office.get("/tags"), lambda tags: len(tags) >= 6)
            first = await activated(office, tmp_path / "edge" / "press.json", agent)
            await work(agent, server, measured[:15], 1)
            await aged(agent, 14)
            other = await activated(office, second, agent)
            taken_up = view(agent).age
            await asyncio.to_thread(office.models, "roll-back", other, "--reason", "it cries wolf")
            await until(lambda: used(agent) == model_file.identity(signed.data()), 60)
            await work(agent, server, measured[15:20], 16)
            await aged(agent, 19)
            shown = await eventually(
                lambda: office.get(f"/maintenance/models/{first}"), lambda found: bool(found["edges"])
            )
            listed = await asyncio.to_thread(office.models, "list")
            await asyncio.to_thread(broker.stop)
            await until(lambda: not agent.uplink.status.online)
            await work(agent, server, measured[20:30], 21)
            await aged(agent, 29)
            at = [row for row, _ in _rows(agent)][-5].end
            await asyncio.to_thread(office.renew, ASSET, at, "new spindle")
            await work(agent, server, measured[30:33], 31)
            await aged(agent, 32)
            await asyncio.to_thread(broker.start)
            await aged(agent, 7, 60)
            await work(agent, server, measured[33:40], 34)
            await aged(agent, 14)
            sheet = await life_of(office, 14)
            seen = view(agent)

    assert taken_up == 14, "the second model knows the machine from its beginning"
    (held,) = shown["edges"]
    assert held["says"] == "machining scores press-1 with it"
    assert "machining: press-1" in listed
    line = Lifeline(Prognoser(signed.model()))
    for n in range(26, 40):
        line.take(Row(n, measured[n - 1], 0, float(n)))
    assert line.last is not None
    assert sheet["life"]["life"] == seen.life == line.last[1].life
    assert sheet["life"]["since"] == at


def _rows(agent: Agent) -> list[tuple[Row, Score]]:
    assert agent.lives is not None
    line = agent.lives._scored["press-1"].line
    return [*zip(line.stretch.rows, line.stretch.scores, strict=True)]


async def test_an_edge_that_does_not_trust_the_key_says_so_to_the_supervisor(tmp_path: Path) -> None:
    async with hall_with_office(tmp_path) as (office, _, _, config):
        (tmp_path / "edge" / "signing.pem.pub").unlink()
        keys.make(tmp_path / "edge" / "signing.pem")
        async with living(load_setup(config)) as (agent, _):
            await until(lambda: agent.uplink.status.cloud)
            await eventually(lambda: office.get("/tags"), lambda tags: len(tags) >= 6)
            file = str(tmp_path / "edge" / "press.json")
            made = json.loads(
                await asyncio.to_thread(office.models, "add", file, "--for", "press-1", "--json")
            )
            await asyncio.to_thread(office.models, "shadow", made["id"])
            await asyncio.to_thread(office.models, "activate", made["id"], "--reason", "tried on files")
            sheet = await eventually(
                lambda: office.get(f"/maintenance/models/{made['id']}"),
                lambda found: any(one["holding"]["why"] for one in found["edges"]),
            )
            assert used(agent) == ""
            listed = await asyncio.to_thread(office.models, "list")
    assert "machining refuses it for press-1" in sheet["says"]
    assert "signed by key" in sheet["says"]
    assert "machining: press-1 refused" in listed
