"""The whole service: as a process with its exit codes, and from an edge's batch to its own health page."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from cloud.ledger import reading
from cloud.store.database import Database
from cloud.store.lock import sole_user
from cloud.store.schema import migrate
from protocols.lanes import Down, down
from tests.cloud.edges import MemoryEdge
from tests.servers import MosquittoServer, free_port

DEMO = Path(__file__).parents[2] / "firmware_configs" / "sites" / "demo" / "site.yaml"

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


class CloudProcess:
    """``onelot cloud`` with a configuration in ``folder``."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        self.port = free_port()
        self.data = folder / "data"
        self.config = folder / "cloud.yaml"
        self.config.write_text(
            f"site: {DEMO}\nbroker: {{port: {broker_port}}}\nhttp: {{port: {self.port}}}\n", encoding="utf-8"
        )
        self._log = folder / "cloud.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "onelot", "cloud", "--config", str(self.config), *options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def wait(self) -> int:
        assert self._process is not None
        code, self._process = self._process.wait(90), None
        return code

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self.wait()

    def health(self) -> Any:
        """The health once it answers; AssertionError with the log when it does not."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=10).json()
            except httpx.TransportError:
                assert self._process is not None
                assert self._process.poll() is None, self.log
                time.sleep(0.1)
        raise AssertionError(self.log)


@contextmanager
def connected(broker: MosquittoServer, name: str) -> Iterator[MemoryEdge]:
    """An edge on the broker."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    edge = MemoryEdge(name, lambda topic, payload: client.publish(topic, payload))
    client.on_message = lambda _c, _d, message: edge.inbox.put(bytes(message.payload))
    client.on_connect = lambda c, *_: c.subscribe(down(name, Down.SESSION))
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        yield edge
    finally:
        client.disconnect()
        client.loop_stop()


def test_an_edge_is_heard_counted_and_kept_over_restarts(tmp_path: Path) -> None:
    with MosquittoServer(tmp_path / "broker") as broker, connected(broker, "machining") as edge:
        cloud = CloudProcess(tmp_path, broker.port)
        cloud.start()
        assert cloud.health()["edges"] == []
        edge.announce()
        edge.connect()
        for number in range(10):
            edge.samples(10)
            edge.act(f"a{number}")
        edge.drain(60)
        health = cloud.health()
        assert health["samples"] == {"ledgered": 100, "duplicated": 0, "dropped": 0}
        assert health["actions"] == {"ledgered": 10, "repeated": 0}
        assert [(row["id"], row["online"]) for row in health["edges"]] == [("machining", True)]
        assert health["status"] == "ok"
        assert health["rss_mb"] > 10
        assert cloud.stop(signal.SIGINT) == 0, cloud.log
        edge.samples(10)  # while nobody listens
        cloud.start()
        edge.drain(90)
        assert cloud.health()["samples"]["ledgered"] == 110
        assert cloud.stop(signal.SIGKILL) == -9
    with Database(f"sqlite:///{cloud.data / 'cloud.db'}") as database, database.read() as reader:
        assert reading.counters(reader).samples == reading.recount(reader).samples == 110
    assert "Traceback" not in cloud.log


def test_it_starts_without_a_broker_and_says_so(tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path, free_port())
    cloud.start()
    health = cloud.health()
    assert health["status"] == "degraded"
    assert "broker" in health["problems"][0]
    assert cloud.stop() == 0, cloud.log
    assert "Traceback" not in cloud.log


def test_what_it_cannot_start_with_is_said_in_a_line(tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path, free_port())
    with socket.create_server(("127.0.0.1", cloud.port)):
        cloud.start()
        assert cloud.wait() == 1
        assert f"cannot listen on 127.0.0.1:{cloud.port}" in cloud.log
    cloud.data.mkdir()
    with Database(f"sqlite:///{cloud.data / 'cloud.db'}") as database:
        migrate(database)
        database.write(
            lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        ).result()
    cloud.start()
    assert cloud.wait() == 1
    assert "onelot cloud: the database has schema 9999" in cloud.log
    with sole_user(cloud.data):
        cloud.start()
        assert cloud.wait() == 1
        assert f"{cloud.data} is in use by another onelot cloud" in cloud.log
    cloud.config.write_text(f"site: {DEMO}\ndatabase: postgresql://me:secret@127.0.0.1:{free_port()}/x\n")
    cloud.start()
    assert cloud.wait() == 1
    assert "onelot cloud: postgresql://me:***@127.0.0.1" in cloud.log
    cloud.config.write_text("site: nowhere.yaml\nport: 1\n")
    cloud.start()
    assert cloud.wait() == 2
    assert 'unknown key "port"' in cloud.log
    assert "Traceback" not in cloud.log


def test_a_configuration_can_be_checked(tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path, free_port())
    cloud.start("--check")
    assert cloud.wait() == 0
    assert "site demo" in cloud.log
    assert not cloud.data.exists()
