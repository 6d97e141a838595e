"""A configuration that changes all the time, under load, and an edge that is killed while it swaps."""

import asyncio
import copy
import itertools
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from edge.collector import Collector
from edge.watching import content_hash
from protocols import telemetry
from protocols.lanes import Lane
from protocols.states import CatalogueAnnounced, ConfigApplied, Notice
from tests.edge.clouds import Cloud
from tests.edge.shops import (
    COUNTER,
    METER,
    PRESS,
    counting,
    is_complete,
    living,
    numbers,
    runs,
    shop,
    told,
    until,
)
from tests.edge.test_agent import PROFILE, EdgeProcess, Listener, check_counter, configure, count_up
from tests.servers import MosquittoServer

TURNS = 12


def turned(turn: int) -> dict[str, Any]:
    """The press in another version: a tag more or less, another unit, other sampling."""
    profile = copy.deepcopy(PRESS)
    profile["tags"]["load"]["unit"] = ("A", "kW", "%")[turn % 3]
    if turn % 2:
        profile["tags"]["speed"] = {"address": "holding:6", "type": "uint16", "sampling": 0.05}
    return profile


async def test_changes_one_after_the_other_under_load_lose_no_number(tmp_path: Path) -> None:
    """The press takes two sessions and changes all the time; the meter beside it never does."""
    async with shop(tmp_path, watch=False) as made:
        made.devices["press-1"]["options"]["max_sessions"] = 2
        load = {
            f"in-{n}": {"address": f"holding:{10 + n}", "type": "uint16", "sampling": 0.1} for n in range(500)
        }
        made.write_profile("acme/rack", {**METER, "model": "Rack", "tags": {**load, "counter": COUNTER}})
        rack = ModbusServer(load_profile(tmp_path / "profiles" / "acme" / "rack.yaml"))
        made.devices["rack-1"] = {"profile": "acme/rack", "url": ""}
        async with rack:
            made.devices["rack-1"]["url"] = rack.url
            made.write_site()
            async with living(made.setup()) as agent:
                await until(lambda: all(collector.reads_well for collector in agent.devices))
                async with counting(made.servers["press-1"]), counting(made.servers["meter-1"]):
                    for turn in range(1, TURNS + 1):
                        path = made.write_profile("acme/press", turned(turn))
                        rack.update({f"in-{n}": turn for n in range(500)})
                        agent.reconfiguration.ask()
                        written = {"profile:acme/press": content_hash(path.read_bytes())}
                        await until(partial(runs, agent, written), 60)
                    reads = agent.devices.get("rack-1")
                    assert isinstance(reads, Collector)
                    await until(lambda: set(reads.values(load).values()) == {TURNS})
                await agent.devices.stop(agent.devices)  # nothing comes any more: what is told is all
                found = await told(agent)
                stats = await agent.outbox.stats()
        assert found.in_order
        assert not found.of(Notice)
        assert len(found.of(ConfigApplied)) == TURNS + 1
        assert len(found.of(CatalogueAnnounced)) == TURNS + 1
        assert is_complete(numbers(found.samples["press-1/counter"]))
        assert is_complete(numbers(found.samples["meter-1/counter"]))
        assert all(numbers(found.samples[f"rack-1/in-{n}"])[-1] == TURNS for n in range(500))
        assert stats.committed == stats.queued == sum(map(len, found.samples.values()))
        assert stats.dropped == 0


@pytest.mark.system
async def test_killed_while_it_swaps_it_loses_nothing(tmp_path: Path, mosquitto: MosquittoServer) -> None:
    server = ModbusServer(load_profile(_write(tmp_path / "machine", 0)))
    server.update({"state": 3, "parts": 4})
    async with server:
        counter = asyncio.create_task(count_up(server))
        try:
            await asyncio.to_thread(_live_through, tmp_path / "edge", mosquitto.port, server.url)
        finally:
            counter.cancel()


def _write(folder: Path, turn: int) -> Path:
    """The press of the tests of the agent, in another version each turn."""
    folder.mkdir(parents=True, exist_ok=True)
    more = f"  load-{turn}: {{address: 'holding:8', type: uint16, sampling: 0.05}}\n" if turn else ""
    draft = folder / "press.draft"
    draft.write_text(PROFILE.replace("  parts:", more + "  parts:"))
    return draft.replace(folder / "press.yaml")


def _live_through(folder: Path, broker: int, device: str) -> None:
    folder.mkdir()
    config, port = configure(folder, broker, device)
    profiles = folder / "profiles" / "acme"
    with Listener() as listener, Cloud(broker) as cloud:
        edge = EdgeProcess(config, port, listener.address)
        turns = itertools.count(1)
        for round_ in range(5):
            edge.start()
            edge.until(lambda health: health["ok"])
            token = (folder / "data" / "api.token").read_text().strip()
            for _ in range(2):
                _write(profiles, next(turns))
                asked = httpx.post(
                    f"http://127.0.0.1:{port}/v1/reload",
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=20,
                )
                assert asked.status_code == 200, asked.text
                time.sleep(0.08 * round_)
            edge.kill()
        edge.start()
        last = f"press-1/load-{next(turns) - 1}"
        edge.until(lambda health: health["ok"] and health["link"]["queued_batches"] == 0)
        assert edge.stop() == 0
        edge.start()
        edge.until(lambda health: health["ok"] and health["link"]["queued_batches"] == 0)
        assert edge.stop() == 0
        ledgered = {(key.stream.hex(), str(key.lane), key.seq) for key in cloud.ledger.batches}
        told_ = {(line["stream"], line["lane"], line["seq"]) for line in listener.lines}
        final = listener.lines[-1]["stream"]
        assert {key for key in told_ - ledgered if key[0] != final} == set(), "committed, and not ledgered"
        assert not cloud.doubled
        announced = {event.hash: event for event in cloud.states if isinstance(event, CatalogueAnnounced)}
        explained = [
            telemetry.decode(batch.blob).catalogue in announced
            for key, batch in cloud.ledger.batches.items()
            if key.lane is Lane.TELEMETRY
        ]
        assert explained
        assert all(explained)
        assert any(tag.path == last for tag in list(announced.values())[-1].catalogue.tags)
        check_counter(cloud)
