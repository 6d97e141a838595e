"""What a server recorded of its nodes: HistoryRead of raw values (OPC 10000-4, 5.10.3; OPC 10000-11, 6.4.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from drivers.opcua_session import Session
from protocols.values import Reading

PAGE = 1000
"""Values of one node in one answer; a server may give fewer."""
MAX_VALUES = 2_000_000
"""The most that is read back at once, of all nodes together."""
_HISTORY_READ = 4
"""Bit of an access level (OPC 10000-3, 8.57): HistoryRead."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def history(
    session: Session, names: Sequence[str], start: int, end: int
) -> AsyncIterator[list[Reading]]:
    """Records of tags from ``start`` to ``end`` (µs UTC), node by node, each oldest first, a page at a time.

    Nodes whose access level does not offer their history are not asked for it, and one that refuses costs the
    others nothing.
    """
    nodes = await _recorded(session, [name for name in names if name in session.nodes])
    details = ua.ReadRawModifiedDetails()
    details.IsReadModified = False
    details.StartTime = _time(start)
    details.EndTime = _time(end)
    details.NumValuesPerNode = PAGE
    details.ReturnBounds = False
    left = MAX_VALUES
    items = list(nodes.items())
    for at in range(0, len(items), session.limits.records):
        waiting: list[tuple[ua.NodeId, list[str], bytes | None]] = [
            (node, members, None) for node, members in items[at : at + session.limits.records]
        ]
        while waiting:
            answers = await _ask(
                session, details, [(node, point) for node, _, point in waiting], release=False
            )
            following: list[tuple[ua.NodeId, list[str], bytes | None]] = []
            for (node, members, before), answer in zip(waiting, answers, strict=True):
                readings, count = _readings(session, members, answer, start, end)
                left -= count
                if readings:
                    yield readings
                point = bytes(answer.ContinuationPoint or b"")
                # The same point again, or one with nothing, would go on for ever.
                if point and point != before and count:
                    following.append((node, members, point))
            if left <= 0 and following:
                await _ask(session, details, [(node, point) for node, _, point in following], release=True)
                return
            waiting = following


async def _recorded(session: Session, names: Sequence[str]) -> dict[ua.NodeId, list[str]]:
    """Nodes that say that their history can be read."""
    nodes = session.by_node(names)
    found: dict[ua.NodeId, list[str]] = {}
    every = list(nodes)
    for start in range(0, len(every), session.limits.nodes):
        batch = every[start : start + session.limits.nodes]
        levels = await session.services.read_attributes(batch, AttributeIds.UserAccessLevel)
        for node, level in zip(batch, levels, strict=True):
            value = level.Value.Value if level.Value is not None else None
            if isinstance(value, int) and value & _HISTORY_READ:
                found[node] = nodes[node]
    return found


async def _ask(
    session: Session,
    details: ua.ReadRawModifiedDetails,
    nodes: Sequence[tuple[ua.NodeId, bytes | None]],
    *,
    release: bool,
) -> list[ua.HistoryReadResult]:
    parameters = ua.HistoryReadParameters()
    parameters.HistoryReadDetails = details
    parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    parameters.ReleaseContinuationPoints = release
    for node, point in nodes:
        wanted = ua.HistoryReadValueId()
        wanted.NodeId = node
        wanted.ContinuationPoint = point
        parameters.NodesToRead.append(wanted)
    return await session.services.history_read(parameters)


def _readings(
    session: Session, members: Sequence[str], answer: ua.HistoryReadResult, start: int, end: int
) -> tuple[list[Reading], int]:
    """Good and uncertain records of a node's tags within the times, and how many records there were."""
    if answer.StatusCode.value >> 30 >= 2:
        return [], 0
    data: Any = answer.HistoryData
    values = getattr(data, "DataValues", None) or []
    readings = []
    problems = session.meaning.quietly()
    for value in values:
        if value.StatusCode is not None and value.StatusCode.value == StatusCodes.BadBoundNotFound:
            continue
        for name, convert in problems.members(members):
            reading = problems.reading(name, value, convert)
            if reading.source_time is not None and start <= reading.source_time <= end:
                readings.append(reading)
    return readings, len(values)


def _time(microseconds: int) -> Any:
    return _EPOCH + timedelta(microseconds=microseconds)
