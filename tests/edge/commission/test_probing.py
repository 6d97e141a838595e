"""``onelot driver probe`` against real servers."""

from __future__ import annotations

import json
import re
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from ruamel.yaml import YAML

from drivers.modbus.address import Transport
from drivers.modbus.simulator import ModbusServer
from drivers.opcua.simulator import OpcuaServer
from drivers.opcua.trust import TrustList
from drivers.profile.files import load_profile
from drivers.simulator import Fault
from drivers.vda5050.simulator import Vda5050Server
from drivers.virtual.agv import VirtualAgv
from protocols.site import Device
from protocols.vda5050_topics import VehicleId
from tests.drivers.modbus.devices import Frame, device, registers, reply
from tests.drivers.opcua.secure import Files, Users, pair, secure_server
from tests.edge.commission.background import onelot_driver, serving
from tests.servers import MosquittoServer

PROFILES = Path(__file__).parents[3] / "firmware_configs" / "profiles"


def profile(name: str) -> Any:
    return load_profile(PROFILES / f"{name}.yaml")


def entry(output: str) -> Device:
    """The device that a probe suggests, taken as the site file takes it."""
    block = re.search(r"^ *- id: .*\n(?: {13} .*\n)*", output, re.MULTILINE)
    assert block is not None, output
    (found,) = YAML(typ="safe", pure=True).load(block.group())
    return Device.model_validate(found)


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.UDP, Transport.RTU_OVER_TCP])
def test_a_modbus_device_is_recognised_by_what_its_profile_checks(transport: Transport) -> None:
    with serving(lambda: ModbusServer(profile("sunspec/meter-three-phase"), transport=transport)) as server:
        result = onelot_driver("probe", server.url)
        said = json.loads(onelot_driver("probe", server.url, "--json").stdout)
    assert result.exit_code == 0, result.output
    assert "sunspec/meter-three-phase fits: 5 of 5 checks read as expected" in result.stdout
    assert "sunspec/inverter" not in result.stdout
    assert f"onelot driver read '{server.url}' --profile sunspec/meter-three-phase" in result.stdout
    suggested = entry(result.stdout)
    assert (suggested.profile, suggested.url) == ("sunspec/meter-three-phase", server.url)
    assert [fit["name"] for fit in said["profiles"]] == ["sunspec/meter-three-phase"]
    assert 0 < said["latency_ms"] < 5000


def identifying(objects: dict[int, str], folder: Path) -> Any:
    """A device that says what it is (function 43/14), and a library with two firmware ranges for it."""
    body = b"".join(bytes([n, len(text)]) + text.encode() for n, text in objects.items())
    for name, firmware in (("old", '{max: "2.7"}'), ("new", '{min: "2.8", max: "3.1"}')):
        (folder / f"{name}.yaml").write_text(
            f"vendor: Acme\nmodel: Press {name}\nprotocol: modbus\nfirmware: {firmware}\n"
            'identification: {product: "Press*"}\ntags: {force: {address: "holding:0", type: uint16}}\n'
        )

    async def behave(frame: Frame, writer: Any) -> None:
        if frame[2][0] == 43:
            writer.write(reply(frame, bytes([43, 14, 1, 1, 0, 0, len(objects)]) + body))
        else:
            writer.write(registers(frame, 7))

    return device(behave)


def test_identification_and_firmware_choose_among_profiles(tmp_path: Path) -> None:
    made = {0: "Acme", 1: "Press 40\x1b[31m", 2: "2.9.4"}
    with serving(lambda: identifying(made, tmp_path)) as url:
        result = onelot_driver("probe", url, "--profiles", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "Acme · Press 40[31m · firmware 2.9.4" in result.stdout, "a device's escape codes stay outside"
    assert "new fits: product is Press*; firmware 2.8 to 3.1\n" in result.stdout
    assert 'old fits: product is Press*; firmware up to 2.7 — firmware "2.9.4" found' in result.stdout
    assert entry(result.stdout).profile == "new"


def test_a_device_that_hangs_up_on_the_question_is_probed_all_the_same() -> None:
    async def behave(frame: Frame, writer: Any) -> None:
        if frame[2][0] == 43:
            writer.close()
        else:
            writer.write(registers(frame, 7))

    with serving(lambda: device(behave)) as url:
        result = onelot_driver("probe", url)
    assert result.exit_code == 0, result.output
    assert "it does not answer what it is" in result.stdout
    assert "none of those here recognises it" in result.stdout
    assert entry(result.stdout).profile == "acme/my-machine"


def test_a_unit_that_does_not_answer_is_one_line_with_what_to_check() -> None:
    with serving(lambda: ModbusServer(profile("virtual/meter"))) as server:
        url = f"modbus://127.0.0.1:{server.port}?unit=9"
        result = onelot_driver("probe", url, "--option", "timeout=0.3")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is there a unit 9 at this address" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["modbus://127.0.0.1:9"], "connection refused — check the port"),
        (["opc.tcp://127.0.0.1:9"], "connection refused — check the port"),
        (["vda5050://127.0.0.1:9"], "cannot be reached"),
        (["http://x"], "cannot be probed — write modbus://"),
        (["modbus://x?unit=300"], "not a number from 0 to 255"),
        (["opc.tcp://x", "--scan"], "--scan asks Modbus units"),
        (["modbus://x", "--scan", "--units", "5-1"], "5-1 does not lie within 0 to 255"),
        (["modbus://127.0.0.1:9", "--option", "tiemout=1"], "did you mean timeout?"),
    ],
)
def test_what_goes_wrong_is_said_without_a_traceback(arguments: list[str], why: str) -> None:
    result = onelot_driver("probe", *arguments)
    assert result.exit_code == 1
    assert why in result.stderr
    assert "Traceback" not in result.output


