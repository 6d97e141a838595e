"""The nodes of a server, one level at a time (OPC 10000-4, 5.8.2), with what a profile needs to know."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIdNames, ObjectIds
from asyncua.ua.status_codes import StatusCodes

from drivers.capabilities import Seen
from drivers.driver import Found, ReadFailed
from drivers.opcua.profile import parse_node
from drivers.opcua.session import Session
from drivers.opcua.values import VARIANTS, microseconds
from protocols.values import DataType, Quality

PAGE = 1000
"""References asked for in one answer; a server may give fewer."""
_TEXT = 400
"""Characters of a value that are shown."""
MAX_FOUND = 200_000
"""The most that is listed below one node."""
_AT_ONCE = 100
"""Nodes that are shown before the rest of the first page is described."""
_BARREN = 100
"""Answers in a row without a new node, though each says that there is more: a slow server may give a few."""
_NO_PLACE = (StatusCodes.BadNoContinuationPoints, StatusCodes.BadContinuationPointInvalid)

References = list[ua.ReferenceDescription]

_TYPES = {
    **{variant.value: kind for kind, variant in VARIANTS.items()},
    ua.VariantType.SByte.value: DataType.INT16,
    ua.VariantType.Byte.value: DataType.UINT16,
    ua.VariantType.DateTime.value: DataType.STRING,
    ua.VariantType.Guid.value: DataType.STRING,
    ua.VariantType.ByteString.value: DataType.STRING,
    ua.VariantType.LocalizedText.value: DataType.STRING,
    ua.VariantType.QualifiedName.value: DataType.STRING,
    ObjectIds.Enumeration: DataType.INT32,
    ObjectIds.Duration: DataType.FLOAT64,
    ObjectIds.UtcTime: DataType.STRING,
    ObjectIds.LocaleId: DataType.STRING,
}
"""Types of tags by data types of the standard namespace."""
_KINDS = {
    ua.NodeClass.Object: "folder",
    ua.NodeClass.Variable: "variable",
    ua.NodeClass.Method: "method",
}
_WRITABLE = 2
"""Bit of an access level (OPC 10000-3, 8.57): CurrentWrite."""


def text_of(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, ua.LocalizedText):
        return value.Text or ""
    return str(value)


async def pages(session: Session, node: ua.NodeId, size: int = PAGE) -> AsyncGenerator[References]:
    """What is directly below a node, in pages, each once. Who stops early lets the server forget the rest.

    A server may keep few places to go on from, or drop one for another browse (OPC 10000-4, 7.9); then it is
    asked once more, for everything in one answer.

    Raises:
        ReadFailed: it has no such node, does not let us see it, or goes on without end.
    """
    wanted = ua.BrowseDescription()
    wanted.NodeId = node
    wanted.BrowseDirection = ua.BrowseDirection.Forward
    wanted.ReferenceTypeId = ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences))
    wanted.IncludeSubtypes = True
    wanted.NodeClassMask = sum(kind.value for kind in _KINDS)
    wanted.ResultMask = ua.BrowseResultMask.All
    parameters = ua.BrowseParameters()
    parameters.RequestedMaxReferencesPerNode = size
    parameters.NodesToBrowse = [wanted]
    seen: set[ua.NodeId] = set()
    barren = 0
    point: bytes | None = None
    try:
        while True:
            if point:
                asked, point = point, None
                (result,) = await session.services.browse_next(_going_on(asked))
            else:
                (result,) = await session.services.browse(parameters)
            if result.StatusCode.value in _NO_PLACE and parameters.RequestedMaxReferencesPerNode:
                parameters.RequestedMaxReferencesPerNode = 0
                continue
            if not result.StatusCode.is_good():
                raise ReadFailed(f"{node.to_string()}: {result.StatusCode.name}: {result.StatusCode.doc}")
            point = result.ContinuationPoint
            fresh = {each.NodeId: each for each in result.References or [] if each.NodeId not in seen}
            seen.update(fresh)
            barren = 0 if fresh else barren + 1
            if fresh or not point:
                yield list(fresh.values())
            if not point or len(seen) >= MAX_FOUND:
                return
            if barren > _BARREN:
                raise ReadFailed(
                    f"{node.to_string()}: the server says {barren} times that there is more below it"
                )
    finally:
        if point:
            await session.services.browse_next(_going_on(point, release=True))


def _going_on(point: bytes, *, release: bool = False) -> ua.BrowseNextParameters:
    parameters = ua.BrowseNextParameters()
    parameters.ReleaseContinuationPoints = release  # asyncua's default releases
    parameters.ContinuationPoints = [point]
    return parameters


async def children(session: Session, node: ua.NodeId, most: int) -> References:
    """The first nodes directly below one; none where there is no such node."""
    found: References = []
    try:
        async with aclosing(pages(session, node, min(most, PAGE))) as under_way:
            async for page in under_way:
                found += page
                if len(found) >= most:
                    break
    except ReadFailed:
        return []
    return found[:most]


async def browse(session: Session, address: str, size: int = PAGE) -> AsyncGenerator[list[Found]]:
    """What is directly below an address (Objects when empty), a page at a time, each node once.

    Raises:
        ValueError: not the form of an address.
        ReadFailed: the server has no such node, or does not let us see it.
    """
    node: ua.NodeId | None = ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
    if address:
        place = parse_node(address)
        node = session.node(place)
        if node is None:
            raise ReadFailed(f'the server has no namespace "{place.uri}"')
    assert node is not None  # noqa: S101 - said above
    first = _AT_ONCE
    async with aclosing(pages(session, node, size)) as under_way:
        async for page in under_way:
            here = [each for each in page if not getattr(each.NodeId, "ServerIndex", 0)]
            # Some servers give all at once, whatever was asked for: it is still shown in pages.
            start = 0
            while start < len(here):
                end = start + (min(size, first) if first else size)
                yield await _described(session, here[start:end])
                start, first = end, 0


async def look(session: Session, addresses: Sequence[str]) -> list[Seen]:
    """The values of nodes now, one for each address, whatever their type."""
    found = {}
    nodes = {}
    for address in addresses:
        node = session.node(parse_node(address))
        if node is None:
            found[address] = Seen(address, "", Quality.BAD, "the server has no such namespace")
        else:
            nodes[address] = node
    known = list(nodes)
    for start in range(0, len(known), session.limits.nodes):
        batch = known[start : start + session.limits.nodes]
        values = await session.services.read_attributes([nodes[a] for a in batch], AttributeIds.Value)
        for address, data in zip(batch, values, strict=True):
            found[address] = _seen(address, data)
    return [found[address] for address in addresses]


def _seen(address: str, data: ua.DataValue) -> Seen:
    status = data.StatusCode
    quality = Quality.BAD
    if status is None or status.is_good():
        quality = Quality.GOOD
    elif not status.is_bad():
        quality = Quality.UNCERTAIN
    problem = "" if status is None or status.is_good() else f"{status.name}: {status.doc}"
    value = None if data.Value is None else data.Value.Value
    elements = len(value) if isinstance(value, list) else None
    time = microseconds(data.SourceTimestamp)
    return Seen(address, "" if value is None else _shown(value), quality, problem, time, elements)


def _shown(value: Any) -> str:
    """A value as a person reads it, no longer than somebody reads."""
    if isinstance(value, list):
        inner = ", ".join(map(_shown, value[:8])) + (", …" if len(value) > 8 else "")
        return f"[{inner}]"[:_TEXT]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, bytes):
        return value[: _TEXT // 2].hex()
    return text_of(value)[:_TEXT]


async def _described(session: Session, references: References) -> list[Found]:
    variables = [each.NodeId for each in references if each.NodeClass == ua.NodeClass.Variable]
    facts = await _facts(session, variables)
    return [
        _found(session, each, *facts.get(each.NodeId, (None, 0, -1)))
        for each in references
        if each.NodeClass in _KINDS
    ]


async def _facts(
    session: Session, nodes: Sequence[ua.NodeId]
) -> dict[ua.NodeId, tuple[ua.NodeId | None, int, int]]:
    """Data type, access level and value rank of variables."""
    attributes = (AttributeIds.DataType, AttributeIds.UserAccessLevel, AttributeIds.ValueRank)
    wanted = [(node, attribute) for node in nodes for attribute in attributes]
    size = max(3, session.limits.nodes // 3 * 3)
    values: list[Any] = []
    for start in range(0, len(wanted), size):
        parameters = ua.ReadParameters()
        for node, attribute in wanted[start : start + size]:
            item = ua.ReadValueId()
            item.NodeId = node
            item.AttributeId = attribute
            parameters.NodesToRead.append(item)
        answers = await session.services.read(parameters)
        values += [data.Value.Value if data.Value is not None else None for data in answers]
    found = {}
    for number, node in enumerate(nodes):
        kind, access, rank = values[3 * number : 3 * number + 3]
        found[node] = (
            kind if isinstance(kind, ua.NodeId) else None,
            access if isinstance(access, int) else 0,
            rank if isinstance(rank, int) else -1,
        )
    return found


def _found(
    session: Session, each: ua.ReferenceDescription, kind: ua.NodeId | None, access: int, rank: int
) -> Found:
    shown: Any = _KINDS[each.NodeClass]
    name = text_of(each.DisplayName) or each.BrowseName.Name or ""
    type_, detail = None, ""
    if shown == "variable" and kind is not None:
        standard = kind.NamespaceIndex == 0 and isinstance(kind.Identifier, int)
        type_ = _TYPES.get(int(kind.Identifier)) if standard else None
        if type_ is None:
            detail = f"type {_type_name(session, kind)}"
        if rank >= 0:
            detail = f"array{', ' + detail if detail else ''}"
    is_folder = shown == "folder"
    return Found(
        address_of(session, each.NodeId),
        name,
        shown,
        type_,
        writable=bool(access & _WRITABLE),
        has_children=is_folder,
        detail=detail,
    )


def _type_name(session: Session, kind: ua.NodeId) -> str:
    if kind.NamespaceIndex == 0 and isinstance(kind.Identifier, int):
        return str(ObjectIdNames.get(kind.Identifier, kind.Identifier))
    return address_of(session, kind)


def address_of(session: Session, node: ua.NodeId) -> str:
    """A node as a profile writes it."""
    letter = {int: "i", str: "s", bytes: "b"}.get(type(node.Identifier), "g")
    if isinstance(node.Identifier, int):
        letter = "i"
    word = node.Identifier.hex() if isinstance(node.Identifier, bytes) else node.Identifier
    plain = f"{letter}={word}"
    if not node.NamespaceIndex:
        return plain
    if node.NamespaceIndex < len(session.uris):
        return f"nsu={session.uris[node.NamespaceIndex]};{plain}"
    return f"ns={node.NamespaceIndex};{plain}"
