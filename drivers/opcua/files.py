"""Files in a FileDirectoryType object of an OPC UA server (OPC 10000-20, 4.2 and 4.3).

A file is opened, read or written in pieces that the server takes, and closed whatever happens: a server
allows few open files, and one left open for writing is locked. Imported only together with asyncua.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.ua.uaerrors import UaError

from drivers.capabilities import FileEntry
from drivers.errors import DeviceLost, ReadFailed, WriteFailed, WriteRefused, WriteUnknown
from drivers.opcua.methods import call, node_id
from drivers.opcua.profile import NodeAddress
from drivers.opcua.values import microseconds
from drivers.program_folder import MAX_FILE, MAX_FILES, Permit

READ, WRITE_ANEW = 1, 6
"""Open modes: read; write and erase what is there (OPC 10000-20, table 4)."""

PIECE = 64 << 10
"""Bytes that are asked for or sent at once; fewer where the server's MaxByteStringLength says so."""

MAX_DEPTH = 8
"""The deepest folder below the directory that is listed."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A file directory of a connected server."""

    client: Client
    address: str
    """The server's URL, for messages."""
    place: NodeAddress

    async def list_files(self) -> list[FileEntry]:
        """Files here and in the folders below, by name.

        Raises:
            ReadFailed: the server does not have the directory, or too many files.
            DeviceLost: no answer.
        """
        found: list[FileEntry] = []
        async with self._asking():
            await self._list(await self._root(), "", found, set())
        return sorted(found, key=lambda entry: entry.name)

    async def get_file(self, name: str) -> bytes:
        """What a file holds.

        Raises:
            FileNotFoundError: there is none.
            ReadFailed: the server refuses it, or it is larger than ``MAX_FILE``.
            DeviceLost: no answer.
        """
        async with self._asking():
            file = await self._file(name)
            if file is None:
                raise FileNotFoundError(name)
            piece = await self._piece(file)
            content = bytearray()
            async with self._opened(name, file, READ) as handle:
                while True:
                    (read,) = await self._ask(name, file, "Read", handle, _int32(piece))
                    if not read.Value:
                        return bytes(content)
                    content += read.Value
                    if len(content) > MAX_FILE:
                        raise ReadFailed(
                            f'"{name}" is larger than {MAX_FILE >> 20} MiB, the most that is read'
                        )

    async def put_file(self, name: str, content: bytes, permit: Permit) -> None:
        """Write a file anew, with the folders above it.

        Raises:
            WriteRefused: the server does not have the directory; nothing was sent.
            WriteFailed: the server refuses it.
            WriteUnknown: no answer; what is there may be a part.
        """
        try:
            file = await self._file(name) or await self._create(name)
            piece = await self._piece(file)
            await permit()
            async with self._opened(name, file, WRITE_ANEW) as handle:
                for start in range(0, len(content), piece):
                    part = ua.Variant(content[start : start + piece], ua.VariantType.ByteString)
                    await self._ask(name, file, "Write", handle, part)
        except (TimeoutError, OSError) as error:
            cause = str(error) or "no answer"
            raise WriteUnknown(f'"{name}": {cause}; what is there may be a part — read it back') from error
        except ReadFailed as error:
            raise WriteRefused(f'"{name}": {error}') from error
        except UaError as error:
            raise WriteFailed(f'"{name}": {error}') from error

    # --- nodes ------------------------------------------------------------------------------------------

    async def _root(self) -> Node:
        node = node_id(self.place, await self.client.get_namespace_array())
        if node is None:
            raise ReadFailed(f'the server has no namespace "{self.place.uri}", where the files should be')
        root = self.client.get_node(node)
        try:
            await root.read_node_class()
        except UaError as error:
            raise ReadFailed(f"the server has no {node.to_string()}, where the files should be") from error
        return root

    async def _list(self, folder: Node, under: str, found: list[FileEntry], seen: set[ua.NodeId]) -> None:
        """Files of a folder that was not seen yet: a server's folders may lead in a circle."""
        seen.add(folder.nodeid)
        for entry in await self._below(folder):
            name = under + (entry.BrowseName.Name or "")
            node = self.client.get_node(entry.NodeId)
            if len(found) + len(seen) > MAX_FILES:
                raise ReadFailed(f"there are more than {MAX_FILES} files, the most that are listed")
            if (size := await self._size(node)) is not None:
                found.append(FileEntry(name, size, await self._modified(node)))
            elif node.nodeid not in seen and name.count("/") < MAX_DEPTH:
                await self._list(node, f"{name}/", found, seen)

    async def _below(self, folder: Node) -> list[ua.ReferenceDescription]:
        children: list[ua.ReferenceDescription] = await folder.get_children_descriptions(
            nodeclassmask=ua.NodeClass.Object
        )
        return children

    async def _file(self, name: str) -> Node | None:
        """The node of a file; None when there is none."""
        return await self._walk(name.split("/"))

    async def _walk(self, parts: list[str]) -> Node | None:
        node = await self._root()
        for part in parts:
            found = next((entry for entry in await self._below(node) if entry.BrowseName.Name == part), None)
            if found is None:
                return None
            node = self.client.get_node(found.NodeId)
        return node

    async def _create(self, name: str) -> Node:
        *folders, last = name.split("/")
        node = await self._root()
        for number, part in enumerate(folders):
            known = await self._walk(folders[: number + 1])
            node = known or await self._made(name, node, "CreateDirectory", _text(part))
        left_closed = ua.Variant(False, ua.VariantType.Boolean)
        return await self._made(name, node, "CreateFile", _text(last), left_closed)

    async def _made(self, name: str, folder: Node, method: str, *inputs: ua.Variant) -> Node:
        made, *_ = await self._ask(name, folder, method, *inputs)
        return self.client.get_node(made.Value)

    async def _size(self, node: Node) -> int | None:
        """Bytes of a file; None for what is no file."""
        try:
            value = await (await node.get_child("Size")).read_value()
        except UaError:
            return None
        return int(value)

    async def _modified(self, node: Node) -> int | None:
        try:
            return microseconds(await (await node.get_child("LastModifiedTime")).read_value())
        except UaError:
            return None  # optional (OPC 10000-20, 4.2.1)

    async def _piece(self, node: Node) -> int:
        """How many bytes the server takes at once."""
        try:
            limit = await (await node.get_child("MaxByteStringLength")).read_value()
        except UaError:
            return PIECE  # optional, too
        return min(PIECE, int(limit)) if limit else PIECE

    # --- calls ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _opened(self, name: str, file: Node, mode: int) -> AsyncIterator[ua.Variant]:
        (opened,) = await self._ask(name, file, "Open", ua.Variant(mode, ua.VariantType.Byte))
        handle = ua.Variant(opened.Value, ua.VariantType.UInt32)
        try:
            yield handle
        except BaseException:
            # What went wrong first is what is said; a lost server closes its files itself.
            with contextlib.suppress(WriteFailed, UaError, OSError, TimeoutError):
                await self._ask(name, file, "Close", handle)
            raise
        await self._ask(name, file, "Close", handle)

    async def _ask(self, name: str, node: Node, method: str, *inputs: ua.Variant) -> list[ua.Variant]:
        found = await node.get_child(method)
        return await call(self.client, f'"{name}": {method}', node.nodeid, found.nodeid, list(inputs))

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Errors of reading as those of a driver."""
        try:
            yield
        except (WriteUnknown, TimeoutError) as error:
            raise DeviceLost(self.address, str(error) or "no answer") from error
        except (WriteFailed, UaError) as error:
            raise ReadFailed(str(error)) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DeviceLost(self.address, str(error) or type(error).__name__) from error


def _text(value: str) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.String)


def _int32(value: int) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.Int32)
