"""Job orders for a machine whose receiver is made from the OPC Foundation's own NodeSet (OPC 10031-4)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.instantiate_util import instantiate
from asyncua.server.server import Server

from drivers.driver import Confirmation, WriteFailed, WriteRefused
from drivers.opcua.driver import OpcuaDriver
from drivers.opcua.options import OpcuaOptions
from drivers.profile.files import check_profile
from protocols.documents import DocumentError, parse
from tests.servers import free_port

ROOT = Path(__file__).parents[3]
NODESET = (
    Path(os.environ.get("ONELOT_SHARED", ROOT.parent / "shared"))
    / "data"
    / "ua-nodesets"
    / "opc.ua.isa95-jobcontrol.nodeset2.xml"
)
needs_nodeset = pytest.mark.skipif(
    not NODESET.exists(),
    reason=f"no {NODESET}: get it from github.com/OPCFoundation/UA-Nodeset, "
    "or say where it is with ONELOT_SHARED",
)
ONE = Confirmation("K7", "mill-1")
UNKNOWN_JOB, NOT_ALLOWED = 1 << 1, 1 << 3

PROFILE = """\
vendor: Acme
model: Mill
protocol: opcua
tags:
  remote: {address: "nsu=urn:acme:mill;s=Remote", type: bool, role: remote_enabled}
jobs:
  object: "nsu=urn:acme:mill;i=OBJECT"
  allow: [store, store_and_start, start, revoke_start, pause, resume, abort, clear, update]
"""


class Receiver:
    """What a machine does with job orders, as the standard's states have it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.jobs: dict[str, tuple[Any, str]] = {}
        self.calls: list[str] = []
        self.list: Any = None
        self.remote: Any = None

    def answers(self, name: str) -> Any:
        """The method of a command: the states it needs and the one it leads to."""
        needs, leads = {
            "Store": ((), "NotAllowedToStart"),
            "StoreAndStart": ((), "AllowedToStart"),
            "Update": (("NotAllowedToStart", "AllowedToStart"), ""),
            "Start": (("NotAllowedToStart",), "AllowedToStart"),
            "RevokeStart": (("AllowedToStart",), "NotAllowedToStart"),
            "Pause": (("Running",), "Interrupted"),
            "Resume": (("Interrupted",), "Running"),
            "Abort": (("NotAllowedToStart", "AllowedToStart", "Running", "Interrupted"), "Aborted"),
            "Clear": (("Aborted", "Ended"), "gone"),
        }[name]

        async def method(_: Any, first: ua.Variant, comment: ua.Variant) -> Any:
            assert comment.VariantType is ua.VariantType.LocalizedText
            given = first.Value
            order, job = (None, given) if isinstance(given, str) else (given, given.JobOrderID)
            self.calls.append(f"{name} {job}")
            known = self.jobs.get(job)
            if needs and known is None:
                return _uncertain(UNKNOWN_JOB)
            if needs and known is not None and known[1] not in needs:
                return _uncertain(NOT_ALLOWED)
            self.jobs[job] = (order or (known or (None,))[0], leads or (known or ("", ""))[1])
            if leads == "gone":
                del self.jobs[job]
            await self.show()
            return [ua.Variant(1, ua.VariantType.UInt64)]

        return method

    async def move(self, job: str, state: str) -> None:
        """The machine itself goes on."""
        self.jobs[job] = (self.jobs[job][0], state)
        await self.show()

    async def show(self) -> None:
        listed = []
        for order, state in self.jobs.values():
            entry = ua.ISA95JobOrderAndStateDataType()  # type: ignore[attr-defined]
            entry.JobOrder = order
            shown = ua.ISA95StateDataType()  # type: ignore[attr-defined]
            shown.StateText = ua.LocalizedText(state)
            entry.State = [shown]
            listed.append(entry)
        await self.list.write_value(ua.Variant(listed, ua.VariantType.ExtensionObject, is_array=True))


def _uncertain(status: int) -> ua.CallMethodResult:
    """How a receiver says why: an uncertain status, since a bad one carries no results (annex B.2)."""
    return ua.CallMethodResult(
        StatusCode=ua.StatusCode(0x40000000),  # type: ignore[arg-type]
        OutputArguments=[ua.Variant(status, ua.VariantType.UInt64)],
    )