# --- scan -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def gateway(hang_up: bool = False) -> AsyncIterator[tuple[str, list[int]]]:
    """Units 1 and 3 answer, 4 refuses, 5 is said not to be there, others are silent, or hung up on."""
    asked: list[int] = []

    async def behave(frame: Frame, writer: Any) -> None:
        _, unit, pdu = frame
        if pdu[0] == 3:
            asked.append(unit)
        if unit in (1, 3):
            writer.write(registers(frame, 7) if pdu[0] == 3 else reply(frame, struct.pack(">BB", 0xAB, 1)))
        elif unit == 4:
            writer.write(reply(frame, struct.pack(">BB", pdu[0] | 0x80, 2)))
        elif unit == 5:
            writer.write(reply(frame, struct.pack(">BB", pdu[0] | 0x80, 11)))
        elif hang_up:
            writer.close()

    async with device(behave) as url:
        yield url, asked


def test_a_scan_finds_the_units_that_answer_and_asks_each_once() -> None:
    with serving(gateway) as (url, asked):
        result = onelot_driver("probe", url, "--scan", "--units", "1-6", "--wait", "0.2")
    assert result.exit_code == 0, result.output
    assert "This disturbs whoever else uses the bus" in result.stderr
    assert re.findall(r"unit (\d)", result.stdout) == ["1", "3", "4"]
    assert "holding:0 = 7" in result.stdout
    assert "no holding:0 (illegal data address)" in result.stdout
    assert "3 of 6 units answered" in result.stdout
    assert f"onelot driver probe '{url}?unit=1'" in result.stdout
    assert asked == [1, 2, 3, 4, 5, 6]


def test_a_scan_goes_on_after_a_hangup_and_gives_up_after_three() -> None:
    with serving(lambda: gateway(hang_up=True)) as (url, _):
        on = onelot_driver("probe", url, "--scan", "--units", "2,3", "--wait", "0.2", "--json")
        over = onelot_driver("probe", url, "--scan", "--units", "1,20-30", "--wait", "0.2", "--json")
    assert [unit["unit"] for unit in json.loads(on.stdout)["units"]] == [3]
    found = json.loads(over.stdout)
    assert (over.exit_code, found["complete"], [u["unit"] for u in found["units"]]) == (1, False, [1])
    assert "3 times in a row" in over.stderr


# --- OPC UA ---------------------------------------------------------------------------------------------


def test_a_plain_server_is_logged_in_to_only_when_that_is_said() -> None:
    with serving(lambda: OpcuaServer(profile("virtual/laser"))) as server:
        outside = onelot_driver("probe", server.url)
        inside = onelot_driver("probe", server.url, "--option", "security=none")
    assert outside.exit_code == inside.exit_code == 0, outside.output + inside.output
    assert "✗ None" in outside.stdout
    assert f"onelot driver probe {server.url} --option security=none" in outside.stdout
    assert "- id:" not in outside.stdout
    assert "virtual/laser fits: 10 of 10 tags are there" in inside.stdout
    assert "virtual/coating" not in inside.stdout
    assert entry(inside.stdout).options == {"security": "none"}


