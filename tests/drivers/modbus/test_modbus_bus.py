"""Every transport, and several units on one bus: turns, a silent neighbour, a connection that is shared."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Received
from drivers.driver import ConnectError, DeviceLost, Driver
from drivers.modbus.address import Line, Transport
from drivers.modbus.bus import Turns, _shared
from drivers.modbus.driver import MODBUS
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.simulator import ModbusServer
from drivers.profile.profile import AnyProfile
from protocols.values import Quality, Reason
from tests.drivers.serial_pair import serial_pair


def meter(unit: int = 1) -> AnyProfile:
    """A meter with a reading, a text and something to set."""
    return cast(
        "AnyProfile",
        ModbusProfile.model_validate(
            {
                "vendor": "Acme",
                "model": "Meter",
                "protocol": "modbus",
                "modbus": {"unit": unit},
                "tags": {
                    "power": {"address": "holding:0", "type": "float32", "sampling": 0.05},
                    "total": {"address": "input:10", "type": "uint64", "sampling": 0.05},
                    "name": {"address": "holding:20", "type": "string", "length": 8, "sampling": 0.1},
                    "relay": {"address": "coil:3", "type": "bool", "access": "read-write", "sampling": 0.1},
                    "limit": {"address": "holding:40", "type": "int32", "access": "read-write"},
                },
                "writes": {"limit": {"min": 0, "max": 1000}, "relay": {}},
            }
        ),
    )


@contextlib.contextmanager
def ends(transport: Transport) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """What a server and a driver need for a transport: a serial line needs two ends (which have no parity
    when they are pseudo-terminals)."""
    if transport is not Transport.RTU:
        yield {}, {}
        return
    with serial_pair() as (ours, theirs):
        yield {"path": ours, "line": Line(parity="N")}, {ours: theirs}


@contextlib.asynccontextmanager
async def served(transport: Transport, *units: int) -> AsyncIterator[tuple[list[ModbusServer], str]]:
    """Meters behind one address, and that address without a unit."""
    with ends(transport) as (arguments, swap):
        first, *others = [
            ModbusServer(meter(unit), transport=transport, **arguments) for unit in units or (1,)
        ]
        for server in others:
            first.adopt(server, server.unit)
        async with first:
            address = first.url.replace(f"unit={first.unit}", "unit={}")
            for ours, theirs in swap.items():
                address = address.replace(ours, theirs)
            yield [first, *others], address


def reader(address: str, unit: int = 1, **options: Any) -> Driver[Any]:
    return MODBUS.create(address.format(unit), meter(unit), {"timeout": 0.3, **options})


# --- transports -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", Transport)
async def test_the_same_profile_is_read_and_written_over_every_transport(transport: Transport) -> None:
    async with served(transport) as ((server,), address), reader(address) as driver:
        server.update({"power": 12.25, "total": 2**53, "name": "M7", "relay": True, "limit": -5})
        readings = {r.path: r.value for r in await driver.read(list(driver.profile.tags))}
        assert readings == {"power": 12.25, "total": 2**53, "name": "M7", "relay": True, "limit": -5}
        assert (await driver.write("limit", 700)).value == 700
        assert (await driver.write("relay", False)).value is False
        assert (server.get("limit"), server.get("relay")) == (700, False)
        received = Received()
        streaming = asyncio.create_task(driver.stream(received))
        await received.until(lambda: len(received.of("power")) > 3, "power a few times")
        streaming.cancel()
        await asyncio.wait([streaming])


@pytest.mark.parametrize("transport", Transport)
async def test_a_silent_device_is_lost_on_every_transport(transport: Transport) -> None:
    async with served(transport) as ((server,), address), reader(address, timeout=0.1) as driver:
        server.silent = True
        received = Received()
        async with asyncio.timeout(10):
            with pytest.raises(DeviceLost, match=r"no reply within 0\.1 s, 3 times in a row"):
                await driver.stream(received)
        assert {r.reason for r in received.readings if r.quality is Quality.BAD} == {
            Reason.TIMEOUT,
            Reason.NOT_CONNECTED,
        }


async def test_a_late_reply_on_a_serial_line_answers_no_later_question() -> None:
    """Frames there have no number: only waiting tells an old reply from a new one."""
    async with served(Transport.RTU) as ((server,), address), reader(address, timeout=0.15) as driver:
        server.update({"power": 1.0, "limit": 77})
        late = asyncio.Event()
        answer = server.answer_read

        async def slow(unit: int, function: int, start: int, size: int = 1) -> Any:
            if not late.is_set():
                late.set()
                await asyncio.sleep(0.4)  # longer than the timeout, within what is waited out
            return answer(unit, function, start, size)

        cast("Any", server._server.context).async_getValues = slow
        (first,) = await driver.read(["power"])
        assert (first.quality, first.reason) == (Quality.BAD, Reason.TIMEOUT)
        (second,) = await driver.read(["limit"])
        assert second.value == 77


async def test_a_serial_port_that_is_not_there_says_which_there_are() -> None:
    with pytest.raises(ConnectError, match=r"/dev/ttyNOPE.*check the port \(there are: "):
        async with MODBUS.create("modbus+rtu:///dev/ttyNOPE?unit=1", meter(), {}):
            pass


# --- one bus --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.RTU, Transport.RTU_OVER_TCP])
async def test_units_on_one_bus_share_a_connection_and_take_turns(transport: Transport) -> None:
    async with served(transport, 1, 2, 3) as (servers, address), contextlib.AsyncExitStack() as stack:
        drivers = [await stack.enter_async_context(reader(address, unit)) for unit in (1, 2, 3)]
        here = _shared[asyncio.get_running_loop()]
        assert [shared.seats for shared in here.values()] == [3]
        for number, server in enumerate(servers, 1):
            server.set("power", float(number))
        reads = [driver.read(["power", "total"]) for driver in drivers for _ in range(4)]
        values = [readings[0].value for readings in await asyncio.gather(*reads)]
        assert values == [1.0] * 4 + [2.0] * 4 + [3.0] * 4
        await drivers[0].close()
        (still,) = await drivers[1].read(["power"])
        assert still.value == 2.0
    assert asyncio.get_running_loop() not in _shared or not _shared[asyncio.get_running_loop()]


async def test_a_silent_unit_costs_its_neighbours_nearly_nothing() -> None:
    async with served(Transport.TCP, 1, 2) as (servers, address):
        servers[1].silent = True
        received = Received()
        async with reader(address, 1) as good:
            streaming = asyncio.create_task(good.stream(received))
            await received.until(lambda: len(received.of("power")) > 2, "the good unit's first values")
            asked = 0
            until = asyncio.get_running_loop().time() + 3.0
            before = len(received.of("power"))
            while asyncio.get_running_loop().time() < until:
                with contextlib.suppress(DeviceLost):
                    async with reader(address, 2, timeout=0.3) as silent:
                        await silent.stream(Received())
                asked += 1
                await asyncio.sleep(0.05)
            polls = len(received.of("power")) - before
            streaming.cancel()
            await asyncio.wait([streaming])
        # 60 polls in these 3 s; the silent unit takes three timeouts of 0.3 s, then one after 1 s, after 2 s
        assert asked > 10, "whoever comes back for it is told at once"
        assert polls > 60 - 5 * 7 - 5
        assert servers[1].requests <= 6


async def test_a_unit_that_answers_again_is_back_at_its_next_probe() -> None:
    async with served(Transport.TCP, 1, 2) as (servers, address), reader(address, 1):
        servers[1].silent = True
        with pytest.raises(DeviceLost):
            async with reader(address, 2, timeout=0.1) as driver:
                await driver.stream(Received())
        servers[1].silent = False
        before = servers[1].requests
        async with reader(address, 2, timeout=0.1, lost_after=30) as driver:
            (reading,) = await driver.read(["power"])
            assert reading.quality is Quality.BAD
            assert servers[1].requests == before, "nothing is sent before its time"
            await asyncio.sleep(1.1)
            (reading,) = await driver.read(["power"])
            assert reading.quality is Quality.GOOD


async def test_a_write_goes_ahead_of_reads_that_wait() -> None:
    order: list[str] = []
    turns = Turns()
    turns.busy = True

    async def one(name: str, *, urgent: bool) -> None:
        await turns.wait(urgent=urgent)
        order.append(name)
        turns.leave()

    tasks = [asyncio.create_task(one(f"read {n}", urgent=False)) for n in range(3)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(one("write", urgent=True)))
    await asyncio.sleep(0)
    turns.leave()
    await asyncio.gather(*tasks)
    assert order == ["write", "read 0", "read 1", "read 2"]
    assert not turns.busy


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_every_turn_comes_and_none_is_lost_however_many_give_up(asking: list[tuple[bool, bool]]) -> None:
    """``asking``: whether urgent, and whether it is cancelled while it waits."""

    async def play() -> None:
        turns = Turns()
        turns.busy = True
        came: list[int] = []

        async def one(number: int, urgent: bool) -> None:
            await turns.wait(urgent=urgent)
            came.append(number)
            await asyncio.sleep(0)
            turns.leave()

        tasks = [asyncio.create_task(one(n, urgent)) for n, (urgent, _) in enumerate(asking)]
        await asyncio.sleep(0)
        turns.leave()
        for task, (_, cancelled) in zip(tasks, asking, strict=True):
            if cancelled:
                task.cancel()
        await asyncio.wait(tasks) if tasks else None
        assert not turns.busy
        assert {n for n, (_, cancelled) in enumerate(asking) if not cancelled} <= set(came)

    asyncio.run(play())


async def test_a_connection_that_is_lost_is_lost_to_all_units_and_made_anew_once() -> None:
    async with served(Transport.TCP, 1, 2) as (servers, address):
        for _ in range(2):
            async with reader(address, 1) as one, reader(address, 2) as two:
                streams = [asyncio.create_task(d.stream(Received())) for d in (one, two)]
                await asyncio.sleep(0.2)
                servers[0].hang_up()
                async with asyncio.timeout(5):
                    ended = await asyncio.gather(*streams, return_exceptions=True)
                assert all(isinstance(end, DeviceLost) for end in ended)


async def test_a_device_may_have_a_connection_of_its_own() -> None:
    async with (
        served(Transport.TCP, 1, 2) as (_, address),
        reader(address, 1),
        reader(address, 2, share=False) as own,
    ):
        assert own._connection.alone  # type: ignore[attr-defined]
        assert (await own.read(["power"]))[0].quality is Quality.GOOD
