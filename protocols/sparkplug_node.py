"""An edge node of Sparkplug B 3.0, as a pure state machine: what to publish when something happens.

Births come before data, every message carries the next seq (0–255, over node and devices together), and each
connection has a ``bdSeq`` of its own in its will, its birth and its death, so that a host can tell a late
death from the present one. With a primary host the node is silent until that host is online.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from protocols.catalogue import TagDefinition
from protocols.lifecycle import Lifecycle
from protocols.packing import UndecodableError
from protocols.sparkplug_payload import Metric, Payload, SparkplugType, decode, encode, sparkplug_type
from protocols.sparkplug_topics import HostState, Kind, Topic, checked_id
from protocols.values import Quality, Reason, Sample

REBIRTH = "Node Control/Rebirth"
BD_SEQ = "bdSeq"
ALIASES_FROM = 1
"""Alias of the tag with number 0; aliases are unique over a node and its devices (6.4.6)."""
BIRTHS_APART = 1_000_000
"""µs between two births that somebody asks for: a host in a loop must not flood the broker."""
METRICS_EACH = 2_000
"""Metrics in one data message."""


class NodeState(StrEnum):
    OFFLINE = "offline"
    WAITING = "waiting"
    """Connected to the broker, and the primary host is not there."""
    BORN = "born"


class NodeEvent(StrEnum):
    CONNECT = "connect"
    HOST_ONLINE = "host-online"
    HOST_OFFLINE = "host-offline"
    DISCONNECT = "disconnect"


NODE: Lifecycle[NodeState, NodeEvent] = Lifecycle(
    "sparkplug node",
    NodeState.OFFLINE,
    {
        (NodeState.OFFLINE, NodeEvent.CONNECT): NodeState.WAITING,
        (NodeState.OFFLINE, NodeEvent.DISCONNECT): NodeState.OFFLINE,
        (NodeState.WAITING, NodeEvent.HOST_ONLINE): NodeState.BORN,
        (NodeState.WAITING, NodeEvent.DISCONNECT): NodeState.OFFLINE,
        # A node whose primary host goes dies and connects anew (5.5): hosts see its death.
        (NodeState.BORN, NodeEvent.HOST_OFFLINE): NodeState.OFFLINE,
        (NodeState.BORN, NodeEvent.DISCONNECT): NodeState.OFFLINE,
    },
)


class Message(NamedTuple):
    """To be published, never retained; ``qos`` is 1 for deaths only (6.4.23)."""

    topic: str
    payload: bytes
    qos: int = 0


@dataclass(slots=True)
class SparkplugNode:
    """One edge node. Every method returns what to publish, in this order. Times are µs UTC.

    Args:
        group, node: its ids; ValueError when they cannot stand in a topic.
        primary_host: id of the host it serves; "" sends whoever listens.
        bd_seq: of the next connection, 0 to 255; keep :attr:`bd_seq` over restarts.
    """

    group: str
    node: str
    primary_host: str = ""
    bd_seq: int = 0
    state: NodeState = field(default=NodeState.OFFLINE, init=False)
    born: set[str] = field(default_factory=set, init=False)
    """Devices that have published their birth and no death since."""
    _tags: dict[int, TagDefinition] = field(default_factory=dict, init=False)
    _devices: dict[str, list[TagDefinition]] = field(default_factory=dict, init=False)
    _latest: dict[int, Sample] = field(default_factory=dict, init=False)
    _alive: set[str] = field(default_factory=set, init=False)
    """Devices that are connected to this edge."""
    _seq: int = field(default=0, init=False)
    _session: int = field(default=0, init=False)
    """``bdSeq`` of the present connection."""
    _born_at: int = field(default=-BIRTHS_APART, init=False)
    _host_time: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        for name in (self.group, self.node):
            checked_id(name)

    # --- the connection -------------------------------------------------------------------------------

    def will(self, now: int) -> Message:
        """The death to leave with the broker for the connection that is made next."""
        self._session = self.bd_seq
        self.bd_seq = (self.bd_seq + 1) % 256
        return self._death(now)

    def connected(self, now: int) -> list[Message]:
        """The broker is reached and the subscriptions are in place."""
        self._turn(NodeEvent.CONNECT)
        return [] if self.primary_host else self._online(now)

    def disconnected(self) -> None:
        """The broker is lost; its will tells the hosts."""
        self._turn(NodeEvent.DISCONNECT)

    def farewell(self, now: int) -> Message:
        """The death to publish before a connection is closed in good order: then no will is sent."""
        self._turn(NodeEvent.DISCONNECT)
        return self._death(now)

    def host(self, state: HostState, now: int) -> list[Message]:
        """The primary host said whether it is there. A STATE older than the last one is passed over: it is
        the will of a connection that the host has replaced."""
        if state.timestamp < self._host_time:
            return []
        self._host_time = state.timestamp
        if state.online and self.state is NodeState.WAITING:
            return self._online(now)
        if not state.online and self.state is NodeState.BORN:
            self._turn(NodeEvent.HOST_OFFLINE)
            return [self._death(now)]
        return []

    @property
    def subscriptions(self) -> list[str]:
        """Topics this node listens to: commands to it and to its devices; nothing but a rebirth is obeyed."""
        return [str(Topic(self.group, Kind.NCMD, self.node)), f"{Topic(self.group, Kind.DCMD, self.node)}/#"]

    def command(self, payload: bytes, now: int) -> tuple[list[Message], str]:
        """An NCMD: the births again when a host asks for them, and what was refused of it ("": nothing).

        Values are never written from here: a machine is written to by a person at its station only.
        """
        try:
            metrics = decode(payload).metrics
        except UndecodableError as error:
            return [], str(error)
        refused = sorted({metric.name or f"alias {metric.alias}" for metric in metrics} - {REBIRTH})
        asked = any(metric.name == REBIRTH and metric.value is True for metric in metrics)
        again = asked and self.state is NodeState.BORN and now - self._born_at >= BIRTHS_APART
        return (self._births(now) if again else []), ", ".join(refused)

    # --- what there is --------------------------------------------------------------------------------

    def describe(self, tags: Sequence[TagDefinition], now: int) -> list[Message]:
        """The tags there are from now on. A birth says them all, so a change means births again."""
        wanted = {tag.number: tag for tag in tags}
        if wanted == self._tags:
            return []
        self._tags = wanted
        self._devices = {}
        for tag in tags:
            self._devices.setdefault(tag.device, []).append(tag)
        self._latest = {number: kept for number, kept in self._latest.items() if number in wanted}
        if self.state is not NodeState.BORN:
            return []
        gone = [self._device_death(device, now) for device in sorted(self.born - set(self._devices))]
        return gone + self._births(now)

    def device(self, device: str, *, connected: bool, now: int) -> list[Message]:
        """A device of this edge has come or gone."""
        if connected:
            self._alive.add(device)
            return self._birth_of(device, now) if self._wants_birth(device) else []
        self._alive.discard(device)
        return [self._device_death(device, now)] if device in self.born else []

    def live(self, samples: Iterable[Sample], now: int) -> list[Message]:
        """Samples as they come, in order. They also become what a birth says; nothing is sent unless born."""
        fresh: dict[str, list[Sample]] = {}
        for sample in samples:
            tag = self._tags.get(sample.tag)
            if tag is None:
                continue
            self._latest[sample.tag] = sample
            if sample.quality is not Quality.BAD:
                self._alive.add(tag.device)
            fresh.setdefault(tag.device, []).append(sample)
        if self.state is not NodeState.BORN:
            return []
        messages: list[Message] = []
        for device, rows in fresh.items():
            if device in self.born:
                messages += self._data(device, rows, now, historical=False)
            elif self._wants_birth(device):
                messages += self._birth_of(device, now)
                # The birth has the newest value of each tag; what came before that is history already.
                if older := [row for row in rows if row is not self._latest[row.tag]]:
                    messages += self._data(device, older, now, historical=True)
        return messages

    def backlog(self, samples: Iterable[Sample], now: int) -> list[Message]:
        """Samples that could not be sent in their time, oldest first. A device that is gone is born for them
        and dies again: no data without a birth."""
        if self.state is not NodeState.BORN:
            return []
        rows: dict[str, list[Sample]] = {}
        for sample in samples:
            if (tag := self._tags.get(sample.tag)) is not None:
                rows.setdefault(tag.device, []).append(sample)
        messages: list[Message] = []
        for device, late in rows.items():
            if device not in self.born:
                messages += self._birth_of(device, now)
            messages += self._data(device, late, now, historical=True)
            if device not in self._alive:
                messages.append(self._device_death(device, now))
        return messages

    # --- messages -------------------------------------------------------------------------------------

    def _turn(self, event: NodeEvent) -> None:
        self.state = NODE.next(f"{self.group}/{self.node}", self.state, event)
        if self.state is NodeState.OFFLINE:
            self.born.clear()

    def _online(self, now: int) -> list[Message]:
        self._turn(NodeEvent.HOST_ONLINE)
        return self._births(now)

    def _next_seq(self) -> int:
        self._seq = (self._seq + 1) % 256
        return self._seq

    def _death(self, now: int) -> Message:
        metric = Metric(BD_SEQ, self._session, SparkplugType.INT64, timestamp=now // 1000)
        topic = str(Topic(self.group, Kind.NDEATH, self.node))
        return Message(topic, encode(Payload(now // 1000, (metric,))), qos=1)

    def _births(self, now: int) -> list[Message]:
        """The node's birth, which starts its seq at 0 and makes its devices' earlier births void."""
        self._seq, self._born_at = 0, now
        self.born.clear()
        stamp = now // 1000
        metrics = (
            Metric(BD_SEQ, self._session, SparkplugType.INT64, timestamp=stamp),
            Metric(REBIRTH, False, SparkplugType.BOOLEAN, timestamp=stamp),
        )
        topic = str(Topic(self.group, Kind.NBIRTH, self.node))
        messages = [Message(topic, encode(Payload(stamp, metrics, seq=0)))]
        for device in sorted(self._devices):
            if device in self._alive:
                messages += self._birth_of(device, now)
        return messages

    def _wants_birth(self, device: str) -> bool:
        return (
            self.state is NodeState.BORN
            and device in self._devices
            and device in self._alive
            and device not in self.born
        )

    def _birth_of(self, device: str, now: int) -> list[Message]:
        metrics = []
        for tag in self._devices[device]:
            sample = self._latest.get(tag.number) or Sample(
                tag.number, now, None, Quality.BAD, Reason.NOT_CONNECTED
            )
            metrics.append(_metric(tag, sample, name=tag.path.removeprefix(f"{device}/"), unit=tag.unit))
        self.born.add(device)
        return [self._of(Kind.DBIRTH, device, metrics, now)]

    def _device_death(self, device: str, now: int) -> Message:
        self.born.discard(device)
        return self._of(Kind.DDEATH, device, (), now)

    def _data(self, device: str, rows: Sequence[Sample], now: int, *, historical: bool) -> Iterator[Message]:
        for start in range(0, len(rows), METRICS_EACH):
            metrics = [
                _metric(self._tags[row.tag], row, historical=historical)
                for row in rows[start : start + METRICS_EACH]
            ]
            yield self._of(Kind.DDATA, device, metrics, now)

    def _of(self, kind: Kind, device: str, metrics: Sequence[Metric], now: int) -> Message:
        payload = Payload(now // 1000, tuple(metrics), self._next_seq())
        return Message(str(Topic(self.group, kind, self.node, device)), encode(payload))

    @property
    def latest(self) -> Mapping[int, Sample]:
        """The newest sample of each tag, by number."""
        return self._latest


def _metric(
    tag: TagDefinition, sample: Sample, *, name: str = "", unit: str = "", historical: bool = False
) -> Metric:
    return Metric(
        name,
        sample.value,
        sparkplug_type(tag.type),
        tag.number + ALIASES_FROM,
        sample.ts // 1000,
        historical,
        sample.quality,
        unit,
    )