def test_a_secured_server_is_trusted_probed_and_read_as_the_page_says(tmp_path: Path) -> None:
    library, pki = tmp_path / "library", tmp_path / "pki"
    library.mkdir()
    (library / "mill.yaml").write_text(
        "vendor: Test\nmodel: Secure\nprotocol: opcua\n"
        "tags: {speed: {address: 'ns=2;s=Speed', type: float64}}\n"
    )
    policies = [
        ua.SecurityPolicyType.NoSecurity,
        ua.SecurityPolicyType.Basic256Sha256_Sign,
        ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ]
    probing = ("--profiles", str(library), "--option", f"pki={pki}")
    with serving(lambda: secure_server(Files(tmp_path), policies)) as (url, _):
        before = onelot_driver("probe", url, *probing)
        assert before.exit_code == 0, before.output
        assert "✓ Basic256Sha256 SignAndEncrypt" in before.stdout
        assert "certificate not trusted yet" in before.stdout
        assert f"onelot driver trust add {url} --pki {pki}" in before.stdout
        assert TrustList(pki).list() == [], "a probe trusts nobody"

        TrustList(pki).add(pair("server")[1])
        after = onelot_driver("probe", url, *probing)
        assert "certificate trusted" in after.stdout
        assert "mill fits: 1 of 1 tags are there" in after.stdout
        options = entry(after.stdout).options
        assert options == {"security": "Basic256Sha256", "mode": "SignAndEncrypt"}
        flags = [word for key, value in options.items() for word in ("--option", f"{key}={value}")]
        value = onelot_driver(
            *("read", url, "--profile", str(library / "mill.yaml"), "--option", f"pki={pki}", *flags)
        )
        assert value.stdout == "speed  1.5\n"


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    files = Files(tmp_path)
    TrustList(files.pki).add(pair("server")[1])
    login = ("--option", "username=edge", "--option", "password=s3cret", "--option", f"pki={files.pki}")
    (tmp_path / "mill.yaml").write_text(
        "vendor: Test\nmodel: Secure\nprotocol: opcua\n"
        "tags: {speed: {address: 'ns=2;s=Speed', type: float64}}\n"
    )
    with serving(lambda: secure_server(files, users=Users())) as (url, _):
        page = onelot_driver("probe", url, *login, "--profiles", str(tmp_path))
        plain = onelot_driver("probe", url, *login, "--profiles", str(tmp_path), "--json")
    assert "--option username=edge --option 'password=…'" in page.stdout
    assert "s3cret" not in page.output + plain.output


def test_a_login_that_fails_leaves_what_was_seen_before(tmp_path: Path) -> None:
    with serving(lambda: secure_server(Files(tmp_path))) as (url, _):
        result = onelot_driver("probe", url, "--option", "security=none", "--option", f"pki={tmp_path}")
    assert result.exit_code == 0, result.output
    assert "cannot log in: " in result.stdout
    assert "✓ Basic256Sha256 SignAndEncrypt" in result.stdout


def test_a_silent_server_is_one_line() -> None:
    @asynccontextmanager
    async def silent() -> AsyncIterator[OpcuaServer]:
        async with OpcuaServer(profile("virtual/laser")) as server:
            server.fault = Fault.SILENT
            yield server

    with serving(silent) as server:
        result = onelot_driver("probe", server.url, "--option", "timeout=0.5")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "no answer within 0.5 s" in result.stderr


# --- VDA 5050 -------------------------------------------------------------------------------------------


def test_vehicles_on_a_broker_are_heard(mosquitto: MosquittoServer) -> None:
    who = VehicleId("uagv", "acme", uuid.uuid4().hex[:12])
    agv = VirtualAgv(who, "n0", map_id="m", hurry=20)

    def vehicle() -> Any:
        return Vda5050Server(profile("virtual/agv-vda"), mosquitto.host, mosquitto.port, vehicle=who, agv=agv)

    broker = f"vda5050://{mosquitto.host}:{mosquitto.port}"
    with serving(vehicle) as server:
        everything = onelot_driver("probe", broker, "--listen", "3")
        one = onelot_driver("probe", server.url, "--listen", "3", "--json")
    assert everything.exit_code == 0, everything.output
    assert f"{broker}/{who}" in everything.stdout
    said = json.loads(one.stdout)
    assert [v["url"] for v in said["vehicles"]] == [f"{broker}/{who}"]
    assert said["identity"]["vendor"] == "acme"
    assert "connection ONLINE" in said["vehicles"][0]["said"]
    assert Device.model_validate(said["device"]).serial == who.serial


def test_a_broker_without_vehicles_says_how_long_to_listen(mosquitto: MosquittoServer) -> None:
    url = f"vda5050://{mosquitto.host}:{mosquitto.port}/uagv/nobody/{uuid.uuid4().hex}"
    result = onelot_driver("probe", url, "--listen", "0.5")
    assert result.exit_code == 0, result.output
    assert "no vehicle spoke in 0.5 s" in result.stdout
