"""Scale exponents and absent values: what a register means when another one says so."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.modbus.meaning import Meaning, power_of_ten
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import check_profile
from drivers.registry import driver_type
from protocols.documents import DocumentError, parse
from protocols.values import Quality, Reading, Reason

TEXT = """
vendor: A
model: B
protocol: modbus
tags:
  power: {address: "holding:0", type: int16, scale_exponent: factor, absent: -32768, unit: W}
  factor: {address: "holding:1", type: int16, absent: -32768}
  state: {address: "holding:2", type: uint16, absent: 65535}
  plain: {address: "holding:3", type: uint16, scale: 0.1, absent: 65535}
"""


def profile(text: str = TEXT) -> ModbusProfile:
    found = check_profile(parse(text, "b.yaml"))
    assert isinstance(found, ModbusProfile)
    return found


def told(*batches: list[Reading]) -> tuple[list[Reading], dict[str, str]]:
    got: list[Reading] = []
    problems: dict[str, str] = {}
    take = Meaning(profile(), problems).applied(got.extend)
    for batch in batches:
        take(batch)
    return got, problems


def test_a_value_waits_for_its_exponent_and_is_then_scaled() -> None:
    got, _ = told([Reading("power", 1234)], [Reading("factor", -1)], [Reading("power", 5)])
    assert got == [Reading("power", 123.4), Reading("factor", -1), Reading("power", 0.5)]


def test_an_exponent_that_changes_changes_what_comes_after() -> None:
    got, _ = told([Reading("power", 12), Reading("factor", 0)], [Reading("power", 12), Reading("factor", 2)])
    assert [r.value for r in got if r.path == "power"] == [12, 1200]


@pytest.mark.parametrize("factor", [11, -32768])
def test_an_exponent_that_is_none_makes_its_values_bad_once(factor: int) -> None:
    batch = [Reading("power", 12), Reading("factor", factor)]
    got, problems = told(batch, batch, batch)
    powers = [r for r in got if r.path == "power"]
    assert powers == [Reading("power", None, Quality.BAD, Reason.CONFIGURATION)]
    assert "scale_exponent factor" in problems["power"]


def test_what_a_device_does_not_have_is_bad_once_and_good_when_it_comes() -> None:
    none = [Reading("state", 65535), Reading("plain", 6553.5)]
    got, problems = told(none, none, [Reading("state", 4), Reading("plain", 0.5)])
    bad = [Reading(n, None, Quality.BAD, Reason.SENSOR_FAILURE) for n in ("state", "plain")]
    assert got == [*bad, Reading("state", 4), Reading("plain", 0.5)]
    assert problems == {}


def test_a_lost_device_is_said_of_all_tags() -> None:
    lost = [Reading(n, None, Quality.BAD, Reason.NOT_CONNECTED) for n in ("power", "state")]
    got, _ = told([Reading("state", 65535)], lost)
    assert got[1:] == lost


def test_a_power_of_ten_is_bounded() -> None:
    assert [power_of_ten(n) for n in (-2, 0, 3)] == [0.01, 1, 1000]
    with pytest.raises(ValueError, match="from -10 to 10"):
        power_of_ten(300)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scale_exponent: factor": "scale_exponent: fcator"}, "did you mean factor"),
        ({"scale_exponent: factor": "scale_exponent: state"}, "must be an int16"),
        ({"scale_exponent: factor": "scale_exponent: factor, scale: 2"}, "not both"),
        ({"scale_exponent: factor": "scale_exponent: factor, access: read-write"}, "cannot be written"),
        ({"type: uint16, absent": "type: float32, absent"}, "only a whole number"),
    ],
)
def test_a_profile_that_makes_no_sense_says_why(change: dict[str, str], says: str) -> None:
    text = TEXT
    for old, new in change.items():
        text = text.replace(old, new)
    with pytest.raises(DocumentError, match=says):
        profile(text)


async def test_the_simulator_shows_what_the_driver_reads() -> None:
    shown = profile()
    server = ModbusServer(shown)
    values: dict[str, Any] = {"factor": -2, "power": 12.34, "state": 65535, "plain": 7.5}
    server.update(values)
    assert server.get("power") == 12.34
    async with server, driver_type("modbus").create(server.url, shown) as driver:
        assert (await driver.read(["power"]))[0].value == 12.34
        readings = {r.path: r.value for r in await driver.read(list(values))}
        assert readings == values | {"state": None}
        server.set("factor", 1)  # the registers stay as they are, as in a device
        assert (await driver.read(["power"]))[0].value == 12340
