"""Browsing, identification, history and alarms against real in-process servers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.history import HistoryDict
from asyncua.ua.object_ids import ObjectIds

from drivers.driver import Alarm, ReadFailed
from drivers.opcua.simulator import OpcuaServer
from protocols.values import DataType
from tests.drivers.opcua.test_opcua_driver import URI, driver, profile

MODEL = profile({"count": {"access": "read-write"}, "level": {"type": "float64"}})


async def test_one_level_is_listed_with_what_a_profile_takes() -> None:
    async with OpcuaServer(MODEL) as server, driver(server.url, MODEL) as made:
        inner = server._server
        assert inner is not None
        number = await inner.get_namespace_index(URI)
        folder = await inner.nodes.objects.add_folder(ua.NodeId("Axis 1", number), "Axis 1")  # type: ignore[arg-type]
        await folder.add_variable(ua.NodeId(7, number), "pos", ua.Variant([1.0, 2.0]))  # type: ignore[arg-type]
        await folder.add_method(ua.NodeId("Home", number), "Home", lambda _parent: [])  # type: ignore[arg-type]
        found = {each.name: each for each in await made.browse()}
        assert found["count"].address == f"nsu={URI};s=count"
        assert (found["count"].type, found["count"].writable) == (DataType.INT32, True)
        assert (found["level"].type, found["level"].writable) == (DataType.FLOAT64, False)
        assert (found["Axis 1"].kind, found["Axis 1"].has_children) == ("folder", True)
        below = {each.name: each for each in await made.browse(found["Axis 1"].address)}
        assert below["pos"].address == f"nsu={URI};i=7"
        assert (below["pos"].type, below["pos"].detail) == (DataType.FLOAT64, "array")
        assert below["Home"].kind == "method"
        with pytest.raises(ReadFailed, match="BadNodeId"):
            await made.browse(f"nsu={URI};s=nobody")
        with pytest.raises(ReadFailed, match="no namespace"):
            await made.browse("nsu=urn:nobody;s=x")


async def test_the_machine_says_who_it_is_by_its_nameplate() -> None:
    async with OpcuaServer(MODEL) as server, driver(server.url, MODEL) as made:
        plain = await made.identify()
        assert plain.vendor
        inner = server._server
        assert inner is not None
        number = await inner.register_namespace("http://opcfoundation.org/UA/Machinery/")
        await made.close()
        machines = await inner.nodes.objects.add_folder(ua.NodeId(1001, number), "Machines")  # type: ignore[arg-type]
        machine = await machines.add_object(number, "Mill")
        plate = await machine.add_object(ua.NodeId("ident", number), "Identification")  # type: ignore[arg-type]
        told = {
            "Manufacturer": ua.LocalizedText("Acme"),
            "Model": ua.LocalizedText("M 5"),
            "SerialNumber": "4711",
        }
        for name, value in {**told, "SoftwareRevision": "2.1", "ProductInstanceUri": "urn:acme:4711"}.items():
            await plate.add_property(number, name, value)
        async with driver(server.url, MODEL) as fresh:
            found = await fresh.identify()
    assert (found.vendor, found.product, found.serial, found.firmware) == ("Acme", "M 5", "4711", "2.1")
    assert found.more["product instance uri"] == "urn:acme:4711"


@pytest.mark.parametrize("says_more", [True, False])
async def test_what_the_server_recorded_is_read_back_in_pages(
    monkeypatch: pytest.MonkeyPatch, says_more: bool
) -> None:
    """With continuation points, and of a server that stops at the number asked for without a word."""
    monkeypatch.setattr("drivers.opcua.history.PAGE", 100 if says_more else 7)
    async with OpcuaServer(MODEL) as server:
        inner = server._server
        assert inner is not None
        inner.iserver.history_manager.set_storage(HistoryDict())
        await inner.iserver.history_manager.storage.init()
        inner.iserver.history_manager.storage.max_history_data_response_size = 7 if says_more else 1000
        node = inner.get_node(server._nodes["level"])
        await inner.historize_node_data_change(node, timedelta(hours=1), count=1000)
        begin = datetime.now(UTC)
        for n in range(30):
            stamp = begin + timedelta(milliseconds=n)
            await node.write_value(ua.DataValue(ua.Variant(float(n)), SourceTimestamp=stamp))  # type: ignore[arg-type]
        start = round(begin.timestamp() * 1e6)
        async with driver(server.url, MODEL) as made:
            await asyncio.sleep(0.2)
            lists = [each async for each in made.history(["level", "count"], start + 5_000, start + 25_000)]
        assert len(lists) > 1
        readings = [reading for each in lists for reading in each]
        assert {r.path for r in readings} == {"level"}, "count has no history, and is not asked for it"
        times = [r.source_time for r in readings]
        assert times == sorted(times, key=lambda t: t or 0)
        assert [r.value for r in readings][:3] == [5.0, 6.0, 7.0]
        assert readings[-1].value == 25.0
        assert len({r.source_time for r in readings}) == len(times) == 21


class Told:
    """Lists of alarms as they were delivered."""

    def __init__(self) -> None:
        self.lists: list[list[Alarm]] = []
        self.news = asyncio.Event()

    def __call__(self, alarms: list[Alarm]) -> None:
        self.lists.append(alarms)
        self.news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.lists) < count:
                self.news.clear()
                await self.news.wait()


async def test_alarms_that_stand_come_first_and_then_each_change() -> None:
    async with OpcuaServer(MODEL) as server:
        inner = server._server
        assert inner is not None
        generator = await inner.get_event_generator(ObjectIds.AlarmConditionType)
        event: Any = generator.event

        async def tell(*, active: bool, acked: bool, retain: bool) -> None:
            event.NodeId = ua.NodeId("door", 2)  # type: ignore[arg-type]
            event.ConditionName, event.SourceName, event.Severity = "Door", "Press", 700
            event.Message = ua.LocalizedText("Door open")
            event.Retain = retain
            event.add_property("ActiveState/Id", active, ua.VariantType.Boolean)
            event.add_property("AckedState/Id", acked, ua.VariantType.Boolean)
            event.add_property("EnabledState/Id", True, ua.VariantType.Boolean)
            await generator.trigger()

        await tell(active=True, acked=False, retain=True)
        told = Told()
        async with driver(server.url, MODEL) as made:
            task = asyncio.create_task(made.events(told))
            try:
                await told.until(1)
                (first,) = told.lists[0]
                assert (first.source, first.text, first.severity) == ("Press", "Door open", 700)
                assert (first.active, first.acknowledged) == (True, False)
                assert first.time is not None
                await tell(active=False, acked=True, retain=False)
                await told.until(2)
                (second,) = told.lists[1]
                assert (second.id, second.active, second.acknowledged) == (first.id, False, True)
            finally:
                task.cancel()
                await asyncio.wait([task])


async def test_a_server_without_conditions_tells_an_empty_list_first() -> None:
    async with OpcuaServer(MODEL) as server, driver(server.url, MODEL) as made:
        told = Told()
        task = asyncio.create_task(made.events(told))
        await told.until(1)
        assert told.lists == [[]]
        task.cancel()
        await asyncio.wait([task])


async def test_a_notifier_that_is_none_is_said() -> None:
    nobody = f"i={ObjectIds.ObjectsFolder}"
    async with OpcuaServer(MODEL) as server, driver(server.url, MODEL, notifier=nobody) as made:
        with pytest.raises(ReadFailed, match="tells no events"):
            await made.events(Told())
