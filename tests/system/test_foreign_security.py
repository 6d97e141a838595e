"""Every security policy and mode against a server that this project did not write: node-opcua from npm."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.driver import ConnectError
from drivers.opcua.driver import OPCUA, OpcuaDriver
from drivers.opcua.endpoints import offers
from drivers.opcua.options import SecurityMode, SecurityPolicy
from drivers.opcua.profile import OpcuaProfile
from drivers.opcua.trust import TrustList
from tests.system.foreign_programs import NODE_OPCUA, node
from tests.system.processes import Process, quiet_port, until

pytestmark = [pytest.mark.system, pytest.mark.needs("npm"), pytest.mark.timeout(600)]

PROFILE = OpcuaProfile.model_validate(
    {
        "vendor": "Foreign",
        "model": "Mill",
        "protocol": "opcua",
        "tags": {
            "temperature": {"address": "nsu=urn:foreign:mill;s=Mill.Temperature", "type": "float64"},
            "program": {"address": "nsu=urn:foreign:mill;s=Mill.Program", "type": "string"},
        },
    }
)


async def test_every_policy_and_mode_against_node_opcua(tmp_path: Path) -> None:
    port = quiet_port()
    mill = Process("mill", node(NODE_OPCUA, "mill.js", str(port), tmp_path), tmp_path / "mill.log")
    mill.start()
    try:

        async def is_ready() -> bool:
            mill.check()
            return "ready" in mill.tail()

        await until(is_ready, "the mill is ready", 60)
        address = f"opc.tcp://127.0.0.1:{port}/mill"
        pki = tmp_path / "edge-pki"

        def made(policy: SecurityPolicy, mode: SecurityMode) -> OpcuaDriver:
            options = {"security": str(policy), "mode": str(mode), "pki": str(pki), "timeout": 20}
            driver = OPCUA.create(address, PROFILE, options)
            assert isinstance(driver, OpcuaDriver)
            return driver

        with pytest.raises(ConnectError, match="onelot driver trust add"):
            async with made(SecurityPolicy.BASIC256SHA256, SecurityMode.SIGN):
                pass
        shown = next(offer.certificate for offer in await offers(address, 20) if offer.certificate)
        TrustList(pki).add(shown.der)
        for policy in SecurityPolicy:
            if policy is SecurityPolicy.NONE:
                continue
            for mode in SecurityMode:
                async with made(policy, mode) as driver:
                    readings = await driver.read(["temperature", "program"])
                    assert [r.value for r in readings] == [61.5, "BRACKET-7"], (policy, mode)
                    found = await driver.browse("nsu=urn:foreign:mill;s=Mill.State")
                    assert found == []
                    assert (await driver.identify()).vendor == "Foreign"
    finally:
        await mill.stop()
