"""The embedded broker, and the pipe against it and against Mosquitto."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from cloud.broker import BrokerRefusedError, settings
from cloud.mqtt import Address, MqttPipe
from tests.servers import MosquittoServer, free_port

TOPIC = "onelot/v1/edges/a/up/actions"


@contextlib.asynccontextmanager
async def piped(address: Address) -> AsyncIterator[tuple[MqttPipe, asyncio.Queue[tuple[str, bytes]]]]:
    """A running pipe that hears what it publishes on ``TOPIC``."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    def receive(topic: str, payload: bytes) -> None:
        loop.call_soon_threadsafe(heard.put_nowait, (topic, payload))

    pipe = MqttPipe(address, "test", ["onelot/v1/edges/+/up/+"], receive)
    running = asyncio.create_task(pipe.run())
    try:
        yield pipe, heard
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread makes true."""
    async with asyncio.timeout(30):
        while True:
            if condition():
                return
            await asyncio.sleep(0.02)


async def wait_for(pipe: MqttPipe, *, connected: bool) -> None:
    await until(lambda: pipe.connected is connected)


def _is_refused(pipe: MqttPipe) -> bool:
    return "refuses" in pipe.problem


async def echo(pipe: MqttPipe, heard: asyncio.Queue[tuple[str, bytes]], payload: bytes) -> None:
    """Publish until it is heard: a subscription takes a moment, and QoS 0 promises nothing."""
    async with asyncio.timeout(30):
        while True:
            pipe.publish(TOPIC, payload)
            with contextlib.suppress(TimeoutError):
                assert await asyncio.wait_for(heard.get(), 0.5) == (TOPIC, payload)
                return


class BrokerProcess:
    """``onelot broker`` as a process."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "onelot", "broker", "--port", str(self.port), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def stop(self, how: signal.Signals) -> tuple[int, str]:
        assert self._process is not None
        self._process.send_signal(how)
        out, errors = self._process.communicate(timeout=30)
        code, self._process = self._process.returncode, None
        return code, (out + errors).decode()


@pytest.mark.system
async def test_the_embedded_broker_survives_a_kill_and_stays_quiet() -> None:
    broker = BrokerProcess()
    broker.start()
    address = Address("127.0.0.1", broker.port)
    try:
        async with piped(address) as (pipe, heard):
            await wait_for(pipe, connected=True)
            await echo(pipe, heard, b"before")
            broker.stop(signal.SIGKILL)
            await wait_for(pipe, connected=False)
            assert not pipe.publish(TOPIC, b"into the void")
            broker.start()
            await wait_for(pipe, connected=True)
            await echo(pipe, heard, b"after")
    finally:
        code, printed = broker.stop(signal.SIGTERM)
    assert code == 0
    assert printed == f"MQTT 3.1.1 broker on 127.0.0.1:{broker.port} (Ctrl-C stops it)\n"


@pytest.mark.parametrize("version", ["auto", "5", "3.1.1"])
async def test_the_pipe_comes_back_to_mosquitto(
    tmp_path: Path, version: Literal["auto", "5", "3.1.1"]
) -> None:
    with MosquittoServer(tmp_path) as broker:
        async with piped(Address(broker.host, broker.port, version=version)) as (pipe, heard):
            await wait_for(pipe, connected=True)
            await echo(pipe, heard, b"before")
            await asyncio.to_thread(broker.kill)
            await wait_for(pipe, connected=False)
            assert pipe.problem
            await asyncio.to_thread(broker.start)
            began = time.monotonic()
            await wait_for(pipe, connected=True)
            assert time.monotonic() - began < 10
            await echo(pipe, heard, b"after")
        assert not pipe.connected


async def test_a_refused_login_says_so(tmp_path: Path) -> None:
    with MosquittoServer(tmp_path, allow_anonymous=False) as broker:
        async with piped(Address(broker.host, broker.port, "nobody", "wrong")) as (pipe, _):
            await until(partial(_is_refused, pipe))
            assert "Not authorized" in pipe.problem
            assert not pipe.connected


def test_an_open_broker_stays_on_this_machine(tmp_path: Path) -> None:
    for loopback in ("127.0.0.1", "::1", "localhost"):
        assert settings(loopback, 1883, None, allow_anonymous=False)
    with pytest.raises(BrokerRefusedError, match="--password-file"):
        settings("0.0.0.0", 1883, None, allow_anonymous=False)
    with pytest.raises(BrokerRefusedError, match="does not exist"):
        settings("0.0.0.0", 1883, tmp_path / "users", allow_anonymous=True)
    assert settings("0.0.0.0", 1883, None, allow_anonymous=True)["plugins"]
    assert settings("::", 1883, None, allow_anonymous=True)["listeners"]["default"]["bind"] == "[::]:1883"


@pytest.mark.system
async def test_the_embedded_broker_asks_for_passwords(tmp_path: Path) -> None:
    from pwdlib import PasswordHash

    users = tmp_path / "users"
    users.write_text(f"cloud:{PasswordHash.recommended().hash('right')}\n")
    broker = BrokerProcess("--password-file", str(users))
    broker.start()
    try:
        async with piped(Address("127.0.0.1", broker.port, "cloud", "right")) as (pipe, heard):
            await wait_for(pipe, connected=True)
            await echo(pipe, heard, b"known")
        for user, password in (("cloud", "wrong"), ("", "")):
            async with piped(Address("127.0.0.1", broker.port, user, password)) as (refused, _):
                await until(partial(_is_refused, refused))
                assert not refused.connected
    finally:
        broker.stop(signal.SIGTERM)
