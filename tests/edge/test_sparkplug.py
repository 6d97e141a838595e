"""The edge as a Sparkplug node: its backlog, and what a lost broker does to it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edge.config import SparkplugConfig
from edge.sparkplug import SparkplugPublisher
from edge.sparkplug_backlog import Backlog
from protocols import telemetry
from protocols.broker import Broker
from protocols.catalogue import TagDefinition
from protocols.clock import Clock
from protocols.sparkplug_payload import Metric, Payload, SparkplugType, decode, encode
from protocols.sparkplug_topics import HostState, Kind, Topic, encode_state, parse, state_topic
from protocols.states import DeviceHeartbeat
from protocols.values import DataType, Sample
from tests.servers import MosquittoServer

TAGS = (TagDefinition(1, "press/count", DataType.UINT32, device="press"),)


# --- the backlog ----------------------------------------------------------------------------------------


def test_the_oldest_goes_when_the_file_is_full(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path / "s.db", 1000)
    backlog.append([(number, bytes(300)) for number in (1, 2, 3, 4)])
    assert [late.samples for late in backlog.after(0, 10)] == [2, 3, 4]
    assert (backlog.samples, backlog.dropped) == (9, 1)
    backlog.close()
    again = Backlog(tmp_path / "s.db", 1000)
    assert again.samples == 9
    again.remove(again.after(0, 10)[1].id)
    assert [late.samples for late in again.after(0, 10)] == [4]
    assert again.samples == 4
    again.close()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(OSError, match="version 9, this program knows 1"):
        Backlog(tmp_path / "s.db", 1000)


# --- with a broker --------------------------------------------------------------------------------------


class Listener:
    """Hears what is published in a group, over every start of the broker."""

    def __init__(self, broker: MosquittoServer) -> None:
        self.messages: list[tuple[Topic, Payload]] = []
        self.subscribed = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("spBv1.0/works/#", 1)
        self.client.on_subscribe = lambda *_: self._subscribed()
        self.client.on_message = self._heard
        self.client.reconnect_delay_set(1, 1)
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        assert self.subscribed.wait(10)

    def _subscribed(self) -> None:
        """The host is there: only now may its nodes speak."""
        state = HostState(True, time.time_ns() // 1_000_000)
        self.client.publish(state_topic("scada"), encode_state(state), 1, retain=True)
        self.subscribed.set()

    def _heard(self, _: Client, __: object, message: MQTTMessage) -> None:
        if (topic := parse(message.topic)) is not None:
            self.messages.append((topic, decode(bytes(message.payload))))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.client.on_connect = self.client.on_subscribe = self.client.on_message = None

    def kinds(self) -> list[str]:
        return [str(topic.kind) for topic, _ in self.messages]

    def values(self, *, historical: bool) -> list[object]:
        return [
            metric.value
            for topic, payload in self.messages
            if topic.kind in (Kind.DBIRTH, Kind.DDATA)
            for metric in payload.metrics
            if metric.historical is historical and metric.value is not None
        ]


@contextlib.asynccontextmanager
async def published(broker: MosquittoServer, folder: Path) -> AsyncIterator[SparkplugPublisher]:
    where = Broker(host=broker.host, port=broker.port)
    config = SparkplugConfig(group="works", primary_host="scada")

    async def definitions(_: bytes) -> tuple[TagDefinition, ...]:
        return TAGS

    node = SparkplugPublisher(config, "hall", where, folder, Clock(), definitions)
    running = asyncio.create_task(node.run())
    try:
        yield node
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - paho's thread sets no event of ours
            await asyncio.sleep(0.02)


def _count(node: SparkplugPublisher, *values: int) -> None:
    for value in values:
        node.committed(telemetry.columns(b"c" * 16, [Sample(1, node.clock.now(), value)]))


@pytest.mark.needs("mosquitto")
async def test_what_a_lost_broker_may_have_swallowed_comes_again(tmp_path: Path) -> None:
    with MosquittoServer(tmp_path / "broker") as broker:
        listener = Listener(broker)
        try:
            async with published(broker, tmp_path) as node:
                node.reported([DeviceHeartbeat(1, "press", True, 1)])
                _count(node, 1)
                await _until(lambda: 1 in listener.values(historical=False))
                assert listener.kinds()[0] == "NBIRTH"
                _count(node, 2, 3)
                await _until(lambda: 3 in listener.values(historical=False))
                broker.kill()
                await _until(lambda: node.health().state == "offline")
                _count(node, 4, 5)
                await _until(lambda: node.health().waiting >= 5)
                broker.start()
                await _until(lambda: {1, 2, 3, 4, 5} <= set(listener.values(historical=True)))
                _count(node, 6)
                await _until(lambda: 6 in listener.values(historical=False))
            await _until(lambda: listener.kinds()[-1] == "NDEATH")
        finally:
            listener.close()


@pytest.mark.needs("mosquitto")
async def test_a_write_that_comes_this_way_changes_nothing(tmp_path: Path) -> None:
    with MosquittoServer(tmp_path / "broker") as broker:
        listener = Listener(broker)
        try:
            async with published(broker, tmp_path) as node:
                _count(node, 1)
                await _until(lambda: 1 in listener.values(historical=False))
                before = len(listener.messages)
                write = encode(Payload(0, (Metric("press/count", 99, SparkplugType.UINT32),)))
                for topic in ("spBv1.0/works/NCMD/hall", "spBv1.0/works/DCMD/hall/press"):
                    listener.client.publish(topic, write, 1).wait_for_publish(5)
                _count(node, 2)
                await _until(lambda: 2 in listener.values(historical=False))
                # no birth, no death; the first value may come once more, from the backlog
                kinds = {kind for kind in listener.kinds()[before:] if not kind.endswith("CMD")}
                assert kinds == {"DDATA"}
                values = listener.values(historical=False) + listener.values(historical=True)
                assert set(values) == {1, 2}
        finally:
            listener.close()
