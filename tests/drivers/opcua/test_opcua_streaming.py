"""Limits of servers, polling where subscriptions are of no use, arrays and structures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field
from asyncua.server.internal_session import InternalSession
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import BadServiceUnsupported

from drivers.driver import DeviceLost
from drivers.opcua.simulator import OpcuaServer
from protocols.values import Quality, Reason
from tests.drivers.opcua.test_opcua_driver import URI, driver, profile
from tests.drivers.streams import streaming


async def add(server: OpcuaServer, name: str, value: ua.Variant, data_type: ua.NodeId | None = None) -> Any:
    inner = server._server
    assert inner is not None
    node = ua.NodeId(name, await inner.get_namespace_index(URI))  # type: ignore[arg-type]
    return await inner.nodes.objects.add_variable(node, name, value, datatype=data_type)


async def test_a_server_without_subscriptions_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: Any, **__: Any) -> Any:
        raise BadServiceUnsupported

    monkeypatch.setattr(InternalSession, "create_subscription", none)
    model = profile({"count": {}, "nobody": {"address": f"nsu={URI};s=nobody"}})
    async with (
        OpcuaServer(profile({"count": {}})) as server,
        streaming(driver(server.url, model)) as (received, task),
    ):
        await received.until(lambda: bool(received.of("count")), "the first value")
        server.set("count", 7)
        await received.until(lambda: received.of("count")[-1].value == 7, "count = 7")
        assert received.of("nobody")[-1].reason is Reason.ILLEGAL_ADDRESS
        server.silent = True
        await asyncio.wait([task], timeout=20)
        assert isinstance(task.exception(), DeviceLost)


async def test_polling_can_be_asked_for() -> None:
    model = profile({"count": {}, "slow": {"sampling": 3600}})
    async with (
        OpcuaServer(model) as server,
        streaming(driver(server.url, model, updates="poll")) as (received, _),
    ):
        await received.until(lambda: len(received.of("count")) > 5, "a few polls")
        assert server._server is not None
        assert not server._server.iserver.subscription_service.subscriptions
        assert len(received.of("slow")) == 1


async def test_what_finds_no_room_in_one_subscription_goes_into_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = MonitoredItemService.create_monitored_items

    async def few(self: MonitoredItemService, params: Any) -> Any:
        full = ua.StatusCode(ua.UInt32(StatusCodes.BadTooManyMonitoredItems))
        room = 8 - len(self._monitored_items)
        rest = params.ItemsToCreate[room:]
        params.ItemsToCreate = params.ItemsToCreate[:room]
        return [*await create(self, params), *(ua.MonitoredItemCreateResult(full) for _ in rest)]

    monkeypatch.setattr(MonitoredItemService, "create_monitored_items", few)
    model = profile({f"t{n}": {} for n in range(20)})
    async with OpcuaServer(model) as server, streaming(driver(server.url, model)) as (received, _):
        await received.until(lambda: len({r.path for r in received.readings}) == 20, "every tag")
        assert server._server is not None
        held = server._server.iserver.subscription_service.subscriptions.values()
        assert sorted(len(each.monitored_item_srv._monitored_items) for each in held) == [4, 8, 8]


async def test_what_the_whole_session_has_no_room_for_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    create = MonitoredItemService.create_monitored_items
    left = 5

    async def few(self: MonitoredItemService, params: Any) -> Any:
        nonlocal left
        full = ua.StatusCode(ua.UInt32(StatusCodes.BadTooManyMonitoredItems))
        rest = params.ItemsToCreate[left:]
        params.ItemsToCreate = params.ItemsToCreate[:left]
        left -= len(params.ItemsToCreate)
        return [*await create(self, params), *(ua.MonitoredItemCreateResult(full) for _ in rest)]

    monkeypatch.setattr(MonitoredItemService, "create_monitored_items", few)
    model = profile({f"t{n}": {} for n in range(20)})
    async with OpcuaServer(model) as server, streaming(driver(server.url, model)) as (received, task):
        await received.until(lambda: len({r.path for r in received.readings}) == 20, "every tag")
        server.set("t19", 4)
        await received.until(lambda: received.of("t19")[-1].value == 4, "the last one changes")
        assert not task.done()
        assert server._server is not None
        assert len(server._server.iserver.subscription_service.subscriptions) == 1


async def test_a_server_that_samples_slowly_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    create = MonitoredItemService.create_monitored_items

    async def slow(self: MonitoredItemService, params: Any) -> Any:
        results = await create(self, params)
        for each in results:
            each.RevisedSamplingInterval = 2000
        return results

    monkeypatch.setattr(MonitoredItemService, "create_monitored_items", slow)
    model = profile({"count": {}})
    async with OpcuaServer(model) as server:
        made = driver(server.url, model)
        async with streaming(made) as (received, _):
            await received.until(lambda: "count" in made.problems, "the note")
            for n in (1, 2):
                server.set("count", n)
                await received.until(lambda n=n: received.of("count")[-1].value == n, "a value")  # type: ignore[misc]
            assert "every 2 s at the fastest, the profile asks for 0.05 s" in made.problems["count"]


async def test_an_array_is_one_item_for_all_its_elements() -> None:
    axes = {"address": f"nsu={URI};s=axes", "type": "float64", "scale": 0.1}
    model = profile({"axes": {**axes, "count": 3}, "whole": axes, "beyond": {**axes, "index": 3}})
    async with OpcuaServer(profile({"x": {}})) as server:
        variable = await add(server, "axes", ua.Variant([1.0, 2.0, 3.0]))
        made = driver(server.url, model)
        async with streaming(made) as (received, _):
            await received.until(lambda: len({r.path for r in received.readings}) == 5, "every tag")
            await variable.write_value(ua.Variant([4.0, 5.0, 6.0]))
            await received.until(lambda: received.of("axes/2")[-1].value == pytest.approx(0.6), "the change")
            assert [received.of(f"axes/{n}")[-1].value for n in range(3)] == pytest.approx([0.4, 0.5, 0.6])
            assert "array of 3 Double" in made.problems["whole"]
            assert made.problems["beyond"] == "the array has 3 elements, there is no element 3"
            assert server._server is not None
            (held,) = server._server.iserver.subscription_service.subscriptions.values()
            assert len(held.monitored_item_srv._monitored_items) == 1


async def test_a_structure_gives_its_fields_by_the_server_s_own_description() -> None:
    place = {"address": f"nsu={URI};s=tool"}
    model = profile(
        {
            "x": {**place, "field": "Position.X", "type": "float64"},
            "name": {**place, "field": "Name", "type": "string"},
            "mode": {**place, "field": "Mode", "type": "int32"},
            "second": {**place, "field": "Wear", "type": "float64"},
            "typo": {**place, "field": "Position.Y2", "type": "float64"},
            "all": {**place, "type": "string"},
        }
    )
    async with OpcuaServer(profile({"count": {}})) as server:
        inner = server._server
        assert inner is not None
        number = await inner.get_namespace_index(URI)
        mode = await new_enum(inner, number, "TestMode", ["Idle", "Cutting"])
        point, _ = await new_struct(
            inner, number, "TestPoint", [new_struct_field(n, ua.VariantType.Double) for n in ("X", "Y")]
        )
        tool, _ = await new_struct(
            inner,
            number,
            "TestTool",
            [
                new_struct_field("Name", ua.VariantType.String),
                new_struct_field("Mode", mode),
                new_struct_field("Wear", ua.VariantType.Double),
                new_struct_field("Position", point),
                new_struct_field("Offsets", point, array=True),
            ],
        )
        kinds = await inner.load_data_type_definitions()
        value = kinds["TestTool"]()
        value.Name, value.Mode, value.Wear = "T7", 1, 0.25
        value.Position.X = 12.5
        value.Offsets = [kinds["TestPoint"](), kinds["TestPoint"]()]
        await add(server, "tool", ua.Variant(value), tool.nodeid)
        # An edge is another process: it knows nothing of what this one has loaded.
        for key in [k for k, v in ua.extension_objects_by_typeid.items() if v.__name__.startswith("Test")]:
            del ua.extension_objects_by_typeid[key]
        made = driver(server.url, model)
        async with made:
            found = {r.path: r for r in await made.read(list(model.tags))}
            again = await made.read(["x"])
    assert {n: found[n].value for n in ("x", "name", "mode", "second")} == {
        "x": 12.5,
        "name": "T7",
        "mode": 1,
        "second": 0.25,
    }
    assert again[0].value == 12.5
    assert found["typo"].quality is Quality.BAD
    assert (
        'no field "Y2" — did you mean Y?' in made.problems["typo"] or "it has X, Y" in made.problems["typo"]
    )
    assert "give the tag a field of it" in made.problems["all"]


async def test_a_structure_that_nobody_describes_says_so() -> None:
    model = profile({"tool": {"field": "Name", "type": "string"}})
    async with OpcuaServer(profile({"x": {}})) as server:
        unknown = ua.ExtensionObject(TypeId=ua.NodeId(4711, 2), Body=b"\x01\x02")  # type: ignore[arg-type]
        await add(
            server, "tool", ua.Variant(unknown, ua.VariantType.ExtensionObject), ua.NodeId(ua.Int32(22))
        )
        made = driver(server.url, model)
        async with made:
            (reading,) = await made.read(["tool"])
        assert reading.reason is Reason.TYPE_MISMATCH
        assert "does not describe (ns=2;i=4711)" in made.problems["tool"]
