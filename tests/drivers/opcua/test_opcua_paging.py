"""Nodes that come in pages: continuation points (OPC 10000-4, 5.8.3 and 7.9) kept, lost, refused and endless.

asyncua's server knows none. Here it is given some, on the real protocol, and asked by the driver as ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from asyncua import ua
from asyncua.server import binary_server_asyncio
from asyncua.server.address_space import ViewService
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from drivers.driver import ReadFailed
from drivers.opcua.browse import MAX_FOUND
from drivers.opcua.driver import OpcuaDriver
from drivers.opcua.simulator import OpcuaServer
from tests.drivers.opcua.test_opcua_driver import URI, driver, profile

COUNT = 57
MODEL = profile({"count": {}})


@dataclass
class Pages:
    """How the server gives references, and what it was asked."""

    most: int = 10
    """References in one answer, whatever was asked for."""
    places: int = 1
    """Continuation points that are kept; a new one takes the place of the oldest."""
    refuses: bool = False
    """Whether it says that it has no place, instead."""
    endless: str = ""
    """``empty``, ``same`` or ``new``: what comes after the first page, without end."""
    asked: list[int] = field(default_factory=list)
    """The number of references asked for, of each Browse."""
    nexts: list[tuple[bool, bytes]] = field(default_factory=list)
    """Of each BrowseNext: whether it releases, and what."""
    held: dict[bytes, list[ua.ReferenceDescription]] = field(default_factory=dict)
    made: int = 0

    def page(self, references: list[ua.ReferenceDescription], size: int) -> ua.BrowseResult:
        result = ua.BrowseResult()
        result.References, rest = references[:size], references[size:]
        if rest:
            self.made += 1
            point = b"place %d" % self.made
            if self.refuses:
                return _status(StatusCodes.BadNoContinuationPoints)
            while len(self.held) >= self.places:
                del self.held[next(iter(self.held))]
            self.held[point] = rest
            result.ContinuationPoint = point
        return result

    def next(self, point: bytes, *, release: bool) -> ua.BrowseResult:
        self.nexts.append((release, point))
        rest = self.held.pop(point, None)
        if rest is None:
            return _status(StatusCodes.BadContinuationPointInvalid)
        if release:
            return ua.BrowseResult()
        if not self.endless:
            return self.page(rest, self.most)
        self.held[point] = rest
        result = ua.BrowseResult(ContinuationPoint=point)
        if self.endless == "same":
            result.References = rest[: self.most]
        elif self.endless == "new":
            made = range(1000 * len(self.nexts), 1000 * len(self.nexts) + 1000)
            result.References = [
                ua.ReferenceDescription(
                    NodeId=ua.NodeId(n, 2),  # type: ignore[arg-type]
                    NodeClass=ua.NodeClass.Object,
                )
                for n in made
            ]
        return result


def _status(code: int) -> ua.BrowseResult:
    return ua.BrowseResult(StatusCode=ua.StatusCode(ua.UInt32(code)))


@asynccontextmanager
async def paging(
    monkeypatch: pytest.MonkeyPatch, pages: Pages
) -> AsyncIterator[tuple[OpcuaServer, OpcuaDriver, str]]:
    """A connected driver and the address of a folder with COUNT objects."""

    class View(ViewService):
        def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
            size = params.RequestedMaxReferencesPerNode
            pages.asked.append(size)
            most = min(size or pages.most, pages.most) if not pages.refuses or size else COUNT
            return [pages.page(each.References, most) for each in super().browse(params)]

    class Processor(UaProcessor):
        async def _process_message(self, typeid: Any, requesthdr: Any, seqhdr: Any, body: Any) -> Any:
            if typeid != ua.NodeId(ua.Int32(ObjectIds.BrowseNextRequest_Encoding_DefaultBinary)):
                return await super()._process_message(typeid, requesthdr, seqhdr, body)  # type: ignore[no-untyped-call]
            asked = struct_from_binary(ua.BrowseNextParameters, body)
            response = ua.BrowseNextResponse()
            response.Parameters.Results = [
                pages.next(point, release=asked.ReleaseContinuationPoints)
                for point in asked.ContinuationPoints
            ]
            self.send_response(requesthdr.RequestHandle, seqhdr, response)  # type: ignore[no-untyped-call]
            return True

    monkeypatch.setattr(binary_server_asyncio, "UaProcessor", Processor)
    async with OpcuaServer(MODEL) as server, driver(server.url, MODEL) as made:
        inner = server._server
        assert inner is not None
        number = await inner.get_namespace_index(URI)
        folder = await inner.nodes.objects.add_folder(ua.NodeId("Axes", number), "Axes")  # type: ignore[arg-type]
        for n in range(COUNT):
            await folder.add_object(ua.NodeId(n + 1, number), f"Axis {n}")  # type: ignore[arg-type]
        inner.iserver.view_service = View(inner.iserver.aspace)
        yield server, made, f"nsu={URI};s=Axes"


async def test_pages_are_asked_for_until_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages()
    async with paging(monkeypatch, pages) as (_, made, folder):
        shown = [[each.name for each in page] async for page in made.browse_pages(folder)]
    assert [len(page) for page in shown] == [10, 10, 10, 10, 10, 7]
    assert [name for page in shown for name in page] == [f"Axis {n}" for n in range(COUNT)]
    assert [release for release, _ in pages.nexts] == [False] * 5
    assert pages.held == {}


async def test_who_stops_early_lets_the_server_forget_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages()
    async with paging(monkeypatch, pages) as (_, made, folder):
        under_way = made.browse_pages(folder)
        assert len(await anext(under_way)) == 10
        await under_way.aclose()
        assert pages.nexts == [(True, b"place 1")]
        assert pages.held == {}


async def test_a_place_that_another_browse_took_costs_neither_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages()
    async with paging(monkeypatch, pages) as (_, made, folder):
        first = made.browse_pages(folder)
        names = [each.name for each in await anext(first)]
        others = [each.name for each in await made.browse(folder)]
        names += [each.name async for page in first for each in page]
    assert sorted(names) == sorted(others) == sorted(f"Axis {n}" for n in range(COUNT))
    assert pages.asked == [1000, 1000, 0]


async def test_a_server_without_a_place_is_asked_for_everything_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = Pages(refuses=True)
    async with paging(monkeypatch, pages) as (_, made, folder):
        assert len(await made.browse(folder)) == COUNT
    assert pages.asked == [1000, 0]
    assert pages.nexts == []


@pytest.mark.parametrize("endless", ["empty", "same"])
async def test_a_server_that_never_comes_to_an_end_is_said(
    monkeypatch: pytest.MonkeyPatch, endless: str
) -> None:
    pages = Pages(endless=endless)
    async with paging(monkeypatch, pages) as (_, made, folder):
        with pytest.raises(ReadFailed, match="101 times that there is more"):
            await made.browse(folder)
        assert pages.nexts[-1] == (True, b"place 1"), "and it is told to forget it"
        assert await made.read(["count"]), "the connection is still good"


async def test_new_nodes_without_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.opcua.browse.MAX_FOUND", 5000)
    assert MAX_FOUND <= 200_000
    pages = Pages(endless="new")
    async with paging(monkeypatch, pages) as (_, made, folder):
        found = await made.browse(folder)
        assert 5000 <= len(found) < 6100
        assert pages.nexts[-1][0], "the rest is forgotten"


async def test_a_folder_takes_nodes_without_looking_at_those_it_has() -> None:
    """asyncua alone compares each with all; 100,000 in one folder would take it hours."""

    class Looked(list[ua.ReferenceDescription]):
        at = 0

        def __iter__(self) -> Any:
            for each in super().__iter__():
                self.at += 1
                yield each

    async with OpcuaServer(MODEL) as server:
        inner = server._server
        assert inner is not None
        number = await inner.get_namespace_index(URI)
        space = inner.iserver.aspace
        objects = space[inner.nodes.objects.nodeid]
        objects.references = looked = Looked(objects.references)
        before = len(looked)
        looks = []
        for n in range(40):
            looked.at = 0
            await inner.nodes.objects.add_variable(ua.NodeId(n + 1, number), f"Tag {n}", 0.0)  # type: ignore[arg-type]
            looks.append(looked.at)
        assert len(objects.references) == before + 40
        assert looks[0] == looks[-1] < before, "no more for the last than for the first"
        with pytest.raises(UaStatusCodeError, match="BadNodeIdExists"):
            await inner.nodes.objects.add_variable(ua.NodeId(1, number), "Tag", 0.0)  # type: ignore[arg-type]
