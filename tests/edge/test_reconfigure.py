"""The running edge takes a changed configuration: checked, tried, swapped, rolled back, felt by no other."""

import asyncio
import contextlib
import copy
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.collector import Collector
from edge.watching import content_hash
from protocols.documents import DocumentError
from protocols.states import CatalogueAnnounced, ConfigApplied, DeviceHeartbeat, MachineStateChanged, Notice
from protocols.values import Quality, Sample
from tests.edge.shops import METER, PRESS, counting, is_complete, living, numbers, runs, shop, told, until
from tests.servers import free_port


def press(**tags: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(PRESS)
    changed["tags"] |= tags
    return changed


def bad(samples: list[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.quality is Quality.BAD]


async def test_a_changed_profile_changes_its_device_and_no_other(tmp_path: Path) -> None:
    async with shop(tmp_path) as made, counting(made.servers["meter-1"]), living(made.setup()) as agent:
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        before = agent.reconfiguration.health.hashes
        made.write_profile(
            "acme/press",
            press(
                load={"address": "holding:2", "type": "uint16", "unit": "kW", "sampling": 0.05},
                speed={"address": "holding:2", "type": "uint16", "sampling": 0.05},
            ),
        )
        await until(lambda: agent.reconfiguration.health.hashes != before)
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        made.servers["press-1"].set("load", 41)
        await asyncio.sleep(0.5)
        found = await told(agent)
        assert found.in_order
        # The neighbour has not missed a number, and was never lost.
        assert is_complete(numbers(found.samples["meter-1/counter"]))
        assert not bad(found.samples["meter-1/counter"])
        announced = found.of(CatalogueAnnounced)
        old, new = ({tag.path: tag for tag in each.catalogue.tags} for each in (announced[0], announced[-1]))
        assert new["press-1/speed"].number not in {tag.number for tag in old.values()}
        assert new["press-1/load"].number != old["press-1/load"].number
        assert new["press-1/state"].number == old["press-1/state"].number
        load = {sample.tag: sample.value for sample in found.samples["press-1/load"]}
        assert load == {old["press-1/load"].number: None, new["press-1/load"].number: 41}
        assert [sample.value for sample in found.samples["press-1/speed"]][-1] == 41
        applied = found.of(ConfigApplied)
        assert applied[-1].hashes == agent.reconfiguration.health.hashes
        assert {name for name, hash_ in applied[-1].hashes.items() if applied[0].hashes[name] != hash_} == {
            "profile:acme/press"
        }
        assert not found.of(Notice)
        for samples in found.samples.values():
            for _, each in itertools.groupby(sorted(samples, key=lambda s: s.tag), key=lambda s: s.tag):
                times = [sample.ts for sample in each]
                assert times == sorted(set(times))


async def test_with_a_second_session_the_old_driver_reads_until_the_new_one_does(tmp_path: Path) -> None:
    async with shop(tmp_path) as made, counting(made.servers["press-1"]):
        made.devices["press-1"]["options"]["max_sessions"] = 2
        made.write_site()
        async with living(made.setup()) as agent:
            await until(lambda: all(collector.reads_well for collector in agent.devices))
            before = agent.devices.get("press-1")
            made.write_profile("acme/press", press(speed={"address": "holding:2", "type": "uint16"}))
            await until(lambda: agent.devices.get("press-1") is not before)
            await asyncio.sleep(0.5)
            found = await told(agent)
            assert is_complete(numbers(found.samples["press-1/counter"]))
            assert not any(bad(samples) for samples in found.samples.values())
            assert found.samples["press-1/speed"][0].value == 40
            beats = [e.connected for e in found.of(DeviceHeartbeat) if e.device == "press-1"]
            assert beats == [False, True, True], "at the start, and when the new one took over"
            assert [e.detail for e in found.of(MachineStateChanged)] == ["3"]


@pytest.mark.parametrize("sessions", [1, 2])
async def test_what_does_not_work_is_rolled_back_and_not_tried_again(tmp_path: Path, sessions: int) -> None:
    async with shop(tmp_path) as made, counting(made.servers["press-1"]):
        made.devices["press-1"]["options"]["max_sessions"] = sessions
        made.write_site()
        async with living(made.setup()) as agent:
            await until(lambda: all(collector.reads_well for collector in agent.devices))
            hashes = agent.reconfiguration.health.hashes
            right = dict(made.devices["press-1"])
            made.devices["press-1"]["url"] = f"modbus://127.0.0.1:{free_port()}?unit=1"
            made.write_site()
            await until(lambda: bool(agent.reconfiguration.health.rejected))
            await until(lambda: all(collector.reads_well for collector in agent.devices))
            assert agent.reconfiguration.health.hashes == hashes, "the site is not what runs"
            made.devices["meter-1"]["title"] = "Main meter"
            made.write_site()
            await asyncio.sleep(2.5)
            found = await told(agent)
            notices = [(e.code, e.severity) for e in found.of(Notice)]
            assert notices == [("config.rolled_back", "error")], "once, though the site changed elsewhere"
            assert "press-1 runs with its old configuration" in found.of(Notice)[0].text
            assert "connection refused" in found.of(Notice)[0].text
            assert bool(bad(found.samples["press-1/counter"])) == (sessions == 1)
            assert not bad(found.samples.get("meter-1/counter", []))
            made.devices["press-1"] = {**right, "title": "The press"}
            made.write_site()
            await until(lambda: not agent.reconfiguration.health.rejected)
            await until(lambda: agent.reconfiguration.health.hashes["site"] != hashes["site"])
            seen = numbers((await told(agent)).samples["press-1/counter"])
            await until(lambda: all(collector.reads_well for collector in agent.devices))
            await asyncio.sleep(0.5)
            assert numbers((await told(agent)).samples["press-1/counter"])[-1] > seen[-1]


async def test_a_map_that_reads_nothing_is_rolled_back_too(tmp_path: Path) -> None:
    async with shop(tmp_path) as made, living(made.setup()) as agent:
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        wrong = press()
        for tag in wrong["tags"].values():
            tag["address"] = tag["address"].replace(":", ":900")
        made.write_profile("acme/press", wrong)
        await until(lambda: bool(agent.reconfiguration.health.rejected))
        assert "every tag is bad" in agent.reconfiguration.health.rejected["press-1"]
        await until(lambda: all(collector.reads_well for collector in agent.devices))


async def test_a_wrong_address_is_mended_at_once(tmp_path: Path) -> None:
    """What did not work before has nothing to lose: no trial, and no probation to wait for."""
    async with shop(tmp_path, probation=600) as made:
        right = made.devices["press-1"]["url"]
        made.devices["press-1"]["url"] = f"modbus://127.0.0.1:{free_port()}?unit=1"
        made.write_site()
        async with living(made.setup()) as agent:
            await until(lambda: agent.devices.get("meter-1").reads_well)  # type: ignore[union-attr]
            made.devices["press-1"]["url"] = right
            made.write_site()
            await until(lambda: all(collector.reads_well for collector in agent.devices))
            await until(lambda: not agent.reconfiguration.health.trying)


async def test_a_wrong_file_touches_nothing_and_is_said_once(tmp_path: Path) -> None:
    async with shop(tmp_path) as made, counting(made.servers["press-1"]), living(made.setup()) as agent:
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        collectors = list(agent.devices)
        path = made.write_profile("acme/press", press(load={"address": "holding:2", "type": "unit16"}))
        await until(lambda: bool(agent.reconfiguration.health.problems))
        (problem,) = agent.reconfiguration.health.problems
        assert problem.startswith(f"{path}:")
        assert '"unit16" is not one of' in problem
        path.write_text(path.read_text() + "\n")  # the same mistake again
        await asyncio.sleep(2.5)
        assert list(agent.devices) == collectors
        found = await told(agent)
        assert [e.code for e in found.of(Notice)] == ["config.invalid"]
        assert problem in found.of(Notice)[0].text
        assert is_complete(numbers(found.samples["press-1/counter"]))
        made.write_profile("acme/press", press())
        await until(lambda: not agent.reconfiguration.health.problems)
        assert list(agent.devices) == collectors, "it is what runs"


async def test_devices_come_and_go(tmp_path: Path) -> None:
    async with (
        contextlib.AsyncExitStack() as stack,
        shop(tmp_path) as made,
        counting(made.servers["press-1"]),
        living(made.setup()) as agent,
    ):
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        del made.devices["meter-1"]
        made.write_profile("acme/meter-2", METER)
        await made.add(stack, "meter-2", "acme/meter-2")
        made.write_site()
        await until(lambda: [c.device.id for c in agent.devices if c.reads_well] == ["press-1", "meter-2"])
        await until(lambda: "profile:acme/meter-2" in agent.reconfiguration.health.hashes)
        found = await told(agent)
        assert is_complete(numbers(found.samples["press-1/counter"]))
        assert found.samples["meter-1/counter"][-1].quality is Quality.BAD
        assert found.samples["meter-2/counter"][-1].value == 0
        last = [e for e in found.of(DeviceHeartbeat) if e.device == "meter-1"][-1]
        assert (last.connected, last.detail) == (False, "removed from the configuration")
        paths = [tag.path for tag in found.of(CatalogueAnnounced)[-1].catalogue.tags]
        assert "meter-2/counter" in paths
        assert "meter-1/counter" not in paths
        health: Any = await agent.health()
        assert [device.id for device in health["devices"]] == ["press-1", "meter-2"]
        assert b'device="meter-1"' not in agent.metrics.text()


async def test_what_the_edge_was_started_with_waits_for_the_next_start(tmp_path: Path) -> None:
    async with shop(tmp_path) as made, living(made.setup()) as agent:
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        made.write_edge(broker={"host": "broker.elsewhere"})
        made.devices["press-1"]["options"]["timeout"] = 0.4
        made.write_site()
        await until(lambda: bool(agent.reconfiguration.health.restart))
        assert agent.reconfiguration.health.restart == ["broker in edge.yaml"]
        await until(lambda: agent.devices.get("press-1").device.options["timeout"] == 0.4)  # type: ignore[union-attr]
        found = await told(agent)
        assert [e.code for e in found.of(Notice)] == ["config.restart"]


async def test_a_reload_is_asked_for_with_the_token_and_answered_with_what_it_will_do(tmp_path: Path) -> None:
    async with shop(tmp_path, watch=False) as made, living(made.setup()) as agent:
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        url = f"http://127.0.0.1:{made.edge['api']['port']}"
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            assert (await http.post("/v1/reload")).status_code == 401
            token = {"Authorization": f"Bearer {agent.token}"}
            made.write_profile("acme/meter", {**METER, "protocol": "modbas"})
            answer = await http.post("/v1/reload", headers=token)
            assert answer.status_code == 422
            assert answer.json()["code"] == "config-invalid"
            assert "did you mean modbus?" in answer.json()["parameters"]["problems"][0]
            made.write_profile("acme/meter", {**METER, "model": "Meter 2"})
            answer = await http.post("/v1/reload", headers=token)
            assert answer.json() == {
                "added": [],
                "changed": ["meter-1"],
                "removed": [],
                "rejected": [],
                "restart": [],
            }
            await until(lambda: agent.devices.get("meter-1").profile.model == "Meter 2")  # type: ignore[union-attr]
            await until(lambda: not agent.reconfiguration.health.trying)
            health = (await http.get("/health")).json()
            assert health["config"]["problems"] == []
            assert set(health["config"]["hashes"]) == {
                "edge",
                "site",
                "profile:acme/press",
                "profile:acme/meter",
            }


async def test_what_a_reload_was_answered_with_is_what_is_taken_up(tmp_path: Path) -> None:
    """Whatever is written between the answer and the change, and after a file that cannot be used."""
    async with shop(tmp_path, watch=False) as made, living(made.setup()) as agent:
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        for turn in range(3):
            path = made.write_profile("acme/meter", {**METER, "model": f"Meter {turn}"})
            answer = await agent.reconfiguration.reload()
            asked = {"profile:acme/meter": content_hash(path.read_bytes())}
            made.write_profile("acme/meter", {**METER, "model": "a draft"})
            assert answer.changed == ["meter-1"]
            await until(partial(runs, agent, asked))
            collector = agent.devices.get("meter-1")
            assert isinstance(collector, Collector)
            assert collector.profile.model == f"Meter {turn}"
        made.write_profile("acme/meter", {**METER, "protocol": "modbas"})
        with pytest.raises(DocumentError, match="modbas"):
            await agent.reconfiguration.reload()
        made.write_profile("acme/meter", {**METER, "model": "Meter 4"})
        assert (await agent.reconfiguration.reload()).changed == ["meter-1"]
        await until(lambda: agent.devices.get("meter-1").profile.model == "Meter 4")  # type: ignore[union-attr]
        assert [e.code for e in (await told(agent)).of(Notice)] == ["config.invalid"]


async def test_an_edge_that_stops_during_a_trial_stops(tmp_path: Path) -> None:
    async with shop(tmp_path, watch=False, probation=600) as made:
        async with living(made.setup()) as agent:
            await until(lambda: all(collector.reads_well for collector in agent.devices))
            made.devices["press-1"]["url"] = f"modbus://127.0.0.1:{free_port()}?unit=1"
            made.devices["meter-1"]["options"]["max_sessions"] = 2
            made.devices["meter-1"]["url"] = f"modbus://127.0.0.1:{free_port()}?unit=1"
            made.write_site()
            agent.reconfiguration.ask()
            await until(lambda: agent.reconfiguration.health.trying == ["meter-1", "press-1"])
            await until(lambda: not agent.devices.get("press-1").connected)  # type: ignore[union-attr]
            assert agent.devices.get("meter-1").connected  # type: ignore[union-attr]
        async with living(made.setup()) as agent:
            await until(lambda: len(agent.devices) == 2)


async def test_a_swap_in_spite_of_a_foreign_machine_says_so(tmp_path: Path) -> None:
    async with shop(tmp_path) as made, living(made.setup()) as agent:
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        check = {"address": "holding:2", "type": "uint16", "equals": 7}
        made.write_profile("acme/press", {**press(), "identification": {"checks": [check]}})
        await until(lambda: bool(agent.devices.get("press-1").recognition.differs))  # type: ignore[union-attr]
        await until(lambda: all(collector.reads_well for collector in agent.devices))
        await until(lambda: not agent.reconfiguration.health.trying)
        found = await told(agent)
        assert [e.code for e in found.of(Notice)] == ["device.identity"]
        driver = agent.devices.driver("press-1")
        assert driver is not None
        assert "not the machine its profile was made for" in driver.refuses
