"""The uplink against a real broker: delivery, outages, restarts of either side, black holes, TLS."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
import structlog
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge.outbox.outbox import Outbox, OutboxBounds, append_actions, append_samples
from edge.outbox.store import Store, StoreLimits
from edge.pipe import MqttPipe, PipeEvent, _Attempt
from edge.uplink import Handlers, Running, Uplink, topics
from protocols import actions, jobs, session, telemetry
from protocols.actions import Action, ShiftNote
from protocols.broker import Broker, Tls
from protocols.clock import Clock
from protocols.jobs import JobList, ReleaseRequest
from protocols.lanes import Down, Lane, up
from protocols.link_window import Timing
from protocols.packing import digest
from protocols.prognostics.deployment import Deployment, Part
from protocols.session import Batch
from protocols.states import Notice
from protocols.telemetry import SampleColumns
from protocols.values import Sample
from protocols.waveforms.messages import Wanted, encode_wanted
from tests.edge.clouds import Cloud, MemoryLedger
from tests.edge.networks import BlackHole, certificates
from tests.servers import MosquittoServer, free_port

EDGE = "machining"


class Heard:
    """What the handlers were given."""

    def __init__(self) -> None:
        self.jobs: list[JobList] = []
        self.releases: list[ReleaseRequest] = []
        self.neighbours: list[tuple[str, list[Action]]] = []
        self.catalogues: list[bytes] = []
        self.waveforms: list[Wanted] = []
        self.models: list[Deployment | Part] = []

    async def take_jobs(self, message: JobList) -> None:
        self.jobs.append(message)

    async def take_release(self, message: ReleaseRequest) -> None:
        self.releases.append(message)

    async def take_catalogue(self, content_hash: bytes) -> None:
        self.catalogues.append(content_hash)

    async def take_waveform(self, wanted: Wanted) -> None:
        self.waveforms.append(wanted)

    async def take_models(self, message: Deployment | Part) -> None:
        self.models.append(message)

    async def take_neighbour(self, edge: str, done: list[Action]) -> None:
        self.neighbours.append((edge, done))


@contextlib.asynccontextmanager
async def running(
    folder: Path, broker: Broker, heard: Heard | None = None, bounds: OutboxBounds | None = None
) -> AsyncIterator[tuple[Outbox, Uplink]]:
    handlers = heard or Heard()
    store = Store(folder / "edge.db", limits=StoreLimits(ballast=0))
    outbox = Outbox(store, Clock(), bounds or OutboxBounds())

    def pipe(deliver: Callable[[PipeEvent], None]) -> MqttPipe:
        return MqttPipe(broker, f"onelot-{EDGE}", topics(EDGE, ["coating"]), deliver)

    async with store:
        await outbox.open()
        uplink = Uplink(
            EDGE,
            outbox,
            Running({"site": "s1"}, b"catalogue"),
            Handlers(
                handlers.take_jobs,
                handlers.take_release,
                handlers.take_neighbour,
                handlers.take_catalogue,
                handlers.take_waveform,
                handlers.take_models,
            ),
            pipe,
            Timing(resend_first=0.5, resend_least=0.5),
        )
        task = asyncio.create_task(uplink.run())
        try:
            yield outbox, uplink
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(met: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    start = time.monotonic()
    while not met():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not met within {seconds} s")
        await asyncio.sleep(0.02)


def action(n: int) -> Action:
    return Action(f"a{n}", 1_000 + n, "brake-1", "K7", ShiftNote(f"note {n}"))


def samples(start: int, count: int) -> SampleColumns:
    return telemetry.columns(b"c", [Sample(1, 1_000 + n, n) for n in range(start, start + count)])


async def act(outbox: Outbox, n: int) -> None:
    await outbox.store.run(lambda db: append_actions(db, [action(n)]))


async def measure(outbox: Outbox, start: int, count: int) -> None:
    live = outbox.live
    await outbox.store.run(lambda db: append_samples(db, samples(start, count), sealed=live))


async def drained(outbox: Outbox) -> None:
    async def empty() -> bool:
        stats = await outbox.stats()
        return not stats.queued_batches

    deadline = time.monotonic() + 60
    while not await empty():
        assert time.monotonic() < deadline, "the outbox does not drain"
        await asyncio.sleep(0.02)


def said(logs: Sequence[Mapping[str, object]], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


def address(broker: MosquittoServer) -> Broker:
    return Broker(host=broker.host, port=broker.port)


async def test_what_is_recorded_arrives_and_is_deleted(tmp_path: Path, mosquitto: MosquittoServer) -> None:
    with Cloud(mosquitto.port) as cloud:
        async with running(tmp_path, address(mosquitto)) as (outbox, uplink):
            await act(outbox, 1)
            await until(lambda: outbox.live)
            await measure(outbox, 0, 50)
            await act(outbox, 2)
            await until(lambda: len(cloud.samples) == 50 and len(cloud.actions) == 2)
            await drained(outbox)
            assert cloud.actions == [action(1), action(2)]
            assert cloud.samples == list(samples(0, 50).samples())
            stats = await outbox.stats()
            assert (stats.committed, stats.acked, stats.delivered, stats.queued) == (50, 50, 2, 0)
            assert uplink.status.online
            assert uplink.status.cloud
            assert uplink.status.last_ack is not None
            assert cloud.hellos[0].configs == {"site": "s1"}


async def test_an_edge_that_was_killed_sends_what_it_had_first_as_history(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    async with running(tmp_path, Broker(port=free_port())) as (outbox, _):
        for n in range(30):
            await measure(outbox, n * 10, 10)
            await act(outbox, n)
    with Cloud(mosquitto.port) as cloud:
        async with running(tmp_path, address(mosquitto)) as (outbox, _):
            await until(lambda: outbox.live)
            await measure(outbox, 300, 10)
            await act(outbox, 30)
            await drained(outbox)
        assert cloud.actions == [action(n) for n in range(31)]
        assert sorted(cloud.samples) == list(samples(0, 310).samples())
        flags = [cloud.ledger.historical[key] for key in cloud.ledger.order if key.lane is Lane.TELEMETRY]
        assert flags.count(False) == 1


async def test_the_broker_is_killed_and_comes_back(tmp_path: Path) -> None:
    with MosquittoServer(tmp_path / "broker") as broker, Cloud(broker.port) as cloud:
        async with running(tmp_path, address(broker)) as (outbox, uplink):
            await until(lambda: outbox.live)
            await act(outbox, 0)
            await until(lambda: len(cloud.actions) == 1)
            broker.kill()
            await until(lambda: not uplink.status.online)
            for n in range(1, 6):
                await act(outbox, n)
                await measure(outbox, n * 10, 10)
            await asyncio.to_thread(broker.start)
            await until(lambda: uplink.status.online)
            await drained(outbox)
            assert cloud.actions == [action(n) for n in range(6)]
            assert not cloud.doubled


async def test_the_service_restarts_and_knows_the_session_no_more(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    ledger = MemoryLedger()
    async with running(tmp_path, address(mosquitto)) as (outbox, _):
        with Cloud(mosquitto.port, ledger=ledger):
            await act(outbox, 0)
            await drained(outbox)
        await act(outbox, 1)
        with Cloud(mosquitto.port, ledger=ledger) as cloud:
            await act(outbox, 2)
            await drained(outbox)
            assert cloud.actions == [action(0), action(1), action(2)]


async def test_a_silent_service_shows_as_no_cloud(tmp_path: Path, mosquitto: MosquittoServer) -> None:
    with Cloud(mosquitto.port) as cloud:
        async with running(tmp_path, address(mosquitto)) as (outbox, uplink):
            await until(lambda: uplink.status.cloud)
            cloud.deaf = True
            await act(outbox, 0)
            await until(lambda: not uplink.status.cloud)
            cloud.deaf = False
            await until(lambda: uplink.status.cloud)
            await drained(outbox)
            assert cloud.actions == [action(0)]


async def test_what_comes_down_and_what_neighbours_did_reaches_the_handlers(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    heard = Heard()
    with Cloud(mosquitto.port) as cloud:
        async with running(tmp_path, address(mosquitto), heard) as (_, uplink):
            await until(lambda: uplink.status.cloud)
            listed = JobList(EDGE, 7, 1_000, ())
            asked = ReleaseRequest("r1", ("op-1",), "replan")
            cloud.send(EDGE, Down.JOBS, b"no job list")
            cloud.send(EDGE, Down.JOBS, jobs.encode(listed))
            cloud.send(EDGE, Down.RELEASE, jobs.encode(asked))
            cloud.send(EDGE, Down.SESSION, b"\xff")
            cloud.send(EDGE, Down.CATALOGUE, b"hash")
            cloud.send(EDGE, Down.WAVEFORM, encode_wanted(Wanted("w1", "laser-1/drive", 1, 2)))
            cloud.send(EDGE, Down.WAVEFORM, b"no question")
            blob = session.encode(neighbour_batch([action(4)]))
            cloud.deaf = True
            cloud.publish(up("coating", Lane.ACTIONS), blob)
            cloud.publish(up("assembly", Lane.ACTIONS), blob)
            cloud.deaf = False
            await until(lambda: bool(heard.neighbours))
            assert heard.jobs == [listed]
            assert heard.releases == [asked]
            assert heard.catalogues == [b"hash"]
            assert heard.waveforms == [Wanted("w1", "laser-1/drive", 1, 2)]
            assert heard.neighbours == [("coating", [action(4)])]
            assert uplink.stats.undecodable == 3


async def test_neighbours_hear_what_was_done_while_the_cloud_is_stopped(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    heard: list[Action] = []
    neighbour = Client(CallbackAPIVersion.VERSION2)
    neighbour.on_connect = lambda client, *_: client.subscribe(up(EDGE, Lane.ACTIONS))
    neighbour.on_message = lambda _c, _u, m: heard.extend(
        actions.decode(session.decode_batch(bytes(m.payload)).blob)
    )
    neighbour.connect("127.0.0.1", mosquitto.port)
    neighbour.loop_start()
    try:
        async with running(tmp_path, address(mosquitto)) as (outbox, uplink):
            await act(outbox, 0)
            await until(lambda: action(0) in heard)
            await act(outbox, 1)
            await until(lambda: action(1) in heard)
            assert not uplink.status.cloud
            with Cloud(mosquitto.port) as cloud:
                await drained(outbox)
                assert cloud.actions == [action(0), action(1)]
    finally:
        neighbour.disconnect()
        neighbour.loop_stop()
        neighbour.on_connect = neighbour.on_message = None


def neighbour_batch(done: list[Action]) -> Batch:
    blob = actions.encode(done)
    return Batch(b"s" * 16, b"t" * 16, Lane.ACTIONS, 1, digest(blob), len(done), False, blob)


async def test_a_fork_is_sent_under_a_new_key_and_somebody_is_told(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    async with running(tmp_path, Broker(port=free_port())) as (outbox, _):
        await act(outbox, 1)
        (queued,) = await outbox.pending()
    ledger = MemoryLedger()
    forked = neighbour_batch([action(99)])
    ledger.batches[queued.key] = Batch(
        b"s" * 16, *queued.key, forked.digest, forked.count, False, forked.blob
    )
    with Cloud(mosquitto.port, ledger=ledger) as cloud:
        async with running(tmp_path, address(mosquitto)) as (outbox, uplink):
            await until(lambda: any(isinstance(event, Notice) for event in cloud.states))
            await drained(outbox)
            assert cloud.actions == [action(1)]
            assert uplink.stats.alarms == 1
            notice = next(event for event in cloud.states if isinstance(event, Notice))
            assert notice.code == "link.fork"


async def test_a_network_that_swallows_everything_is_noticed_and_left(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    hole = BlackHole(mosquitto.port)
    try:
        with Cloud(mosquitto.port) as cloud:
            async with running(tmp_path, Broker(port=hole.port)) as (outbox, uplink):
                await until(lambda: outbox.live)
                hole.swallow.set()
                await act(outbox, 1)
                await until(lambda: not uplink.status.online)
                hole.swallow.clear()
                await drained(outbox)
                assert cloud.actions == [action(1)]
                assert hole.accepted >= 2
    finally:
        hole.close()


async def test_whatever_breaks_an_attempt_to_connect_the_next_one_is_made(
    tmp_path: Path, mosquitto: MosquittoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = _Attempt.open, [OSError(24, "Too many open files"), RuntimeError("no thread")]

    def opening(attempt: _Attempt) -> bool:
        if broken:
            raise broken.pop()
        return whole(attempt)

    monkeypatch.setattr(_Attempt, "open", opening)
    with Cloud(mosquitto.port) as cloud:
        async with running(tmp_path, address(mosquitto)) as (outbox, _):
            await act(outbox, 1)
            await drained(outbox)
            assert cloud.actions == [action(1)]
    assert not broken


async def test_a_password_and_a_client_certificate(tmp_path: Path) -> None:
    ca, server, client = certificates(tmp_path)
    passwords = tmp_path / "broker" / "passwords"
    passwords.parent.mkdir()
    made = await asyncio.create_subprocess_exec(
        "mosquitto_passwd", "-c", "-b", str(passwords), "machining", "geheim", stderr=-3
    )
    if await made.wait():
        pytest.skip("mosquitto_passwd does not work here")
    options = [
        f"password_file {passwords}",
        f"cafile {ca}",
        f"certfile {server}.pem",
        f"keyfile {server}.key",
        "require_certificate true",
    ]
    (tmp_path / "password").write_text("geheim\n")
    tls = Tls(ca=ca, cert=Path(f"{client}.pem"), key=Path(f"{client}.key"))
    with MosquittoServer(tmp_path / "broker", *options, allow_anonymous=False) as broker:
        good = Broker(
            host="localhost",
            port=broker.port,
            username="machining",
            password_file=tmp_path / "password",
            tls=tls,
        )
        async with running(tmp_path / "one", good) as (_, uplink):
            await until(lambda: uplink.status.online)
        for bad in (
            good.model_copy(update={"username": "coating"}),
            good.model_copy(update={"tls": Tls(ca=ca)}),
            good.model_copy(update={"tls": None}),
        ):
            with structlog.testing.capture_logs() as logs:
                async with running(tmp_path / "two", bad) as (_, uplink):
                    await until(partial(said, logs, "broker.lost"))
                    assert not uplink.status.online
