"""A host application of Sparkplug B 3.0, as a pure state machine: what other people's edge nodes say becomes
catalogues and samples of edges of our own kind.

A node counts from its birth. What does not fit (a gap in seq, an unknown alias, data without a birth) makes
the host ask for births again, at most every few seconds. A death counts only with the ``bdSeq`` of the birth.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from protocols.catalogue import Catalogue, TagDefinition, catalogue
from protocols.packing import UndecodableError
from protocols.sparkplug_node import BD_SEQ, REBIRTH, Message
from protocols.sparkplug_payload import (
    Metric,
    Payload,
    SparkplugType,
    decode,
    encode,
    typed,
    value_type,
)
from protocols.sparkplug_topics import NAMESPACE, Kind, Topic, parse
from protocols.telemetry import LATEST
from protocols.values import MICROSECONDS, DataType, Quality, Reason, Sample, Value

MAX_NODES = 500
MAX_TAGS = 20_000
"""Metrics that one node and its devices may have together."""
MAX_NAME = 240
"""Characters of a metric's whole path."""
MAX_DEVICE = 120
MAX_TEXT = 1024
ASK_APART = 5 * MICROSECONDS
"""µs between two requests for births to one node."""
AHEAD = 86_400 * MICROSECONDS
"""µs that a node's clock may be ahead before its times are replaced by ours."""

_CONTROL = ("Node Control/", "Device Control/")
"""Metrics that are commands and no values."""


class Tag(NamedTuple):
    """A metric as its birth described it, and its number in our catalogue."""

    number: int
    datatype: int
    type: DataType


@dataclass(slots=True)
class _Device:
    """What a birth said of a device (or of the node itself): metrics by name and by alias."""

    alive: bool = False
    names: dict[str, Tag] = field(default_factory=dict)
    aliases: dict[int, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    """Metrics of the birth that no tag can hold."""


class DeviceState(NamedTuple):
    """A device (or node) has come or gone; ``ts`` in µs UTC."""

    device: str
    connected: bool
    ts: int
    detail: str


@dataclass(slots=True)
class Told:
    """What one message told: samples in order, devices that came or went, what to answer, what was wrong.

    The node's catalogue has more tags when it ``grows``. When it ``supersedes`` one (another type or unit),
    earlier samples must be written under the catalogue that was in force before.
    """

    edge: str = ""
    live: list[Sample] = field(default_factory=list)
    historical: list[Sample] = field(default_factory=list)
    states: list[DeviceState] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)
    problem: str = ""
    grows: bool = False
    supersedes: bool = False


