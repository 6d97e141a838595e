"""Scripted faults: what is written is what happens, when it is said to happen."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import ConnectError, DeviceLost
from drivers.faults import Spell, fault_at, next_change, parse_spell
from drivers.opcua.simulator import OpcuaServer
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import Fault
from protocols.values import Quality, Reason

OPCUA = load_profile(Path(__file__).parent / "profiles" / "contract-opcua.yaml")


@pytest.mark.parametrize(
    ("text", "spell"),
    [
        ("silent", Spell(Fault.SILENT)),
        ("silent@30s+10s", Spell(Fault.SILENT, 30, 10)),
        ("slow@2m", Spell(Fault.SLOW, 120)),
        ("illegal@0+500ms/10", Spell(Fault.ILLEGAL, 0, 0.5, 10)),
        ("disconnect@1h+1m", Spell(Fault.DISCONNECT, 3600, 60)),
    ],
)
def test_a_spell_is_read_as_it_is_written(text: str, spell: Spell) -> None:
    assert parse_spell(text) == spell


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("silnet@3s", "did you mean silent"),
        ("silent@x", "write fault@start"),
        ("silent@-3", "write fault@start"),
        ("silent@1+10/5", "shorter than the 5 s"),
    ],
)
def test_what_is_no_spell_says_what_one_looks_like(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_spell(text)


def test_faults_come_and_go_and_the_first_given_wins() -> None:
    spells = [parse_spell("silent@10+5"), parse_spell("slow@12+10/60")]
    seen = [fault_at(spells, t) for t in (0, 10, 14.9, 15, 21.9, 22, 71.9, 72, 82)]
    slow, silent = Fault.SLOW, Fault.SILENT
    assert seen == [None, silent, silent, slow, slow, None, None, slow, None]


@given(
    st.builds(
        Spell,
        st.sampled_from(Fault),
        st.integers(0, 100).map(float),
        st.integers(1, 50).map(float),
        st.sampled_from([math.inf, 51.0, 200.0]),
    ),
    st.floats(0, 1000),
)
def test_nothing_changes_before_the_next_change(spell: Spell, seconds: float) -> None:
    change = next_change([spell], seconds)
    assert change > seconds
    until = min(change, seconds + 500)
    assert spell.holds(seconds) == spell.holds(seconds + (until - seconds) * 0.999)
    if not math.isinf(change):
        assert spell.holds(change) != spell.holds(seconds) or spell.length == spell.period


async def test_an_opc_ua_server_misbehaves_as_told_and_recovers() -> None:
    kind, options = driver_type("opcua"), {"security": "none", "timeout": 0.5, "watchdog": 1}
    async with OpcuaServer(OPCUA) as server:
        server.set("count", 5)
        async with kind.create(server.url, OPCUA, options) as driver:
            (reading,) = await driver.read(["count"])
            assert reading.value == 5
            server.fault = Fault.ILLEGAL
            server.set("count", 6)  # does not cure it
            await asyncio.sleep(0.1)
            (reading,) = await driver.read(["count"])
            assert (reading.quality, reading.reason) == (Quality.BAD, Reason.ILLEGAL_ADDRESS)
            server.fault = None
            await asyncio.sleep(0.1)
            (reading,) = await driver.read(["count"])
            assert reading.value == 6
        for fault in (Fault.SILENT, Fault.SLOW, Fault.DISCONNECT):
            async with kind.create(server.url, OPCUA, options) as driver:
                server.fault = fault
                with pytest.raises(DeviceLost):
                    await driver.read(["count"])
            with pytest.raises(ConnectError):
                async with kind.create(server.url, OPCUA, options):
                    pass
            server.fault = None
        async with kind.create(server.url, OPCUA, options) as driver:
            (reading,) = await driver.read(["count"])
            assert reading.value == 6
