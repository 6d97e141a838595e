"""What a server recorded of its nodes: HistoryRead of raw values (OPC 10000-4, 5.10.3; 10000-11, 6.4.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from drivers.opcua.session import Session
from drivers.opcua.values import microseconds
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
    items = list(nodes.items())
    left = MAX_VALUES
    for at in range(0, len(items), session.limits.records):
        waiting = [_Turn(node, members, start) for node, members in items[at : at + session.limits.records]]
        while waiting:
            begin = waiting[0].start
            now = [turn for turn in waiting if turn.start == begin]
            answers = await _ask(session, now, begin, end)
            waiting = [turn for turn in waiting if turn.start != begin]
            for turn, answer in zip(now, answers, strict=True):
                readings, count, last = _readings(session, turn.members, answer, turn.start, end)
                left -= count
                if readings:
                    yield readings
                following = turn.after(bytes(answer.ContinuationPoint or b""), count, last)
                if following is not None:
                    waiting.append(following)
            if left <= 0:
                await _ask(session, [turn for turn in waiting if turn.point], begin, end, release=True)
                return


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is to be asked of a node next."""

    node: ua.NodeId
    members: list[str]
    start: int
    """µs UTC."""
    point: bytes = b""
    """Where the server said that it goes on."""

    def after(self, point: bytes, count: int, last: int | None) -> _Turn | None:
        """The turn after an answer of ``count`` records up to ``last``; None when that was all."""
        if not count or (point and point == self.point):
            return None  # the same again would go on for ever
        if point:
            return replace(self, point=point)
        if count >= PAGE and last is not None and last >= self.start:
            # Some servers stop at the number asked for without saying that there is more.
            return replace(self, start=last + 1, point=b"")
        return None


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
    session: Session, turns: Sequence[_Turn], start: int, end: int, *, release: bool = False
) -> list[ua.HistoryReadResult]:
    if not turns:
        return []
    details = ua.ReadRawModifiedDetails()
    details.IsReadModified = False
    details.StartTime = _time(start)
    details.EndTime = _time(end)
    details.NumValuesPerNode = PAGE
    details.ReturnBounds = False
    parameters = ua.HistoryReadParameters()
    parameters.HistoryReadDetails = details
    parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    parameters.ReleaseContinuationPoints = release
    for turn in turns:
        wanted = ua.HistoryReadValueId()
        wanted.NodeId = turn.node
        wanted.ContinuationPoint = turn.point or None
        parameters.NodesToRead.append(wanted)
    return await session.services.history_read(parameters)


def _readings(
    session: Session, members: Sequence[str], answer: ua.HistoryReadResult, start: int, end: int
) -> tuple[list[Reading], int, int | None]:
    """A node's tags within the times; how many records the answer has, and the time of its last."""
    if answer.StatusCode.value >> 30 >= 2:
        return [], 0, None
    data: Any = answer.HistoryData
    values = getattr(data, "DataValues", None) or []
    readings: list[Reading] = []
    last: int | None = None
    past = session.meaning.quietly()
    for value in values:
        if value.StatusCode is not None and value.StatusCode.value == StatusCodes.BadBoundNotFound:
            continue
        last = microseconds(value.SourceTimestamp) or last
        for name, convert in past.members(members):
            reading = past.reading(name, value, convert)
            if reading.source_time is not None and start <= reading.source_time <= end:
                readings.append(reading)
    return readings, len(values), last


def _time(microseconds: int) -> Any:
    return _EPOCH + timedelta(microseconds=microseconds)
