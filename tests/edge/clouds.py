"""A cloud for tests of the edge: the real link over the real broker, with a ledger in memory."""

import threading
import time
from collections import Counter
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from protocols import actions, session, states, telemetry
from protocols.actions import Action
from protocols.lanes import SESSION, Down, Lane, down, parse_up
from protocols.link_cloud import CloudLinks, Commit, Opened
from protocols.session import Batch, BatchKey, Bounds
from protocols.values import Sample


class MemoryLedger:
    """What the cloud has, in the order it came."""

    def __init__(self) -> None:
        self.batches: dict[BatchKey, Batch] = {}
        self.order: list[BatchKey] = []
        self.historical: dict[BatchKey, bool] = {}

    def digest(self, key: BatchKey) -> bytes | None:
        found = self.batches.get(key)
        return None if found is None else found.digest

    def last(self, stream: bytes, lane: Lane) -> int:
        return max((key.seq for key in self.batches if key[:2] == (stream, lane)), default=0)

    def digests(self, bounds: Bounds, limit: int) -> list[tuple[int, bytes]]:
        found = sorted(key for key in self.batches if key[:2] == (bounds.stream, bounds.lane))
        known = [(key.seq, self.batches[key].digest) for key in found]
        return [one for one in known if bounds.first <= one[0] <= bounds.last][:limit]


class Cloud:
    """The service's half on a broker; ``deaf`` swallows what comes, as if it hung."""

    def __init__(self, port: int, host: str = "127.0.0.1", ledger: MemoryLedger | None = None) -> None:
        self.ledger = ledger or MemoryLedger()
        self.links = CloudLinks()
        self.hellos: list[session.Hello] = []
        self.deaf = False
        self._lock = threading.Lock()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.reconnect_delay_set(1, 1)
        self._address = (host, port)
        self._subscribed = threading.Event()

    def __enter__(self) -> Self:
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect(*self._address)
        self._client.loop_start()
        assert self._subscribed.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = self._client.on_connect = self._client.on_subscribe = None

    def forget_sessions(self) -> None:
        """As a restart of the service does: the ledger stays."""
        with self._lock:
            self.links.reset()

    def send(self, edge: str, kind: Down, payload: bytes) -> None:
        self._client.publish(down(edge, kind), payload)

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload)

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe("onelot/v1/edges/+/up/+")

    def _on_message(self, _: Client, __: object, message: Any) -> None:
        topic = parse_up(message.topic)
        if topic is None or self.deaf:
            return
        with self._lock:
            received: session.UpMessage
            if topic.channel == SESSION:
                received = session.decode_hello(message.payload)
            else:
                received = session.decode_batch(message.payload)
            now = time.monotonic()
            decision = self.links.received(topic.edge, received, self.ledger, now, time.time_ns() // 1000)
            if isinstance(decision, Opened):
                self.hellos.append(decision.hello)
            if isinstance(decision, Commit):
                batch = decision.batch
                assert batch.key not in self.ledger.batches
                self.ledger.batches[batch.key] = batch
                self.ledger.order.append(batch.key)
                self.ledger.historical[batch.key] = decision.historical
            for edge, reply in self.links.flush():
                self._client.publish(down(edge, Down.SESSION), session.encode(reply))

    # --- what arrived ---------------------------------------------------------------------------------

    def _batches(self, lane: Lane) -> list[Batch]:
        with self._lock:
            return [self.ledger.batches[key] for key in self.ledger.order if key.lane is lane]

    @property
    def actions(self) -> list[Action]:
        return [action for batch in self._batches(Lane.ACTIONS) for action in actions.decode(batch.blob)]

    @property
    def states(self) -> list[states.Event]:
        return [event for batch in self._batches(Lane.STATES) for event in states.decode(batch.blob)]

    @property
    def samples(self) -> list[Sample]:
        return [
            sample
            for batch in self._batches(Lane.TELEMETRY)
            for sample in telemetry.decode(batch.blob).samples()
        ]

    @property
    def doubled(self) -> Counter[tuple[int, int]]:
        """Samples (tag, ts) that came more than once, by how often."""
        counted = Counter((sample.tag, sample.ts) for sample in self.samples)
        return Counter({key: count for key, count in counted.items() if count > 1})
