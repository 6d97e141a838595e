"""NC programs in the file directory of a real OPC UA server."""

from __future__ import annotations

import pytest

from drivers.driver import Capability, FileEntry, ReadFailed, WriteFailed, WriteRefused
from drivers.opcua import files as opcua_files
from drivers.opcua.driver import OpcuaDriver
from drivers.opcua.options import OpcuaOptions
from drivers.profile.files import check_profile
from drivers.programs import Released, Standing, deliver, inspect, sha256
from protocols.documents import parse
from tests.drivers.opcua.file_server import FileServer, file_server

PROFILE = """\
vendor: Acme
model: Mill
protocol: opcua
opcua: {namespaces: ["urn:acme:mill"]}
tags:
  state: {address: "i=2259", type: int32, role: state}
states: {0: {item_state: not_executing}}
files: {node: "ns=1;s=Programs"}
"""
V1, V2 = bytes(range(256)) * 10, b"G0 X0\n"


def driver(server: FileServer, text: str = PROFILE) -> OpcuaDriver:
    return OpcuaDriver(server.url, check_profile(parse(text, "mill.yaml")), OpcuaOptions(security="none"))


async def test_a_program_is_written_in_pieces_read_back_and_an_edit_is_found() -> None:
    released = Released("doors/O1.nc", sha256(V1))
    async with file_server(piece=1000) as server, driver(server) as mill:
        assert Capability.FILES in mill.capabilities
        assert (await inspect(mill, [released]))[0].standing is Standing.MISSING
        await deliver(mill, released, V1)
        assert server.files["O1.nc"].content == V1
        assert [call for call in server.calls if call.startswith(("Write", "Create"))] == [
            "CreateDirectory doors",
            "CreateFile O1.nc",
            "Write 1000",
            "Write 1000",
            "Write 560",
        ]
        assert await mill.list_files() == [FileEntry("doors/O1.nc", len(V1))]
        server.files["O1.nc"].content = V2
        (found,) = await inspect(mill, [released])
        assert (found.standing, found.found) == (Standing.EDITED, sha256(V2))
        await deliver(mill, released, V1, overwrite=True)
        assert server.files["O1.nc"].content == V1
        assert server.files["O1.nc"].open == {}, "every handle is closed"


async def test_what_the_server_refuses_is_said_and_no_handle_stays_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with file_server() as server, driver(server) as mill:
        await mill.put_file("P1", V2)
        with pytest.raises(FileNotFoundError):
            await mill.get_file("P2")
        server.refuse_writes = True
        with pytest.raises(WriteFailed, match='"P1": Open: the server answered BadNotWritable'):
            await mill.put_file("P1", V1)
        assert server.files["P1"].content == V2
        monkeypatch.setattr(opcua_files, "MAX_FILE", 3)
        with pytest.raises(ReadFailed, match="larger than"):
            await mill.get_file("P1")
        assert server.files["P1"].open == {}
        mill.refuses = "locked by K3"
        with pytest.raises(WriteRefused, match="locked by K3"):
            await mill.put_file("P3", V1)
        assert set(server.files) == {"P1"}


async def test_a_server_without_the_directory_says_so() -> None:
    async with file_server() as server:
        async with driver(server, PROFILE.replace("s=Programs", "s=Other")) as mill:
            with pytest.raises(ReadFailed, match="the server has no ns=2;s=Other, where the files"):
                await mill.list_files()
            with pytest.raises(WriteRefused, match="the server has no"):
                await mill.put_file("P1", V1)
        other = PROFILE.replace("ns=1;s=Programs", "nsu=urn:other;s=Programs")
        async with driver(server, other) as mill:
            with pytest.raises(ReadFailed, match='no namespace "urn:other"'):
                await mill.list_files()


async def test_folders_that_lead_in_a_circle_are_listed_once() -> None:
    async with file_server() as server, driver(server) as mill:
        await mill.put_file("a/P1", V2)
        programs = server.server.get_node(f"ns={server.index};s=Programs")
        (folder,) = [node for node in await programs.get_children() if "a-" in str(node.nodeid.Identifier)]
        await folder.add_reference(programs, 35)
        assert await mill.list_files() == [FileEntry("a/P1", len(V2))]
