"""Methods of a real OPC UA server, through the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.methods import uamethod
from asyncua.server.server import Server
from asyncua.ua.status_codes import StatusCodes

from drivers.driver import Calls, Capability, Confirmation, WriteFailed, WriteRefused
from drivers.opcua.driver import OpcuaDriver
from drivers.opcua.options import OpcuaOptions
from drivers.opcua.profile import effect_of_name
from drivers.profile.files import check_profile
from protocols.documents import DocumentError, parse
from tests.servers import free_port

URI = "urn:acme:press"
PROFILE = """\
vendor: Acme
model: Press
protocol: opcua
opcua: {namespaces: ["urn:acme:press"]}
tags:
  remote: {address: "ns=1;s=Remote", type: bool, role: remote_enabled}
methods:
  begin: {object: "ns=1;s=Jobs", method: "ns=1;s=M1", inputs: {job: string, lot: uint16},
    outputs: {status: uint64}, effect: start}
  stop: {object: "ns=1;s=Jobs", method: "ns=1;s=M2", outputs: {text: string}}
  sly: {object: "ns=1;s=Jobs", method: "ns=1;s=M1", inputs: {job: string, lot: uint16}}
  broken: {object: "ns=1;s=Jobs", method: "ns=1;s=M3"}
  wrong: {object: "ns=1;s=Jobs", method: "ns=1;s=M2", outputs: {text: uint16}}
  few: {object: "ns=1;s=Jobs", method: "ns=1;s=M2", outputs: {text: string, more: string}}
  gone: {object: "ns=1;s=Jobs", method: "ns=1;s=M9"}
  nowhere: {object: "nsu=urn:other;s=Jobs", method: "ns=1;s=M2"}
"""
ONE = Confirmation("K7", "press-1")


def _node(name: str, index: int) -> ua.NodeId:
    return ua.NodeId(ua.String(name), ua.Int16(index))


class Machine:
    """A server with a few methods, and what was called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.remote: Any = None


@asynccontextmanager
async def machine() -> AsyncIterator[tuple[Machine, OpcuaDriver]]:
    made = Machine()

    @uamethod
    def start(parent: Any, job: str, lot: int) -> int:
        made.calls.append((job, lot))
        return 0

    @uamethod
    def stop(parent: Any) -> str:
        made.calls.append("stop")
        return "stopped"

    def broken(parent: Any, *_: Any) -> Any:
        return ua.StatusCode(StatusCodes.BadInvalidState)  # type: ignore[arg-type]

    server = Server()
    await server.init()
    address = f"opc.tcp://127.0.0.1:{free_port()}"
    server.set_endpoint(address)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(URI)
    text, status, word, small = (
        ua.VariantType.String,
        ua.VariantType.UInt64,
        ua.VariantType.String,
        ua.VariantType.UInt16,
    )
    jobs = await server.nodes.objects.add_object(_node("Jobs", index), ua.QualifiedName("Jobs", index))
    for name, node, function, inputs, outputs in (
        ("StoreAndStart", "M1", start, [word, small], [status]),
        ("Stop", "M2", stop, [], [text]),
        ("Broken", "M3", broken, [], []),
    ):
        await jobs.add_method(_node(node, index), ua.QualifiedName(name, index), function, inputs, outputs)
    made.remote = await server.nodes.objects.add_variable(
        _node("Remote", index), ua.QualifiedName("Remote", index), True
    )
    profile = check_profile(parse(PROFILE, "press.yaml"))
    async with server, OpcuaDriver(address, profile, OpcuaOptions(security="none")) as driver:
        yield made, driver


async def test_methods_are_called_with_types_and_their_results_have_names() -> None:
    async with machine() as (made, driver):
        assert Capability.CALL in driver.capabilities
        assert isinstance(driver, Calls)
        assert await driver.call("begin", {"job": "J1", "lot": 7}, ONE) == {"status": 0}
        assert await driver.call("stop", {}) == {"text": "stopped"}
        assert made.calls == [("J1", 7), "stop"]


REFUSED: list[tuple[str, dict[str, Any], Confirmation | None, str]] = [
    ("begin", {"job": "J1", "lot": 7}, None, "is a start: it needs a person"),
    ("begin", {"job": "J1"}, ONE, r"the argument lot \(uint16\) is missing"),
    ("begin", {"job": "J1", "lot": "x"}, ONE, 'argument lot: "x" is not a uint16'),
    ("begin", {"job": "J1", "lot": 70_000}, ONE, "argument lot: 70000 does not fit a uint16"),
    ("begin", {"job": "J1", "lot": 7, "lto": 1}, ONE, "did you mean lot"),
    ("sly", {"job": "J1", "lot": 7}, ONE, "calls this method StoreAndStart, which is a start"),
    ("nowhere", {}, None, 'has no namespace "urn:other"'),
    ("gone", {}, None, "nothing was sent"),
]


async def test_what_is_refused_says_why_and_is_not_sent() -> None:
    async with machine() as (made, driver):
        for method, arguments, confirmation, why in REFUSED:
            with pytest.raises(WriteRefused, match=why):
                await driver.call(method, arguments, confirmation)
        assert made.calls == []


async def test_a_start_needs_the_machine_s_leave_at_that_moment_and_no_lock() -> None:
    async with machine() as (made, driver):
        await made.remote.write_value(False)
        with pytest.raises(WriteRefused, match="needs remote = true, it is false"):
            await driver.call("begin", {"job": "J1", "lot": 7}, ONE)
        await made.remote.write_value(True)
        driver.refuses = "locked by K3"
        with pytest.raises(WriteRefused, match="locked by K3"):
            await driver.call("stop", {})
        assert made.calls == []


async def test_what_the_machine_answers_otherwise_is_said() -> None:
    async with machine() as (_, driver):
        for method, why in (
            ("broken", "the server answered BadInvalidState"),
            ("wrong", "the result text is a str, the profile says uint16"),
            ("few", "1 results came, the profile says 2"),
        ):
            with pytest.raises(WriteFailed, match=why):
                await driver.call(method, {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  stop: {", "  StoreAndStart: {"),
        ("  stop: {", "  store_and_start: {"),
        ('"ns=1;s=M2"', '"ns=1;s=Jobs.StoreAndStart"'),
        ('"ns=1;s=M2"', '"ns=1;s=Jobs/Resume"'),
    ],
)
def test_a_profile_that_calls_a_start_harmless_is_wrong(old: str, new: str) -> None:
    with pytest.raises(DocumentError, match="by its name — set effect:"):
        check_profile(parse(PROFILE.replace(old, new), "press.yaml"))


def test_names_that_start_something() -> None:
    assert effect_of_name("StoreAndStart") == "start"
    assert effect_of_name("store") is None
    assert effect_of_name("RevokeStart") is None