@asynccontextmanager
async def mill() -> AsyncIterator[tuple[Receiver, OpcuaDriver]]:
    server = Server()
    await server.init()
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.import_xml(str(NODESET), auto_load_definitions=False)
    await server.load_data_type_definitions()
    space = await server.get_namespace_index("http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/")
    own = await server.register_namespace("urn:acme:mill")
    kind = server.get_node(ua.NodeId(ua.Int32(1002), ua.Int16(space)))
    made = await instantiate(
        server.nodes.objects, kind, bname=ua.QualifiedName("Jobs", own), idx=own, instantiate_optional=True
    )
    receiver, node = Receiver(server), made[0]
    for child in await node.get_children():
        name = (await child.read_browse_name()).Name
        if await child.read_node_class() is ua.NodeClass.Method and name in (
            ["Store", "StoreAndStart", "Update", "Start", "RevokeStart", "Pause", "Resume", "Abort", "Clear"]
        ):
            server.link_method(child, receiver.answers(name))
        elif name == "JobOrderList":
            receiver.list = child
    receiver.remote = await server.nodes.objects.add_variable(
        ua.NodeId(ua.String("Remote"), ua.Int16(own)), ua.QualifiedName("Remote", own), True
    )
    text = PROFILE.replace("OBJECT", str(node.nodeid.Identifier))
    profile = check_profile(parse(text, "mill.yaml"))
    async with server, OpcuaDriver(url, profile, OpcuaOptions(security="none")) as driver:
        yield receiver, driver


@needs_nodeset
async def test_a_job_order_is_stored_started_paused_resumed_aborted_and_its_state_is_read_back() -> None:
    async with mill() as (receiver, driver):
        order = {"job": "J-1", "work_master": "P-RAL5010"}
        assert await driver.call("jobs/store", order) == {"state": "NotAllowedToStart"}
        stored = receiver.jobs["J-1"][0]
        assert stored.WorkMasterID[0].ID == "P-RAL5010"
        assert await driver.call("jobs/start", {"job": "J-1"}, ONE) == {"state": "AllowedToStart"}
        await receiver.move("J-1", "Running")
        assert await driver.call("jobs/pause", {"job": "J-1"}) == {"state": "Interrupted"}
        assert await driver.call("jobs/resume", {"job": "J-1"}, ONE) == {"state": "Running"}
        assert await driver.call("jobs/abort", {"job": "J-1"}) == {"state": "Aborted"}
        assert await driver.call("jobs/clear", {"job": "J-1"}) == {"state": ""}
        second = {"job": "J-2", "work_master": ""}
        assert await driver.call("jobs/store_and_start", second, ONE) == {"state": "AllowedToStart"}
        # What the machine does not accept it says in its return status.
        with pytest.raises(WriteFailed, match="the job order is unknown"):
            await driver.call("jobs/start", {"job": "J-9"}, ONE)
        with pytest.raises(WriteFailed, match="the job order's state does not allow it"):
            await driver.call("jobs/pause", {"job": "J-2"})


@needs_nodeset
async def test_what_starts_or_resumes_goes_through_the_gate() -> None:
    async with mill() as (receiver, driver):
        order = {"job": "J-1", "work_master": "P1"}
        for name, arguments in (
            ("jobs/store_and_start", order),
            ("jobs/start", {"job": "J-1"}),
            ("jobs/resume", {"job": "J-1"}),
        ):
            with pytest.raises(WriteRefused, match="it needs a person at the machine"):
                await driver.call(name, arguments)
            await receiver.remote.write_value(False)
            with pytest.raises(WriteRefused, match="needs remote = true, it is false"):
                await driver.call(name, arguments, ONE)
            await receiver.remote.write_value(True)
        driver.refuses = "locked by K3"
        with pytest.raises(WriteRefused, match="locked by K3"):
            await driver.call("jobs/store", order)
        assert receiver.calls == []
        with pytest.raises(KeyError, match="did you mean jobs/store"):
            await driver.call("jobs/stor", order)


def test_what_a_profile_may_not_say_of_job_orders() -> None:
    with pytest.raises(DocumentError) as wrong:
        check_profile(
            parse(
                PROFILE.replace("i=OBJECT", "i=x")
                .replace("role: remote_enabled", "unit: C62")
                .replace("clear,", "claer,")
                .replace("jobs:", 'methods: {jobs/x: {object: "i=1", method: "i=2"}}\njobs:'),
                "mill.yaml",
            )
        )
    text = str(wrong.value)
    assert "jobs.object:" in text and "has no number" in text
    assert "jobs.allow.1: a start needs the machine's leave" in text
    assert "jobs.allow.5: a resume needs the machine's leave" in text
    assert "did you mean clear?" in text
    assert "names with jobs/ are those of the key jobs" in text
    assert "jobs.allow.0:" not in text
