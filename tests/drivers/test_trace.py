"""What passes between a driver and its machine is told as it is: frames, services, silence, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_to_binary

from drivers.driver import DeviceLost, Driver
from drivers.modbus.profile import ModbusProfile, Table
from drivers.modbus.simulator import ModbusServer
from drivers.modbus.trace import words
from drivers.opcua.simulator import OpcuaServer
from drivers.opcua.trace import Teller
from drivers.registry import driver_type
from drivers.trace import Traffic
from tests.drivers.opcua.test_opcua_driver import profile as opcua_profile

METER = ModbusProfile.model_validate(
    {
        "vendor": "v",
        "model": "m",
        "protocol": "modbus",
        "modbus": {"unit": 7, "max_gap": 0},
        "tags": {
            "volts": {"address": "input:10", "type": "float32"},
            "gone": {"address": "holding:5", "type": "uint16"},
        },
    }
)


def traced(url: str, profile: Any, **options: Any) -> tuple[Driver[Any], list[Traffic]]:
    driver = driver_type(profile.protocol).create(url, profile, options)
    told: list[Traffic] = []
    driver.trace = told.append
    return driver, told


async def test_modbus_frames_are_told_as_on_the_wire() -> None:
    async with ModbusServer(METER) as server:
        server.set("volts", 230.5)
        server.illegal.add((Table.HOLDING, 5))
        driver, told = traced(server.url, METER)
        async with driver:
            await driver.read(["volts"])
            await driver.read(["gone"])
        (ask, answer), refused = told[:2], told[-1]
    assert (ask.sent, ask.part, ask.what) == (True, "7", "04 read input 10–11")
    assert ask.data[2:] == bytes.fromhex("0000 0006 07 04 000a 0002")
    assert (answer.sent, answer.part, answer.what) == (False, "7", "04 read input, 4 bytes")
    assert answer.data[:2] == ask.data[:2]
    assert answer.data[-4:] == bytes.fromhex("43668000")
    assert answer.took is not None and 0 <= answer.took < 5
    assert refused.failed
    assert refused.what == "03 read holding: exception 2 illegal data address"


async def test_silence_is_told_and_nothing_after_the_driver_has_gone() -> None:
    async with ModbusServer(METER) as server:
        driver, told = traced(server.url, METER, timeout=0.1, lost_after=1)
        other, unheard = traced(server.url, METER)
        other.trace = None
        async with other:
            async with driver:
                server.silent = True
                with pytest.raises(DeviceLost):
                    await driver.read(["volts"])
                server.silent = False
            before = len(told)
            await other.read(["volts"])
    assert (told[-1].what, told[-1].failed, told[-1].data) == ("no reply within 0.1 s", True, b"")
    assert (len(told), unheard) == (before, [])


async def test_neighbours_on_a_bus_are_told_with_their_unit() -> None:
    other_unit = METER.model_copy(update={"modbus": METER.modbus.model_copy(update={"unit": 8})})
    async with ModbusServer(METER) as server:
        server.adopt(ModbusServer(other_unit), 8)
        driver, told = traced(server.url, METER)
        neighbour = driver_type("modbus").create(server.url.replace("unit=7", "unit=8"), other_unit, {})
        async with neighbour, driver:
            await neighbour.read(["volts"])
            await driver.read(["volts"])
    assert [traffic.part for traffic in told] == ["8", "8", "7", "7"]


async def test_opc_ua_services_are_told_without_logins() -> None:
    model = opcua_profile({"count": {}})
    async with OpcuaServer(model) as server:
        driver, told = traced(server.url, model, security="none")
        async with driver:
            await driver.read(["count"])
    names = [("→" if t.sent else "←") + t.what for t in told]
    assert names[:2] == ["→Hello", "←Acknowledge"]
    assert "→ReadRequest" in names
    assert "←ReadResponse" in names
    secret = [t for t in told if t.what.startswith(("ActivateSession", "CreateSession", "OpenSecure"))]
    assert len(secret) >= 4
    assert not any(t.data for t in secret)
    read = next(t for t in told if t.what == "ReadResponse")
    assert read.data and read.took is not None and not read.failed


async def test_a_fault_of_a_service_is_told_with_its_status() -> None:
    told: list[Traffic] = []
    teller = Teller(told.append)
    fault = ua.ServiceFault()
    fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(0x80250000))
    teller.asked(ua.ReadRequest(), 5)
    teller.answered(5, Buffer(struct_to_binary(fault)))
    teller.answered(6, Buffer(b"\x01\x00"))
    teller.answered(7, Buffer(b"\xff\xff\xff"))
    assert [(t.what, t.failed) for t in told[1:]] == [
        ("ServiceFault to Read: BadSessionIdInvalid", True),
        ("2 bytes that are no answer", False),
        ("3 bytes that are no answer", False),
    ]


@pytest.mark.parametrize(
    ("frame", "sent", "serial", "said"),
    [
        ("0001 0000 0006 01 01 0003 0001", True, False, ("1", "01 read coil 3", False)),
        ("0001 0000 0004 01 01 01 05", False, False, ("1", "01 read coil, 1 bytes", False)),
        ("0001 0000 0006 01 05 0003 ff00", True, False, ("1", "05 write coil 3", False)),
        ("0001 0000 000b 01 10 0001 0002 04 00010002", True, False, ("1", "16 write holding 1–2", False)),
        ("0001 0000 0008 01 16 0004 00f2 0025", True, False, ("1", "22 mask holding 4", False)),
        ("0001 0000 0005 01 2b 0e 01 00", True, False, ("1", "43 read device identification", False)),
        ("11 83 02 c134", False, True, ("17", "03 read holding: exception 2 illegal data address", True)),
        ("11 83 c134", False, True, ("17", "03 read holding: exception 0 of the device", True)),
        ("11 41 00 c134", False, True, ("17", "65 function", False)),
        ("11 03", False, True, ("", "2 bytes that are no frame", True)),
        ("", False, False, ("", "0 bytes that are no frame", True)),
    ],
)
def test_frames_in_words(frame: str, sent: bool, serial: bool, said: tuple[str, str, bool]) -> None:
    assert words(bytes.fromhex(frame), sent=sent, serial=serial) == said


def test_no_bytes_at_all_end_it() -> None:
    for size in range(24):
        for first in (0x00, 0x03, 0x10, 0x83, 0xFF):
            for serial in (True, False):
                for sent in (True, False):
                    assert words(bytes([first] * size), sent=sent, serial=serial).what
