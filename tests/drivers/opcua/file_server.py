"""A real OPC UA server with a file directory (OPC 10000-20): what a machine's controller offers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua
from asyncua.common.methods import uamethod
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.status_codes import StatusCodes

from tests.servers import free_port

URI = "urn:acme:mill"


@dataclass
class Stored:
    """One file: what it holds, and its open handles with their places. One that is written is locked
    (OPC 10000-20, 4.2.2) until it is closed, or the server gives up the session."""

    content: bytes = b""
    open: dict[int, int] = field(default_factory=dict)
    writing: bool = False

    def give_up(self) -> None:
        """The session that had it open is over."""
        self.open.clear()
        self.writing = False


@dataclass
class FileServer:
    """The files by node, what was asked, and how the server is limited."""

    url: str
    server: Server
    index: int
    piece: int
    files: dict[str, Stored] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refuse_writes: bool = False
    holds_after: int = -1
    """Pieces after which the server takes its time with the next one; never, with -1."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server takes its time; that piece never gets into the file."""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends the waiting."""
    handles: int = 0

    async def directory(self, parent: Node, name: str, *, node: str = "") -> Node:
        """A folder below another one, where files and folders can be made."""
        where = ua.QualifiedName(name, self.index)
        made = await parent.add_object(_node(node or f"{name}-{len(self.calls)}", self.index), where)

        @uamethod
        async def create_directory(_: Any, child: str) -> ua.NodeId:
            self.calls.append(f"CreateDirectory {child}")
            return (await self.directory(made, child)).nodeid

        @uamethod
        async def create_file(_: Any, child: str, _open: bool) -> tuple[ua.NodeId, int]:
            self.calls.append(f"CreateFile {child}")
            return (await self.file(made, child)).nodeid, 0

        text, node_id, whole = ua.VariantType.String, ua.VariantType.NodeId, ua.VariantType.UInt32
        await _method(made, "CreateDirectory", create_directory, [text], [node_id])
        await _method(made, "CreateFile", create_file, [text, ua.VariantType.Boolean], [node_id, whole])
        return made

    async def file(self, parent: Node, name: str, content: bytes = b"") -> Node:
        """A file below a folder."""
        key = f"{parent.nodeid.to_string()}/{name}"
        stored = self.files[name] = Stored(content)
        made = await parent.add_object(_node(key, self.index), ua.QualifiedName(name, self.index))
        size = await made.add_property(
            ua.NodeId(), ua.QualifiedName("Size", 0), ua.Variant(len(content), ua.VariantType.UInt64)
        )
        if self.piece:
            limit = ua.Variant(self.piece, ua.VariantType.UInt32)
            await made.add_property(ua.NodeId(), ua.QualifiedName("MaxByteStringLength", 0), limit)

        @uamethod
        def open_(_: Any, mode: int) -> Any:
            self.calls.append(f"Open {mode}")
            if mode & 2 and (self.refuse_writes or stored.open):
                return ua.StatusCode(StatusCodes.BadNotWritable)  # type: ignore[arg-type]
            if stored.writing:
                return ua.StatusCode(StatusCodes.BadNotReadable)  # type: ignore[arg-type]
            stored.writing = bool(mode & 2)
            if mode & 4:
                stored.content = b""
            self.handles += 1
            stored.open[self.handles] = 0
            return self.handles

        @uamethod
        def close(_: Any, handle: int) -> None:
            self.calls.append("Close")
            del stored.open[handle]
            stored.writing = False

        @uamethod
        def read(_: Any, handle: int, length: int) -> bytes:
            self.calls.append(f"Read {length}")
            start = stored.open[handle]
            part = stored.content[start : start + min(length, self.piece or length)]
            stored.open[handle] += len(part)
            return part

        @uamethod
        async def write(_: Any, handle: int, data: bytes) -> Any:
            self.calls.append(f"Write {len(data)}")
            if self.piece and len(data) > self.piece:
                return ua.StatusCode(StatusCodes.BadInvalidArgument)  # type: ignore[arg-type]
            if self.holds_after == 0:
                self.held.set()
                await self.go.wait()
                return ua.StatusCode(StatusCodes.BadTimeout)  # type: ignore[arg-type]
            self.holds_after -= 1
            stored.content += data
            await size.write_value(ua.Variant(len(stored.content), ua.VariantType.UInt64))
            return None

        whole, raw = ua.VariantType.UInt32, ua.VariantType.ByteString
        await _method(made, "Open", open_, [ua.VariantType.Byte], [whole])
        await _method(made, "Close", close, [whole], [])
        await _method(made, "Read", read, [whole, ua.VariantType.Int32], [raw])
        await _method(made, "Write", write, [whole, raw], [])
        return made


@asynccontextmanager
async def file_server(piece: int = 0, port: int = 0) -> AsyncIterator[FileServer]:
    """A running server with the empty directory ``s=Programs``; pieces of at most ``piece`` bytes."""
    server = Server()
    await server.init()
    url = f"opc.tcp://127.0.0.1:{port or free_port()}"
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    made = FileServer(url, server, await server.register_namespace(URI), piece)
    await made.directory(server.nodes.objects, "Programs", node="Programs")
    async with server:
        yield made
        # asyncua keeps sessions of clients that were killed beyond its own end.
        for session in list(server.iserver._external_sessions.values()):
            await session.close_session(True)


def _node(name: str, index: int) -> ua.NodeId:
    return ua.NodeId(ua.String(name), ua.Int16(index))


async def _method(parent: Node, name: str, function: Any, inputs: list[Any], outputs: list[Any]) -> None:
    await parent.add_method(ua.NodeId(), ua.QualifiedName(name, 0), function, inputs, outputs)