def edge_id(group: str, node: str) -> str:
    """Our id of a foreign node: readable, legal in topics, and its own by its last eight digits."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{group}-{node}".lower()).strip("-")[:20].strip("-")
    own = hashlib.blake2b(f"{group}/{node}".encode(), digest_size=4).hexdigest()
    return f"sp-{slug}-{own}" if slug else f"sp-{own}"


def device_id(group: str, node: str, device: str = "") -> str:
    """Our id of a foreign device; ids of our own devices have no such form."""
    return "/".join(part for part in (NAMESPACE, group, node, device) if part)


@dataclass(slots=True)
class _Node:
    """One foreign edge node."""

    group: str
    node: str
    edge: str
    bd_seq: int | None = None
    seq: int | None = None
    """Seq of the last message; None before the first birth."""
    devices: dict[str, _Device] = field(default_factory=dict)
    definitions: dict[tuple[str, DataType, str], TagDefinition] = field(default_factory=dict)
    current: dict[str, TagDefinition] = field(default_factory=dict)
    """The definition of each path in force; what a later birth leaves out stays, with what was sampled."""
    last: dict[int, int] = field(default_factory=dict)
    """Time of the newest live sample by tag number: it only rises."""
    asked: int = -ASK_APART


class SparkplugHost:
    """All nodes of some groups. Times are µs UTC; nothing here does any I/O."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], _Node] = {}
        self.ignored: Counter[str] = Counter()
        """Messages without effect, by reason."""

    def received(self, topic: str, payload: bytes, now: int) -> Told | None:
        """Take a message; None when it is none of a node (STATE, commands, anything else)."""
        where = parse(topic)
        if where is None or where.kind in (Kind.NCMD, Kind.DCMD):
            return None
        node = self._nodes.get((where.group, where.node))
        if node is None:
            if len(self._nodes) >= MAX_NODES:
                self.ignored["too many nodes"] += 1
                return None
            edge = edge_id(where.group, where.node)
            node = self._nodes[where.group, where.node] = _Node(where.group, where.node, edge)
        told = Told(node.edge)
        try:
            message = decode(payload)
        except UndecodableError as error:
            self.ignored["undecodable"] += 1
            told.problem = f"{topic}: {error}"
            return told
        _TAKE[where.kind](self, node, where, message, told, now)
        return told

    def catalogue_of(self, edge: str) -> Catalogue | None:
        """The tags of a node, in force after what it said last."""
        node = next((node for node in self._nodes.values() if node.edge == edge), None)
        return None if node is None else catalogue(edge, list(node.current.values()))

    def forget(self, now: int) -> list[Told]:
        """The connection to the broker was lost: what the nodes do meanwhile is not known."""
        told = []
        for node in self._nodes.values():
            if node.seq is not None:
                told.append(Told(node.edge, states=list(_all_gone(node, now, "the broker was lost"))))
                node.seq = None
        return told

    # --- births ---------------------------------------------------------------------------------------

    def _node_birth(self, node: _Node, _: Topic, message: Payload, told: Told, now: int) -> None:
        bd_seq = next((metric.value for metric in message.metrics if metric.name == BD_SEQ), None)
        node.bd_seq = bd_seq if isinstance(bd_seq, int) else None
        told.states += [gone for gone in _all_gone(node, now, "born again") if gone.device.count("/") > 2]
        node.seq = message.seq if message.seq is not None else 0
        node.devices.clear()
        self._describe(node, "", message.metrics, told, now)

    def _device_birth(self, node: _Node, where: Topic, message: Payload, told: Told, now: int) -> None:
        if not self._in_order(node, message, told, now):
            return
        if len(device_id(node.group, node.node, where.device)) > MAX_DEVICE:
            told.problem = f'device "{where.device[:40]}…" of {node.group}/{node.node}: name too long'
            self.ignored["name too long"] += 1
            return
        self._describe(node, where.device, message.metrics, told, now)

    def _describe(self, node: _Node, name: str, metrics: Sequence[Metric], told: Told, now: int) -> None:
        """Take the metrics of a birth and their values."""
        device = node.devices[name] = _Device(alive=True)
        prefix = device_id(node.group, node.node, name)
        left_out: Counter[str] = Counter()
        for metric in metrics:
            if not metric.name or metric.name == BD_SEQ or metric.name.startswith(_CONTROL):
                continue
            if metric.alias is not None:
                device.aliases[metric.alias] = metric.name
            device.left_out.add(metric.name)
            path, kind, unit = f"{prefix}/{metric.name}", value_type(metric.datatype), metric.unit[:20]
            if kind is None:
                left_out["no scalar"] += 1
            elif len(path) > MAX_NAME:
                left_out["name too long"] += 1
            elif len(node.definitions) >= MAX_TAGS and (path, kind, unit) not in node.definitions:
                left_out[f"more than {MAX_TAGS} metrics"] += 1
            else:
                tag = node.definitions.setdefault(
                    (path, kind, unit),
                    TagDefinition(len(node.definitions), path, kind, unit, device=prefix),
                )
                told.supersedes |= node.current.get(path, tag) is not tag
                told.grows |= path not in node.current
                node.current[path] = tag
                device.names[metric.name] = Tag(tag.number, metric.datatype, kind)
                device.left_out.discard(metric.name)
        told.states.append(DeviceState(prefix, True, now, ""))
        self._take(node, device, metrics, message_time=0, told=told, now=now)
        if left_out:
            why = ", ".join(f"{count} with {reason}" for reason, count in sorted(left_out.items()))
            told.problem = f"{prefix}: metrics left out: {why}"

    # --- data -----------------------------------------------------------------------------------------

    def _data(self, node: _Node, where: Topic, message: Payload, told: Told, now: int) -> None:
        if not self._in_order(node, message, told, now):
            return
        device = node.devices.get(where.device)
        if device is None or not device.alive:
            self._ask(node, told, now, "data before birth")
            return
        if not self._take(node, device, message.metrics, message.timestamp, told, now):
            self._ask(node, told, now, "unknown metric")

    def _take(
        self,
        node: _Node,
        device: _Device,
        metrics: Iterable[Metric],
        message_time: int,
        told: Told,
        now: int,
    ) -> bool:
        """Samples of metrics; False when one of them was never described."""
        known = True
        for metric in metrics:
            alias = "" if metric.alias is None else device.aliases.get(metric.alias, "")
            name = metric.name or alias
            tag = device.names.get(name)
            if tag is None:
                # what the birth left out on purpose has no tag, either
                known = known and bool(name) and (name in device.left_out or name.startswith(_CONTROL))
                continue
            if not metric.datatype:
                metric = typed(metric, tag.datatype)
            ts = (metric.timestamp or message_time) * 1000
            value, quality, reason = _valued(metric, tag)
            if not 0 < ts <= min(now + AHEAD, LATEST):
                ts = now
            if metric.historical:
                told.historical.append(Sample(tag.number, ts, value, quality, reason))
                continue
            ts = max(ts, node.last.get(tag.number, 0) + 1)
            node.last[tag.number] = ts
            told.live.append(Sample(tag.number, ts, value, quality, reason))
        return known

    # --- deaths ---------------------------------------------------------------------------------------

    def _node_death(self, node: _Node, _: Topic, message: Payload, told: Told, now: int) -> None:
        bd_seq = next((metric.value for metric in message.metrics if metric.name == BD_SEQ), None)
        if node.seq is None or (node.bd_seq is not None and bd_seq != node.bd_seq):
            self.ignored["late death"] += 1  # of a connection that the node has replaced
            return
        told.states += _all_gone(node, now, "the node has died")
        node.seq = None

    def _device_death(self, node: _Node, where: Topic, message: Payload, told: Told, now: int) -> None:
        if not self._in_order(node, message, told, now):
            return
        device = node.devices.get(where.device)
        if device is not None and device.alive:
            device.alive = False
            gone = device_id(node.group, node.node, where.device)
            told.states.append(DeviceState(gone, False, now, "the node has lost its device"))

    # --- order ----------------------------------------------------------------------------------------

    def _in_order(self, node: _Node, message: Payload, told: Told, now: int) -> bool:
        """Whether the node was born. A missing message is no reason to pass over this one; it may have been a
        birth, so births are asked for."""
        if node.seq is None:
            self._ask(node, told, now, "no birth")
            return False
        expected = (node.seq + 1) % 256
        if message.seq is not None:
            if message.seq != expected:
                self._ask(node, told, now, "gap in seq")
            node.seq = message.seq
        return True

    def _ask(self, node: _Node, told: Told, now: int, why: str) -> None:
        """Ask a node for its births, now and then."""
        self.ignored[why] += 1
        if now - node.asked < ASK_APART:
            return
        node.asked = now
        metric = Metric(REBIRTH, True, SparkplugType.BOOLEAN, timestamp=now // 1000)
        topic = str(Topic(node.group, Kind.NCMD, node.node))
        told.answers.append(Message(topic, encode(Payload(now // 1000, (metric,)))))


_TAKE = {
    Kind.NBIRTH: SparkplugHost._node_birth,
    Kind.NDEATH: SparkplugHost._node_death,
    Kind.NDATA: SparkplugHost._data,
    Kind.DBIRTH: SparkplugHost._device_birth,
    Kind.DDEATH: SparkplugHost._device_death,
    Kind.DDATA: SparkplugHost._data,
}


def _all_gone(node: _Node, now: int, why: str) -> Iterable[DeviceState]:
    for name, device in node.devices.items():
        if device.alive:
            device.alive = False
            yield DeviceState(device_id(node.group, node.node, name), False, now, why)


def _valued(metric: Metric, tag: Tag) -> tuple[Value, Quality, Reason]:
    """Value, quality and reason of a metric in the type that its birth promised."""
    value = metric.value
    if value is None or metric.quality is Quality.BAD:
        return None, Quality.BAD, Reason.OTHER
    if value_type(metric.datatype) is not tag.type:
        return None, Quality.BAD, Reason.TYPE_MISMATCH
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None, Quality.BAD, Reason.SENSOR_FAILURE
    if isinstance(value, str):
        value = value[:MAX_TEXT]
    stale = metric.quality is not Quality.GOOD
    return value, metric.quality, Reason.STALE if stale else Reason.NONE
