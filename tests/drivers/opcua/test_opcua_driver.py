"""The OPC UA driver against real in-process servers."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.internal_session import InternalSession
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import BadTooManyOperations

from drivers.contract import Received
from drivers.driver import ConnectError, DeviceLost, WriteFailed
from drivers.opcua import streaming as opcua_streaming
from drivers.opcua.driver import OPCUA, OpcuaDriver, check_url
from drivers.opcua.profile import OpcuaProfile
from drivers.opcua.simulator import OpcuaServer
from drivers.opcua.values import microseconds
from protocols.documents import DocumentError
from protocols.values import Quality, Reading, Reason
from tests.drivers.streams import streaming

URI = "urn:test"


def profile(tags: dict[str, dict[str, Any]]) -> OpcuaProfile:
    writes: dict[str, Any] = {name: {} for name, tag in tags.items() if tag.get("access") == "read-write"}
    return OpcuaProfile.model_validate(
        {
            "vendor": "Test",
            "model": "M",
            "protocol": "opcua",
            "opcua": {"namespaces": [URI]},
            "tags": {
                name: {"address": f"ns=1;s={name}", "type": "int32", "sampling": 0.05, **tag}
                for name, tag in tags.items()
            },
            "writes": writes,
        }
    )


def driver(address: str, model: OpcuaProfile, **options: Any) -> OpcuaDriver:
    made = OPCUA.create(address, model, {"security": "none", "timeout": 2, **options})
    assert isinstance(made, OpcuaDriver)
    return made


async def test_bad_nodes_are_bad_each_with_the_server_s_reason_and_stop_nobody() -> None:
    model = profile(
        {
            "good": {},
            "unknown": {"address": f"nsu={URI};s=nobody"},
            "elsewhere": {"address": "nsu=urn:not-there;s=good"},
            "text": {"address": "i=2261", "type": "int32"},
            "folder": {"address": "i=85"},
        }
    )
    shown = profile({"good": {}})
    async with OpcuaServer(shown) as server:
        server.set("good", 5)
        made = driver(server.url, model)
        async with streaming(made) as (received, task):
            await received.until(lambda: len({r.path for r in received.readings}) == 5, "every tag")
            await received.until(lambda: received.of("good")[-1].value == 5, "good = 5")
            assert not task.done()
            reasons = {path: received.of(path)[-1].reason for path in model.tags}
            assert reasons == {
                "good": Reason.NONE,
                "unknown": Reason.ILLEGAL_ADDRESS,
                "elsewhere": Reason.ILLEGAL_ADDRESS,
                "text": Reason.TYPE_MISMATCH,
                "folder": Reason.ILLEGAL_ADDRESS,
            }
            assert made.problems["unknown"].startswith("BadNodeIdUnknown")
            assert made.problems["elsewhere"] == 'the server has no namespace "urn:not-there"'
            assert made.problems["text"] == "the server sends String str, the profile says int32"
            assert made.problems["folder"].startswith("BadAttributeIdInvalid")
            assert "good" not in made.problems


async def test_values_come_with_the_server_s_source_time_and_none_is_skipped() -> None:
    model = profile({"count": {}})
    async with OpcuaServer(model) as server, streaming(driver(server.url, model)) as (received, _):
        await received.until(lambda: bool(received.readings), "the first value")
        begin = time.time()
        # Faster than the sampling interval: the server's queue keeps what one message cannot.
        for n in range(1, 6):
            server.set("count", n)
        await received.until(lambda: received.of("count")[-1].value == 5, "count = 5")
    assert [r.value for r in received.of("count")] == [0, 1, 2, 3, 4, 5]
    times = [r.source_time for r in received.of("count")[1:]]
    assert all(t is not None and begin - 1 < t / 1e6 < begin + 10 for t in times)


async def test_uncertain_values_stay_values_with_a_reason() -> None:
    model = profile({"level": {"type": "float64"}})
    async with OpcuaServer(model) as server, streaming(driver(server.url, model)) as (received, _):
        await received.until(lambda: bool(received.readings), "the first value")
        status = ua.StatusCode(ua.UInt32(StatusCodes.UncertainLastUsableValue))
        server._queue("level", ua.DataValue(ua.Variant(3.5), StatusCode=status))
        await received.until(lambda: received.of("level")[-1].value == 3.5, "level = 3.5")
    assert received.of("level")[-1][2:4] == (Quality.UNCERTAIN, Reason.STALE)


async def test_a_float_that_is_no_number_is_bad() -> None:
    model = profile({"level": {"type": "float64"}})
    async with OpcuaServer(model) as server, driver(server.url, model) as reader:
        server._queue("level", ua.DataValue(ua.Variant(float("nan"))))
        await asyncio.sleep(0.05)
        assert await reader.read(["level"]) == [
            Reading("level", None, Quality.BAD, Reason.SENSOR_FAILURE, None)
        ]


async def test_tags_are_subscribed_in_groups_of_one_sampling_interval() -> None:
    model = profile({"fast": {}, "also_fast": {}, "slow": {"sampling": 1.0}})
    async with OpcuaServer(model) as server, streaming(driver(server.url, model)) as (received, _):
        await received.until(lambda: len({r.path for r in received.readings}) == 3, "every tag")
        assert server._server is not None
        subscriptions = server._server.iserver.subscription_service.subscriptions.values()
        intervals = sorted(s.data.RevisedPublishingInterval for s in subscriptions)
        assert intervals == [50.0, 1000.0]


async def test_more_nodes_than_fit_one_request_are_subscribed_in_batches() -> None:
    model = profile({f"t{n}": {"sampling": 0.2} for n in range(600)})
    async with (
        OpcuaServer(model) as server,
        streaming(driver(server.url, model, timeout=30)) as (received, _),
    ):
        await received.until(lambda: len({r.path for r in received.readings}) == 600, "every tag")
        assert {r.quality for r in received.readings} == {Quality.GOOD}


async def test_a_node_that_appears_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.opcua.streaming.RETRY_S", 0.3)
    model = profile({"good": {}, "later": {}})
    shown = OpcuaServer(profile({"good": {}}))
    async with shown as server, streaming(driver(server.url, model)) as (received, _):
        await received.until(lambda: bool(received.of("later")), "the refusal")
        assert server._server is not None
        node = ua.NodeId("later", await server._server.get_namespace_index(URI))  # type: ignore[arg-type]
        await server._server.nodes.objects.add_variable(node, "later", ua.Variant(9, ua.VariantType.Int32))
        await received.until(lambda: received.of("later")[-1].value == 9, "later = 9")
    assert [r.quality for r in received.of("later")] == [Quality.BAD, Quality.GOOD]


async def test_a_namespace_that_appears_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.opcua.streaming.RETRY_S", 0.3)
    model = profile({"good": {}, "later": {"address": "nsu=urn:loaded-later;s=later"}})
    shown = OpcuaServer(profile({"good": {}}))
    async with shown as server, streaming(driver(server.url, model)) as (received, task):
        await received.until(lambda: bool(received.of("later")), "the refusal")
        assert server._server is not None
        number = await server._server.register_namespace("urn:loaded-later")
        node = ua.NodeId("later", number)  # type: ignore[arg-type]
        await server._server.nodes.objects.add_variable(node, "later", ua.Variant(9, ua.VariantType.Int32))
        await received.until(lambda: received.of("later")[-1].value == 9, "later = 9")
        assert not task.done()
    assert received.of("later")[0].reason is Reason.ILLEGAL_ADDRESS
    assert [r.quality for r in received.of("good")] == [Quality.GOOD], "nobody else was disturbed"


async def test_a_server_that_takes_few_nodes_in_one_request_is_asked_for_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    create = InternalSession.create_monitored_items

    async def create_few(self: InternalSession, params: Any) -> Any:
        asked.append(len(params.ItemsToCreate))
        if asked[-1] > 7:
            raise BadTooManyOperations
        return await create(self, params)

    monkeypatch.setattr(InternalSession, "create_monitored_items", create_few)
    model = profile({f"t{n}": {} for n in range(20)})
    async with OpcuaServer(model) as server:
        assert server._server is not None
        for number in (
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
        ):
            limit = server._server.get_node(ua.NodeId(ua.Int32(number)))
            await limit.write_value(ua.Variant(7, ua.VariantType.UInt32))
        async with streaming(driver(server.url, model)) as (received, _):
            await received.until(lambda: len({r.path for r in received.readings}) == 20, "every tag")
            assert {r.quality for r in received.readings} == {Quality.GOOD}
        assert asked == [7, 7, 6]


async def test_tags_that_are_sampled_rarely_do_not_hide_that_the_server_is_silent() -> None:
    model = profile({"rare": {"sampling": 3600}})
    async with (
        OpcuaServer(model) as server,
        streaming(driver(server.url, model, watchdog=1)) as (received, task),
    ):
        await received.until(lambda: bool(received.readings), "the first value")
        server.silent = True
        await asyncio.wait([task], timeout=30)
        assert task.done()
        assert isinstance(task.exception(), DeviceLost)


async def test_whole_numbers_are_exact_or_said_to_be_outside_the_range() -> None:
    wide = {"address": "ns=1;s=wide", "sampling": 0.05}
    shown = profile({"wide": wide | {"type": "uint64"}, "low": {"type": "int64"}})
    model = profile(
        {"wide": wide | {"type": "uint64"}, "narrow": wide | {"type": "int32"}, "low": {"type": "int64"}}
    )
    async with OpcuaServer(shown) as server:
        server.update({"wide": 2**64 - 1, "low": -(2**63)})
        reader = driver(server.url, model)
        async with reader:
            wide_one, narrow, low = await reader.read(["wide", "narrow", "low"])
    assert (wide_one.value, low.value) == (2**64 - 1, -(2**63))
    assert (narrow.value, narrow.quality, narrow.reason) == (None, Quality.BAD, Reason.OUT_OF_RANGE)
    assert "a int32 holds -2147483648 to 2147483647" in reader.problems["narrow"]


async def test_a_quiet_server_is_alive_as_long_as_it_says_so() -> None:
    model = profile({"still": {"sampling": 0.5}})
    made_at = time.monotonic()
    async with (
        OpcuaServer(model) as server,
        streaming(driver(server.url, model, watchdog=1)) as (received, task),
    ):
        await received.until(lambda: bool(received.readings), "the first value")
        await asyncio.wait([task], timeout=6.0)
        assert not task.done()
        assert len(received.of("still")) == 1
    assert time.monotonic() - made_at > 6


async def test_where_we_stood_still_ourselves_nobody_was_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_streaming, "KEEP_ALIVE_S", 0.2)
    model = profile({"count": {}})
    async with (
        OpcuaServer(model) as server,
        streaming(driver(server.url, model, watchdog=1)) as (received, task),
    ):
        await received.until(lambda: bool(received.readings), "the first value")
        for value in range(1, 4):
            # Longer than the silence after which a server counts as lost.
            time.sleep(1.6)  # noqa: ASYNC251 - it is this process that stands still
            server.set("count", value)
            await received.until(partial(is_last, received, "count", value), "it goes on")
            assert not task.done()


def is_last(received: Received, tag: str, value: object) -> bool:
    return received.of(tag)[-1].value == value


async def test_a_subscription_that_the_server_ends_is_device_lost() -> None:
    model = profile({"count": {}})
    async with (
        OpcuaServer(model) as server,
        streaming(driver(server.url, model, watchdog=1)) as (received, task),
    ):
        await received.until(lambda: bool(received.readings), "the first value")
        assert server._server is not None
        service = server._server.iserver.subscription_service
        await service.delete_subscriptions(list(service.subscriptions))
        await asyncio.wait([task], timeout=10)
        assert isinstance(task.exception(), DeviceLost)


async def test_writing_a_read_only_node_is_a_failure_with_the_server_s_reason() -> None:
    model = profile({"locked": {"access": "read-write"}})
    async with OpcuaServer(profile({"locked": {}})) as server, driver(server.url, model) as writer:
        with pytest.raises(WriteFailed, match=r"BadUserAccessDenied|BadNotWritable"):
            await writer.write("locked", 3)
        assert server.get("locked") == 0


async def test_a_port_where_something_else_answers_is_a_connect_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        address = f"opc.tcp://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        with pytest.raises(ConnectError):
            async with driver(address, profile({"x": {}}), timeout=1):
                pass


async def test_a_port_that_never_answers_is_a_connect_error_after_the_timeout() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        address = f"opc.tcp://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        begin = time.monotonic()
        with pytest.raises(ConnectError, match=r"no answer within 0\.3 s"):
            async with driver(address, profile({"x": {}}), timeout=0.3):
                pass
        assert time.monotonic() - begin < 5


def test_security_must_be_said() -> None:
    with pytest.raises(DocumentError, match='missing key "security"'):
        OPCUA.create("opc.tcp://h", profile({"x": {}}), {})
    with pytest.raises(DocumentError, match="did you mean Basic256Sha256"):
        OPCUA.create("opc.tcp://h", profile({"x": {}}), {"security": "Basic256sha265"})
    half = {
        "security": "Basic256Sha256",
        "password": "x",
        "certificate": "c.der",
        "user_private_key": "k.pem",
    }
    with pytest.raises(DocumentError) as caught:
        OPCUA.create("opc.tcp://h", profile({"x": {}}), half)
    assert [p.path for p in caught.value.problems] == ["private_key", "user_certificate", "password"]


def test_a_password_never_shows() -> None:
    made = driver("opc.tcp://h", profile({"x": {}}), username="u", password="s3cret")
    assert "s3cret" not in repr(made.config)


@pytest.mark.parametrize(
    "address", ["h:4840", "http://h", "opc.tcp://", "opc.tcp://h:port", "opc.tcp://u:p@h"]
)
def test_wrong_addresses(address: str) -> None:
    with pytest.raises(ValueError, match=r"opc\.tcp://10|options"):
        check_url(address)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 22, 19, 42, 8, 123456, tzinfo=UTC),
        datetime(2026, 11, 22, 20, 42, 8, 123456, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 11, 22, 19, 42, 8, 123456),  # noqa: DTZ001 - as asyncua gives it
    ],
)
def test_times_are_exact_microseconds(moment: datetime) -> None:
    assert microseconds(moment) == 1_795_376_528_123_456
    assert microseconds(None) is None
