"""A small site in real processes: a broker, the cloud service, edges, and machines the test has in hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.servers import MosquittoServer
from tests.system.machines import PROFILES
from tests.system.processes import Process, onelot, quiet_port, until

READY_S = 120.0
_SPACE = uuid.UUID("5f3b3f9e-0f5e-4f62-9d6e-0d8f4f0e7c11")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine at a workcell of the same name; ``kind`` of that workcell, too."""

    id: str
    profile: str
    url: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Edge:
    """One edge of the plant: its process, its files, its API."""

    id: str
    process: Process
    config: Path
    data: Path
    url: str
    stations: tuple[str, ...]

    @property
    def database(self) -> Path:
        """The outbox file."""
        return self.data / "edge.db"

    async def token(self) -> str:
        """The token of its API, once it has made one."""

        async def read() -> str:
            path = self.data / "api.token"
            return path.read_text("ascii").strip() if path.exists() else ""

        return await until(read, f"{self.id} makes its token")


@dataclass(slots=True)
class Plant:
    """Everything of one site. Parts are started by :meth:`start` and by the test, stopped at the end."""

    folder: Path
    broker: MosquittoServer
    cloud: Process
    edges: dict[str, Edge]
    page: str
    http: httpx.AsyncClient
    _token: str = field(default="", init=False)

    @property
    def ledger(self) -> Path:
        """The cloud's database."""
        return self.folder / "cloud" / "cloud.db"

    async def start(self) -> None:
        """Start all parts and wait until every edge is acknowledged."""
        await asyncio.to_thread(self.broker.start)
        self.cloud.start()
        for edge in self.edges.values():
            edge.process.start()
        await self.ready()

    async def ready(self) -> None:
        """Wait until the cloud answers and every edge has had an acknowledgement."""

        async def is_ready() -> bool:
            self.check()
            return await self.cloud_health() is not None and all(
                [await self.linked(edge) for edge in self.edges]
            )

        await until(is_ready, "cloud and edges are ready", READY_S, 0.1)

    def check(self) -> None:
        """Fail when a part ended by itself."""
        for process in self.processes:
            process.check()

    @property
    def processes(self) -> list[Process]:
        """Cloud and edges; the broker is a server of its own kind."""
        return [self.cloud, *(edge.process for edge in self.edges.values())]

    async def stop(self) -> None:
        """Stop whatever runs, edges first; fails when a part leaves processes behind."""
        try:
            await asyncio.gather(*(edge.process.stop() for edge in self.edges.values()))
            await self.cloud.stop()
        finally:
            await asyncio.to_thread(self.broker.stop)
        if orphans := [orphan for process in self.processes for orphan in process.orphans()]:
            raise AssertionError(f"left behind: {orphans}")

    # --- asking ---------------------------------------------------------------------------------------

    async def edge_health(self, edge: str) -> dict[str, Any] | None:
        """``/health`` of an edge; None while it does not answer."""
        return await self._health(self.edges[edge].url)

    async def cloud_health(self) -> dict[str, Any] | None:
        """``/health`` of the cloud; None while it does not answer."""
        return await self._health(self.page)

    async def linked(self, edge: str) -> bool:
        """Whether an edge has a session with the cloud and was acknowledged."""
        health = await self.edge_health(edge)
        return health is not None and health["link"]["cloud"] and bool(health["link"]["last_ack"])

    async def settled(self, *edges: str, seconds: float = READY_S) -> dict[str, dict[str, Any]]:
        """Wait until all that was there when asked is through, samples and actions; the edges' health then.

        Machines and workers go on, so a queue is empty only between two batches, and how old the moment's
        samples are depends on how busy this computer is.
        """
        asked = datetime.now(UTC).timestamp() * 1e6
        found: dict[str, dict[str, Any]] = {}

        async def is_settled() -> bool:
            self.check()
            for edge in edges or self.edges:
                health = await self.edge_health(edge)
                if health is None:
                    return False
                found[edge] = health
                link = health["link"]
                through = not link["oldest"] or link["oldest"] >= asked
                if not (link["cloud"] and through):
                    return False
            return True

        await until(is_settled, "the edges have sent what they had", seconds, 0.1)
        return found

    async def _health(self, url: str) -> dict[str, Any] | None:
        try:
            answer = await self.http.get(f"{url}/health")
        except httpx.HTTPError:
            return None
        health: dict[str, Any] = answer.json()
        return health if answer.is_success else None

    def login(self) -> tuple[str, str]:
        """User and password of the cloud's first start."""
        text = (self.folder / "cloud" / "first-login.txt").read_text("utf-8")
        words = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        return words["user"], words["password"]

    async def api(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Call ``/api/v1`` as the user of the first start."""
        if not self._token:
            user, password = self.login()
            answer = await self.http.post(
                f"{self.page}/api/v1/session",
                json={"user": user, "password": password},
                timeout=READY_S,  # a password takes long to check, on purpose, and longer on a busy machine
            )
            answer.raise_for_status()
            self._token = answer.json()["token"]
        return await self.http.request(
            method,
            f"{self.page}/api/v1{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            **arguments,
        )

    async def get(self, path: str, **parameters: Any) -> Any:
        """What ``GET /api/v1…`` answers."""
        answer = await self.api("GET", path, params=parameters)
        answer.raise_for_status()
        return answer.json()

    async def order(self, quantity: int, *workcells: str) -> str:
        """Order pieces of what only these workcells make, a line for each; the order's id."""
        request = {
            "lines": [{"product": f"part-{workcell}", "quantity": quantity} for workcell in workcells],
            "due": (datetime.now(UTC) + timedelta(hours=8)).isoformat(),
        }
        answer = await self.api("POST", "/orders", json=request)
        assert answer.status_code == 201, answer.text
        created: str = answer.json()["id"]
        return created


def quiet_broker(folder: Path) -> MosquittoServer:
    """A broker, not started, whose port stays its own while it is down."""
    broker = MosquittoServer(folder / "broker")
    broker.port = quiet_port()
    return broker


@contextlib.asynccontextmanager
async def plant(
    folder: Path,
    edges: Mapping[str, Sequence[Machine]],
    *,
    witness: str = "",
    broker: MosquittoServer | None = None,
    broker_port: int = 0,
    outbox: Mapping[str, Any] | None = None,
    profiles: Path = PROFILES,
    more_edge: Mapping[str, Any] | None = None,
    more_cloud: Mapping[str, Any] | None = None,
) -> AsyncIterator[Plant]:
    """A plant, laid out and not started. ``broker_port``: where edges look for the broker, if not at it.
    ``more_edge`` and ``more_cloud`` are further keys of their files.
    """
    broker = broker or quiet_broker(folder)
    http_port = quiet_port()
    site = _write_site(folder, edges)
    cloud_config = _write(
        folder / "cloud.yaml",
        {
            "site": str(site),
            "data": str(folder / "cloud"),
            "broker": {"host": broker.host, "port": broker.port},
            "http": {"port": http_port},
            "dispatch": {"solve_seconds": 0, "debounce_seconds": 0.2, "look_seconds": 0.5},
            **(more_cloud or {}),
        },
    )
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
        made = Plant(
            folder,
            broker,
            Process("cloud", onelot("cloud", "--config", cloud_config), folder / "logs/cloud.log"),
            {},
            f"http://127.0.0.1:{http_port}",
            http,
        )
        for name, machines in edges.items():
            api_port = quiet_port()
            config = _write(
                folder / f"{name}.yaml",
                {
                    "edge": name,
                    "site": str(site),
                    "profiles": str(profiles),
                    "data": str(folder / name),
                    "broker": {"host": broker.host, "port": broker_port or broker.port},
                    "api": {"port": api_port},
                    **({"outbox": dict(outbox)} if outbox else {}),
                    **(more_edge or {}),
                },
            )
            command = onelot("edge", "--config", config, *(["--witness", witness] if witness else []))
            made.edges[name] = Edge(
                name,
                Process(name, command, folder / f"logs/{name}.log"),
                config,
                folder / name,
                f"http://127.0.0.1:{api_port}",
                tuple(machine.id for machine in machines),
            )
        try:
            yield made
        except BaseException:
            for process in made.processes:
                print(f"--- the end of {process.log.name}", process.tail(), sep="\n")
            raise
        finally:
            await made.stop()


def _write_site(folder: Path, edges: Mapping[str, Sequence[Machine]]) -> Path:
    """Write the site and a product ``part-WORKCELL`` for each workcell; the site's file."""
    machines = [machine for owned in edges.values() for machine in owned]
    for machine in machines:
        product = {
            "id": f"part-{machine.id}",
            "title": f"Part of {machine.id}",
            "operations": [
                {"id": "make", "title": "Make", "kind": machine.id, "seconds_per_piece": 0.5},
            ],
        }
        _write(folder / f"site/part-{machine.id}.yaml", product)
    site = {
        "id": "test",
        "uuid": _id("site"),
        "title": "Test site",
        "areas": [
            {
                "id": "hall",
                "uuid": _id("hall"),
                "title": "Hall",
                "lines": [
                    {
                        "id": "line",
                        "uuid": _id("line"),
                        "title": "Line",
                        "workcells": [
                            {
                                "id": machine.id,
                                "uuid": _id(f"workcell {machine.id}"),
                                "title": machine.id,
                                "kind": machine.id,
                            }
                            for machine in machines
                        ],
                    }
                ],
            }
        ],
        "edges": [
            {
                "id": name,
                "workcells": [machine.id for machine in owned],
                "devices": [
                    {
                        "id": machine.id,
                        "asset": _id(f"asset {machine.id}"),
                        "profile": machine.profile,
                        "url": machine.url,
                        "workcells": [machine.id],
                        "options": dict(machine.options),
                    }
                    for machine in owned
                ],
            }
            for name, owned in edges.items()
        ],
        "products": [f"part-{machine.id}.yaml" for machine in machines],
        "stop_reasons": {"jam": "Jam | 卡料"},
        "scrap_reasons": {"burr": "Burr | 毛刺"},
        "andon_topics": {"help": "Help | 求助"},
    }
    return _write(folder / "site/site.yaml", site)


def _id(name: str) -> str:
    return str(uuid.uuid5(_SPACE, name))


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    """A YAML file (JSON is YAML)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), "utf-8")
    return path
