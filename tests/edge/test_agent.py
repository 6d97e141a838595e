"""The whole agent as a process: real machine, real broker, killed and started again."""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from ruamel.yaml import YAML

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from protocols import states
from protocols.lanes import Lane
from protocols.states import CatalogueAnnounced, ConfigApplied, DeviceHeartbeat
from tests.edge.clouds import Cloud
from tests.edge.test_config import EDGE, SITE
from tests.edge.test_config import write as write_config
from tests.servers import MosquittoServer, free_port

ROOT = Path(__file__).resolve().parents[2]
PROFILE = """\
vendor: Acme
model: Press
protocol: modbus
tags:
  state:
    {address: "holding:0", type: uint16, role: state, sampling: 0.05, enum: {1: idle, 3: running, 4: fault}}
  parts: {address: "holding:2", type: uint32, role: part_count, sampling: 0.05}
  counter: {address: "holding:4", type: uint32, role: counter, sampling: 0.05}
states:
  1: {item_state: not_executing}
  3: {item_state: executing}
  4: {item_state: out_of_service, reason: fault}
"""


class Listener:
    """Takes what the witness tells: one JSON object a line."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._read, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _read(self, connection: socket.socket) -> None:
        with connection, connection.makefile() as lines:
            for line in lines:
                if line.endswith("\n"):
                    self.lines.append(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(5)


class EdgeProcess:
    """``onelot edge`` in a process of its own."""

    def __init__(self, config: Path, port: int, witness: str = "") -> None:
        self.config, self.port, self.witness = config, port, witness
        self.log = config.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, str(ROOT / "onelot.py"), "edge", "--config", str(self.config)]
        command += ["--witness", self.witness] if self.witness else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ})

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def health(self) -> dict[str, Any] | None:
        try:
            found = httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5)
        except httpx.HTTPError:
            return None
        return dict(found.json())

    def until(self, met: Callable[[dict[str, Any]], bool], seconds: float = 40) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            health = self.health()
            if health is not None and met(health):
                return health
            time.sleep(0.1)
        raise AssertionError(f"not met within {seconds} s:\n{health}\n{self.log.read_text()[-3000:]}")


def configure(folder: Path, broker: int, device: str) -> tuple[Path, int]:
    port = free_port()
    site = SITE.replace("modbus://127.0.0.1:1502", device)
    path = write_config(folder, site=site, profile=PROFILE)
    config = YAML(typ="safe").load(EDGE)
    config["broker"] = {"host": "127.0.0.1", "port": broker}
    config["api"] = {"port": port}
    with path.open("w") as file:
        YAML().dump(config, file)
    return path, port


async def count_up(server: ModbusServer) -> None:
    value = 0
    while True:
        value += 1
        server.set("counter", value)
        await asyncio.sleep(0.05)


@pytest.mark.system
async def test_killed_again_and_again_it_loses_nothing_and_doubles_nothing(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "press.yaml").write_text(PROFILE)
    server = ModbusServer(load_profile(folder / "press.yaml"))
    server.update({"state": 3, "parts": 4})
    async with server:
        counting = asyncio.create_task(count_up(server))
        try:
            await asyncio.to_thread(live_through_kills, tmp_path / "edge", mosquitto.port, server.url)
        finally:
            counting.cancel()


def live_through_kills(folder: Path, broker: int, device: str) -> None:
    folder.mkdir()
    config, port = configure(folder, broker, device)
    with Listener() as listener, Cloud(broker) as cloud:
        edge = EdgeProcess(config, port, listener.address)
        for round_ in range(3):
            edge.start()
            edge.until(lambda health: health["ok"] and health["samples"]["acked"] > 0)
            token = (folder / "data" / "api.token").read_text().strip()
            act(port, token, round_)
            time.sleep(0.3 * round_)
            edge.kill()
        edge.start()
        health = edge.until(lambda health: health["ok"])
        assert health["devices"][0]["connected"]
        assert edge.stop() == 0
        edge.start()
        edge.until(lambda health: health["ok"] and health["link"]["queued_batches"] == 0)
        assert edge.stop() == 0
        last = {key.lane: None for key in cloud.ledger.batches}
        assert set(last) == {Lane.ACTIONS, Lane.STATES, Lane.TELEMETRY}
        ledgered = {
            (key.stream.hex(), str(key.lane), key.seq, batch.digest.hex())
            for key, batch in cloud.ledger.batches.items()
        }
        told = {(line["stream"], line["lane"], line["seq"], line["digest"]) for line in listener.lines}
        assert len(told) > 10
        missing = told - ledgered
        # What the very last stop sealed may still be queued; nothing older may.
        assert all(key[0] == listener.lines[-1]["stream"] for key in missing)
        assert not cloud.doubled
        accepted = Counter(action for line in listener.lines for action in line["actions"])
        assert accepted == Counter(f"round-{round_:03d}" for round_ in range(3))
        assert [action.id for action in cloud.actions] == sorted(accepted)
        check_counter(cloud)


def act(port: int, token: str, round_: int) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{port}/v1/stations/press-1/actions",
        headers={"Authorization": f"Bearer {token}"},
        json={"do": "note", "id": f"round-{round_:03d}", "actor": "K7", "note": "still here"},
        timeout=20,
    )
    assert answer.status_code == 200, answer.text


def check_counter(cloud: Cloud) -> None:
    """In time, the counter rises with each number; only where the device was away, and that was told, it may
    jump by more than a read's worth, or stand where it stood: nobody was there to see it move."""
    announced = [event for event in cloud.states if isinstance(event, CatalogueAnnounced)]
    numbers = {tag.path: tag.number for tag in announced[-1].catalogue.tags}
    rows = sorted((s.ts, s.value) for s in cloud.samples if s.tag == numbers["press-1/counter"])
    good = [(ts, value) for ts, value in rows if isinstance(value, int)]
    away = [e.ts for e in cloud.states if isinstance(e, DeviceHeartbeat) and not e.connected]
    for (ts, value), (later, next_) in itertools.pairwise(good):
        if not 0 < next_ - value <= 20:
            assert value <= next_, f"{value} was followed by {next_}"
            assert any(ts < gone <= later for gone in away), f"unexplained: {value} → {next_}"
    assert any(isinstance(event, ConfigApplied) for event in cloud.states)
    assert states.encode(cloud.states)


@pytest.mark.system
def test_a_wrong_configuration_ends_with_its_place_and_exit_code_2(tmp_path: Path) -> None:
    path = write_config(tmp_path, edge=EDGE.replace("machining", "machning"))
    command = [sys.executable, str(ROOT / "onelot.py"), "edge", "--config", str(path), "--check"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f'{path}:1:7  edge: "machning" is not one of machining')
    assert "Traceback" not in ended.stderr


@pytest.mark.system
def test_a_taken_port_ends_with_what_to_change(tmp_path: Path) -> None:
    config, port = configure(tmp_path, free_port(), f"modbus://127.0.0.1:{free_port()}")
    command = [sys.executable, str(ROOT / "onelot.py"), "edge", "--config", str(config)]
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Change api.port in edge.yaml" in ended.stderr
