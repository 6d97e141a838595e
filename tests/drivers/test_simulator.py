"""Simulators: any profile is served so that the same profile reads it, with values that make sense."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.opcua.simulator import OpcuaServer
from drivers.profile.files import check_profile, find_profiles, load_profile
from drivers.profile.profile import AnyProfile, Role
from drivers.registry import driver_type
from drivers.simulator import Movement, ProfileServer
from protocols.documents import parse
from protocols.values import Quality

OPTIONS = {"opcua": {"security": "none"}, "modbus": {}}
ROOT = Path(__file__).parents[2] / "firmware_configs" / "profiles"
PROFILES = {**find_profiles(ROOT), **find_profiles(Path(__file__).parent / "profiles")}
SERVED_ALONE = {name for name in PROFILES if load_profile(PROFILES[name]).protocol in OPTIONS}
"""Profiles whose simulator is a server by itself; a vehicle's needs a broker (see ``test_vda5050.py``)."""


def serve(profile: AnyProfile) -> ProfileServer:
    server: ProfileServer = driver_type(profile.protocol).serve(profile)
    return server


@pytest.mark.parametrize("name", sorted(SERVED_ALONE))
async def test_every_profile_is_served_and_read_back_as_shown(name: str) -> None:
    profile = load_profile(PROFILES[name])
    shown = Movement(profile).values(125.0)
    server = serve(profile)
    server.update(shown)
    async with server:
        driver = driver_type(profile.protocol).create(server.url, profile, OPTIONS[profile.protocol])
        async with driver:
            readings = await driver.read(list(shown))
    assert {r.path for r in readings if r.quality is not Quality.GOOD} == set()
    for reading in readings:
        expected = shown[reading.path]
        if isinstance(expected, float):
            assert reading.value == pytest.approx(expected, rel=1e-6, abs=1e-6), reading.path
        else:
            assert reading.value == expected, reading.path


async def test_an_opc_ua_value_set_while_the_server_stands_or_starts_is_shown() -> None:
    profile = load_profile(PROFILES["contract-opcua"])
    server = OpcuaServer(profile)
    for first in (10, 20):
        starting = asyncio.create_task(server.start())
        count = first
        while not starting.done():
            count += 1
            server.set("count", count)
            await asyncio.sleep(0)
        driver = driver_type("opcua").create(server.url, profile, OPTIONS["opcua"])
        async with driver:
            (reading,) = await driver.read(["count"])
        assert reading.value == count
        server.set("count", 1)  # not shown any more, and not by the next start either
        await server.stop()
        server.set("count", first + 10)


@cache
def served(name: str) -> tuple[AnyProfile, ProfileServer]:
    profile = load_profile(PROFILES[name])
    return profile, serve(profile)


@given(st.sampled_from(sorted(PROFILES)), st.floats(0, 1e6))
def test_moving_values_fit_their_types_and_repeat(name: str, seconds: float) -> None:
    profile, server = served(name)
    movement = Movement(profile)
    values = movement.values(seconds)
    assert values == movement.values(seconds)
    assert set(values) == {n for n, tag in profile.tags.items() if tag.readable and not tag.writable}
    server.update(values)  # raises when a value does not fit its type
    state = profile.tag_with(Role.STATE)
    if state is not None and profile.states:
        assert profile.state_of(values[state]) is not None


def test_counts_only_rise() -> None:
    profile = load_profile(PROFILES["virtual/laser"])
    count = profile.tag_with(Role.PART_COUNT)
    assert count is not None
    movement = Movement(profile)
    counts = [movement.values(float(second))[count] for second in range(0, 600, 10)]
    assert counts == sorted(counts, key=lambda c: c if isinstance(c, int) else -1)
    assert counts[0] != counts[-1]


async def test_a_dozen_opcua_servers_share_the_standard_address_space() -> None:
    """asyncua builds 6,000 nodes for each server, which takes a second; here they are copied when touched."""
    profile = load_profile(PROFILES["contract-opcua"])
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serve(profile)) for _ in range(12)]
        assert len({server.url for server in servers}) == 12
        for server in servers:
            assert isinstance(server, OpcuaServer)
            assert server.nodes_held() < 300


async def test_a_standard_node_shows_what_the_server_says() -> None:
    text = 'vendor: A\nmodel: B\nprotocol: opcua\ntags: {clock: {address: "i=2258", type: string}}'
    profile = check_profile(parse(text, "clock"))
    server = serve(profile)
    server.set("clock", "never")
    async with server, driver_type("opcua").create(server.url, profile, OPTIONS["opcua"]) as driver:
        (reading,) = await driver.read(["clock"])
    assert str(reading.value).startswith("20")


async def test_servers_do_not_share_values() -> None:
    profile = load_profile(PROFILES["contract-opcua"])
    one, two = serve(profile), serve(profile)
    async with one, two:
        one.set("count", 1)
        two.set("count", 2)
        await asyncio.sleep(0.05)
        values = []
        for server in (one, two):
            async with driver_type("opcua").create(server.url, profile, OPTIONS["opcua"]) as driver:
                values += [r.value for r in await driver.read(["count"])]
    assert values == [1, 2]


@pytest.mark.parametrize("name", ["contract-modbus", "contract-opcua"])
async def test_a_taken_port_is_an_error_that_says_so(name: str) -> None:
    profile = load_profile(PROFILES[name])
    async with serve(profile) as first:
        second: ProfileServer = driver_type(profile.protocol).serve(profile, port=first.port)
        with pytest.raises(OSError, match=r"in use|taken"):
            await second.start()
        await second.stop()


@pytest.mark.parametrize("name", ["contract-modbus", "contract-opcua"])
def test_a_value_that_does_not_fit_is_refused(name: str) -> None:
    server = serve(load_profile(PROFILES[name]))
    with pytest.raises(ValueError, match="does not fit"):
        server.set("count", -1)
    with pytest.raises(ValueError, match="not text"):
        server.set("program", 7)
    with pytest.raises(KeyError):
        server.set("cuont", 7)
