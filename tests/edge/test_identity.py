"""Is this the machine its profile was made for, and may it be written to?"""

from __future__ import annotations

import asyncio

import pytest

from drivers.contract import Received
from drivers.driver import Identity, WriteRefused
from drivers.profile.files import check_profile
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from edge.identity import UNKNOWN, Examination, examine, is_checked, judge, mismatch
from protocols.documents import parse
from protocols.values import Quality, Reading, Reason, Value

PROFILES = {
    "modbus": """\
vendor: Acme
model: Meter 3
protocol: modbus
firmware: {min: "2.0", max: "3.1"}
identification:
  product: "Meter*"
  firmware: version
  checks:
    - {address: "holding:900", type: uint16, equals: 417, description: model number}
    - {address: "holding:901", type: float32, equals: 0.1, word_order: CDAB}
tags:
  version: {address: "holding:1", type: string, length: 6, access: read-write}
  limit: {address: "holding:10", type: uint16, access: read-write}
writes: {limit: {max: 9}}
""",
    "opcua": """\
vendor: Acme
model: Meter 3
protocol: opcua
opcua: {namespaces: ["urn:acme"]}
firmware: {min: "2.0", max: "3.1"}
identification:
  firmware: version
  checks:
    - {address: "ns=1;s=Model", type: uint16, equals: 417, description: model number}
    - {address: "ns=1;s=Kind", type: string, equals: meter}
tags:
  version: {address: "ns=1;s=Version", type: string, access: read-write}
  limit: {address: "ns=1;s=Limit", type: uint16, access: read-write}
writes: {limit: {max: 9}}
""",
}
OPTIONS = {"modbus": {}, "opcua": {"security": "none"}}


def profile(protocol: str = "modbus") -> AnyProfile:
    return check_profile(parse(PROFILES[protocol], "meter.yaml"))


def seen(
    firmware: str = "2.5", product: str = "Meter 3", model: Value = 417, quality: Quality = Quality.GOOD
) -> Examination:
    reason = Reason.NONE if quality is Quality.GOOD else Reason.TIMEOUT
    checks = {
        "identification/0": Reading("identification/0", model, quality, reason),
        "identification/1": Reading("identification/1", 0.10000000149011612),
    }
    return Examination(Identity("Acme", product, "", firmware), checks)


def test_the_machine_of_the_profile_differs_in_nothing() -> None:
    verdict = judge(profile(), seen())
    assert (verdict.refuses, verdict.notice("m1")) == ("", "")


def test_what_a_machine_does_not_say_is_not_compared() -> None:
    assert judge(profile(), seen("", "")).refuses == ""


@pytest.mark.parametrize("version", ["1.9", "3.2", "4", "unreadable"])
def test_a_firmware_outside_the_range_refuses_writes_until_this_one_is_accepted(version: str) -> None:
    verdict = judge(profile(), seen(version), accepted={"9.9"})
    assert f'firmware "{version}" found, 2.0 to 3.1 expected' in verdict.refuses
    assert "accept this firmware" in verdict.refuses
    assert verdict.firmware == version
    told = verdict.notice("m1")
    assert f'firmware "{version}" found' in told
    assert "Nothing is written until then" in told
    accepted = judge(profile(), seen(version), accepted={"9.9", version})
    assert accepted.refuses == ""
    assert "(accepted)" in accepted.notice("m1"), "the banner stays, and says so"


@pytest.mark.parametrize(
    ("examination", "message"),
    [
        (seen(product="Lathe"), 'product "Lathe" found, "Meter*" expected'),
        (seen(model=418), "model number reads 418, 417 expected"),
        (seen(model=True), "model number reads true, 417 expected"),
        (seen(model=None, quality=Quality.BAD), "model number has no good value (timeout), 417 expected"),
        (None, "model number was not read, 417 expected"),
    ],
)
def test_another_machine_cannot_be_accepted(examination: Examination | None, message: str) -> None:
    verdict = judge(profile(), examination, accepted={"", "2.5"})
    assert message in verdict.refuses
    assert message in verdict.notice("m1")


def test_a_profile_that_asks_for_nothing_is_not_checked() -> None:
    bare = check_profile(
        parse("{vendor: A, model: B, protocol: modbus, tags: {x: {address: 40001, type: bool}}}", "b.yaml")
    )
    assert not is_checked(bare)
    assert is_checked(profile())
    assert judge(bare, None).refuses == ""


def test_mismatch_looks_at_what_the_machine_says_only() -> None:
    assert mismatch("m1", profile(), Identity("Acme", "Meter 3", "", "2.5")) == ""
    assert "m1 is not what" in mismatch("m1", profile(), Identity("Acme", "Lathe"))


@pytest.mark.parametrize("protocol", list(PROFILES))
async def test_a_simulated_machine_passes_its_own_checks_and_a_changed_one_does_not(protocol: str) -> None:
    made, kind = profile(protocol), driver_type(protocol)
    server = kind.serve(made)
    server.update({"version": "2.5"})
    async with server, kind.create(server.url, made, OPTIONS[protocol]) as driver:
        driver.refuses = UNKNOWN
        with pytest.raises(WriteRefused, match="which machine it is"):
            await driver.write("limit", 5)
        verdict = judge(made, await examine(driver))
        assert verdict.refuses == ""
        driver.refuses = verdict.refuses
        assert (await driver.write("limit", 5)).value == 5
        server.set("version", "4.0")
        assert judge(made, await examine(driver)).firmware == "4.0"
        server.set("identification/0", 418)
        driver.refuses = judge(made, await examine(driver, ask=False)).refuses
        with pytest.raises(WriteRefused, match="model number reads 418, 417 expected"):
            await driver.write("limit", 6)
        assert server.get("limit") == 5


@pytest.mark.parametrize("protocol", list(PROFILES))
async def test_checks_are_read_and_never_streamed(protocol: str) -> None:
    made, kind = profile(protocol), driver_type(protocol)
    server = kind.serve(made)
    received = Received()
    async with server, kind.create(server.url, made, OPTIONS[protocol]) as driver:
        task = asyncio.create_task(driver.stream(received))
        server.set("limit", 3)
        await received.until(lambda: {"version", "limit"} <= {r.path for r in received.readings}, "all tags")
        server.set("limit", 4)
        await received.until(lambda: received.of("limit")[-1].value == 4, "a change")
        task.cancel()
        await asyncio.wait([task])
    assert {reading.path for reading in received.readings} == set(made.tags)
