"""``kill -9`` of the ingest in the middle of commits, over a real broker: what was acknowledged is there."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.ledger import reading, tables
from cloud.store.database import Database
from cloud.store.schema import migrate
from protocols.lanes import Down, Lane, down
from protocols.session import BatchKey
from tests.cloud.edges import MemoryEdge
from tests.servers import MosquittoServer

KILLS = 4
BACKLOG = 200
"""Batches an edge lets wait: the test is about the cloud, and the edge here is not made for more."""

ROOT = Path(__file__).parents[2]


class Cloud:
    """The process under test."""

    def __init__(self, url: str, broker: MosquittoServer, edges: list[str]) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tests.cloud.ingest_process",
            url,
            broker.host,
            str(broker.port),
        ]
        self._command += edges
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoServer]:
    with MosquittoServer(tmp_path / "broker") as server:
        yield server


@pytest.mark.system
@pytest.mark.timeout(300)
def test_no_acknowledged_batch_is_missing_after_kills(url: str, broker: MosquittoServer) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    names = ["machining", "coating"]
    client = Client(CallbackAPIVersion.VERSION2)
    edges = {name: MemoryEdge(name, lambda topic, payload: client.publish(topic, payload)) for name in names}
    client.on_message = lambda _c, _d, m: edges[m.topic.split("/")[3]].inbox.put(bytes(m.payload))
    client.on_connect = lambda c, *_: c.subscribe([(down(name, Down.SESSION), 0) for name in names])
    client.connect(broker.host, broker.port)
    client.loop_start()
    with Database(url) as database:
        migrate(database)
    cloud = Cloud(url, broker, names)
    committed: dict[BatchKey, bytes] = {}
    acted = 0
    chance = random.Random(7)
    try:
        cloud.start()
        for edge in edges.values():
            edge.announce()
            edge.connect()
        for _ in range(KILLS):
            enough = sum(len(edge.acked) for edge in edges.values()) + chance.randrange(20, 60)
            until = time.monotonic() + 60
            while sum(len(edge.acked) for edge in edges.values()) < enough:
                waiting = {edge.edge: (len(edge.rows), edge.state) for edge in edges.values()}
                assert time.monotonic() < until, f"the cloud acknowledges nothing: {waiting}"
                for edge in edges.values():
                    if len(edge.rows) < BACKLOG:
                        for key in (edge.samples(50), edge.act(f"action-{acted}")):
                            committed[key] = edge.rows[key][0].digest
                        acted += 1
                    edge.turn(0.002)
            cloud.kill()
            cloud.start()
        for edge in edges.values():
            edge.drain(60)
    finally:
        cloud.kill()
        client.disconnect()
        client.loop_stop()
    at = tables.batch.c
    with Database(url) as database, database.read() as reader:
        ledgered = {
            BatchKey(bytes(row.stream), Lane(row.lane), row.seq): bytes(row.digest)
            for row in reader.execute(select(at.stream, at.lane, at.seq, at.digest))
        }
        in_order = reader.execute(
            select(at.stream, at.seq).where(at.lane == Lane.ACTIONS.value).order_by(at.id)
        ).all()
        counted, again = reading.counters(reader), reading.recount(reader)
    assert {key: digest for key, digest in committed.items() if ledgered.get(key) != digest} == {}
    for stream in {row.stream for row in in_order}:
        seqs = [row.seq for row in in_order if row.stream == stream]
        assert seqs == sorted(seqs)
    assert counted.actions == acted
    assert (counted.batches, counted.samples, counted.actions) == (
        again.batches,
        again.samples,
        again.actions,
    )
    assert (counted.forks, counted.quarantined, counted.repeated_actions) == (0, 0, 0)
