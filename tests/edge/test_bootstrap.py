"""The whole edge in one process: what its parts tell one another, and what survives a restart."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import httpx

from drivers.modbus.simulator import ModbusServer
from edge.agent import Agent
from edge.bootstrap import built
from edge.config import Setup, load_setup
from protocols import actions, jobs, session
from protocols.actions import Action, Booked, RunCompleted, RunOpened, RunPart
from protocols.jobs import JobList, JobOperation, Predecessor, ReleaseRequest, Text
from protocols.lanes import Down, Lane, up
from protocols.packing import digest
from protocols.session import Batch
from protocols.states import (
    AlarmChanged,
    CatalogueAnnounced,
    ConfigApplied,
    ItemState,
    JobsApplied,
    MachineStateChanged,
    StopClosed,
    StopOpened,
)
from tests.edge.clouds import Cloud
from tests.edge.machines import Ticks
from tests.edge.test_agent import PROFILE, configure
from tests.edge.test_config import SITE, write
from tests.servers import MosquittoServer, free_port

WORDS = Text("Bend", "折弯")


@contextlib.asynccontextmanager
async def living(setup: Setup) -> AsyncIterator[tuple[Agent, int]]:
    """The edge, running; with its API's port."""
    ready: asyncio.Queue[int] = asyncio.Queue()
    async with built(setup) as agent:
        task = asyncio.create_task(agent.run(ready.put_nowait))
        try:
            async with asyncio.timeout(20):
                port = await ready.get()
            yield agent, port
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(met: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not met within {seconds} s"
        await asyncio.sleep(0.02)


ALARM = "  alarm: {address: 'holding:8', type: uint16, role: alarm, sampling: 0.05}\n"


def prepare(folder: Path, broker: int, device: str) -> Setup:
    """Files of an edge with one press, and what they say."""
    folder.mkdir(exist_ok=True)
    config, _ = configure(folder, broker, device)
    (folder / "profiles" / "acme" / "press.yaml").write_text(PROFILE.replace("  parts:", ALARM + "  parts:"))
    return load_setup(config)


@contextlib.asynccontextmanager
async def shop(folder: Path, broker: int) -> AsyncIterator[tuple[ModbusServer, Setup]]:
    """A press that runs, and an edge configured for it."""
    port = free_port()
    setup = prepare(folder, broker, f"modbus://127.0.0.1:{port}?unit=1")
    server = ModbusServer(setup.machines[0].profile, port=port)
    server.update({"state": 3, "parts": 4})
    async with server:
        yield server, setup


def operation(name: str, *predecessors: Predecessor) -> JobOperation:
    return JobOperation(
        id=name,
        order="o-1",
        job="j-1",
        line=1,
        title=WORDS,
        product=WORDS,
        variant={},
        workcell="press-1",
        position=1,
        quantity=Decimal(4),
        unit="C62",
        good=Decimal(0),
        scrap=Decimal(0),
        state="planned",
        planned_start=0,
        planned_end=0,
        due=0,
        setup={},
        steps=(),
        predecessors=predecessors,
    )


async def test_the_edge_tells_what_it_is_and_what_its_machine_does(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    with Cloud(mosquitto.port) as cloud:
        async with shop(tmp_path / "shop", mosquitto.port) as (server, setup), living(setup) as (agent, port):
            await until(lambda: any(isinstance(e, MachineStateChanged) for e in cloud.states))
            announced, applied = cloud.states[:2]
            assert isinstance(announced, CatalogueAnnounced)
            assert announced.hash == announced.catalogue.content_hash()
            assert {tag.path: tag.role for tag in announced.catalogue.tags}["press-1/parts"] == "part_count"
            assert isinstance(applied, ConfigApplied)
            assert set(applied.hashes) == {"edge", "site", "profile:acme/press"}
            server.update({"state": 4, "alarm": 7})
            await until(lambda: any(isinstance(e, StopOpened) for e in cloud.states), 30)
            server.update({"state": 3, "alarm": 0})
            await until(lambda: any(isinstance(e, StopClosed) for e in cloud.states))
            stop = next(e for e in cloud.states if isinstance(e, StopOpened))
            assert (stop.workcell, stop.hint) == ("press-1", "fault")
            changes = [e.item_state for e in cloud.states if isinstance(e, MachineStateChanged)]
            assert changes == [ItemState.EXECUTING, ItemState.OUT_OF_SERVICE, ItemState.EXECUTING]
            alarms = [(e.alarm, e.active) for e in cloud.states if isinstance(e, AlarmChanged)]
            assert alarms == [("alarm:7", True), ("alarm:7", False)]
            await until(lambda: bool(agent.stations.view("press-1").stops))
            view = agent.stations.view("press-1")
            assert view.stops[0].id == stop.stop
            assert view.link.cloud
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                health = (await http.get("/health")).json()
                assert health["ok"]
                assert health["devices"][0] == {
                    "id": "press-1",
                    "address": health["devices"][0]["address"],
                    "connected": True,
                    "last_read": health["devices"][0]["last_read"],
                    "detail": "",
                    "problems": {},
                    "tried_every": 0.0,
                }
                assert health["devices"][0]["address"].startswith("modbus://127.0.0.1:")
                samples = health["samples"]
                assert samples["committed"] == samples["acked"] + samples["dropped"] + samples["queued"]
                assert health["rss_mb"] > 20
                await agent.outbox.stats()
                text = (await http.get("/metrics")).text
            assert 'onelot_device_connected{device="press-1"} 1.0' in text
            assert "onelot_cloud_answers 1.0" in text


async def test_a_catalogue_is_announced_again_when_the_cloud_asks(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    with Cloud(mosquitto.port) as cloud:
        async with shop(tmp_path / "shop", mosquitto.port) as (_, setup), living(setup) as (agent, _):
            await until(lambda: agent.uplink.status.cloud)
            cloud.send("machining", Down.CATALOGUE, b"never heard of")
            cloud.send("machining", Down.CATALOGUE, agent.recorder.catalogue)
            await until(lambda: sum(isinstance(e, CatalogueAnnounced) for e in cloud.states) == 2)
            hashes = {e.hash for e in cloud.states if isinstance(e, CatalogueAnnounced)}
            assert hashes == {agent.recorder.catalogue}


async def test_jobs_come_down_are_leased_and_given_back(tmp_path: Path, mosquitto: MosquittoServer) -> None:
    before = Predecessor("op-0", "coat-1", "coating", False, WORDS)
    with Cloud(mosquitto.port) as cloud:
        async with shop(tmp_path / "shop", mosquitto.port) as (_, base):
            site = base.site.model_copy(
                update={
                    "edges": (
                        *base.site.edges,
                        base.edge.model_copy(update={"id": "coating", "workcells": (), "devices": ()}),
                    )
                }
            )
            setup = Setup(base.config, site, base.edge, base.machines, base.sources)
            async with living(setup) as (agent, _):
                await until(lambda: agent.uplink.status.cloud)
                listed = JobList("machining", 5, 1, (operation("op-1", before), operation("op-2")))
                cloud.send("machining", Down.JOBS, jobs.encode(listed))
                await until(lambda: any(isinstance(e, JobsApplied) for e in cloud.states))
                assert agent.stations.jobs_version == 5
                request = ReleaseRequest("r-1", ("op-2",), "replan")
                cloud.send("machining", Down.RELEASE, jobs.encode(request))
                await until(lambda: bool(cloud.actions))
                assert type(cloud.actions[0].event).__name__ == "LeaseReleased"
                done = [
                    Action("n1", 1, "coat-1", "K1", RunOpened("run-9", (RunPart("op-0", Decimal(4)),))),
                    Action("n2", 2, "coat-1", "K1", Booked("run-9", "op-0", good=Decimal(4))),
                    Action("n3", 3, "coat-1", "K1", RunCompleted("run-9", ("op-0",))),
                ]
                blob = actions.encode(done)
                message = Batch(b"s" * 16, b"t" * 16, Lane.ACTIONS, 1, digest(blob), 3, False, blob)

                def waiting() -> set[str]:
                    queue = agent.stations.view("press-1").queue
                    return {predecessor.operation for each in queue for predecessor in each.waits_for}

                assert waiting() == {"op-0"}
                cloud.deaf = True
                cloud.publish(up("coating", Lane.ACTIONS), session.encode(message))
                await until(lambda: not waiting())


async def test_time_goes_on_after_a_restart_with_the_clock_an_hour_back(tmp_path: Path) -> None:
    setup = load_setup(
        write(tmp_path, site=SITE.replace("127.0.0.1:1502", f"127.0.0.1:{free_port()}"), profile=PROFILE)
    )
    ticks = Ticks()
    async with built(setup, clock=ticks.clock()) as agent:
        agent.recorder.rows.tags.append(1)
        agent.recorder.rows.times.append(ticks.wall)
        agent.recorder.rows.values.append(1)
        await agent.recorder.flush()
        first = agent.outbox.clock.now()
    ticks.wall -= 3_600_000_000
    ticks.elapsed = 0
    async with built(setup, clock=ticks.clock()) as agent:
        clock = agent.outbox.clock
        assert clock.now() > first
        assert clock.uncertain
        ticks.pass_(3600)
        ticks.wall += 3_601_000_000
        assert clock.now() == ticks.wall
        assert not clock.uncertain
