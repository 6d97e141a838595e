"""MQTT as a pipe: paho in a thread of its own, nothing queued, nothing remembered.

QoS 0 and clean start are enough, because the link acknowledges end to end. Every attempt to connect uses a
new client. MQTT 5 is tried first where the version is ``auto``; a broker that does not answer to it gets
3.1.1. Events come on the event loop of :meth:`MqttPipe.start`, in order.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from protocols.broker import Broker, Tls

log = structlog.get_logger(__name__)

KEEPALIVE = 3
"""Seconds between signs of life; twice that without an answer and the connection is given up."""
CONNECT_TIMEOUT = 2.0
GREET_TIMEOUT = 3.0
"""Seconds for CONNACK and SUBACK once TCP (and TLS) are up."""
RETRY = (0.3, 0.8)
"""Seconds between attempts, drawn anew each time: a broker that is back is found within a second."""

_VERSIONS = {
    "auto": (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311),
    "5": (MQTTProtocolVersion.MQTTv5,),
    "3.1.1": (MQTTProtocolVersion.MQTTv311,),
}


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker is reached and the subscriptions are in place."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The broker is lost; ``reason`` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message."""

    topic: str
    payload: bytes


PipeEvent = Connected | Disconnected | Arrived


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us when the connection breaks."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class _Attempt:
    """One client from its first packet to its last; its callbacks run on paho's thread."""

    def __init__(self, pipe: MqttPipe, version: MQTTProtocolVersion) -> None:
        self.pipe = pipe
        self.version = version
        self.greeted = False
        """A CONNACK came: the broker speaks this version."""
        self.unsupported = False
        """The broker said that it does not."""
        self.up = threading.Event()
        self.over = threading.Event()
        self.reason = ""
        self.client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=pipe.client_id,
            protocol=version,
            clean_session=True if version is MQTTProtocolVersion.MQTTv311 else None,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect

    def open(self) -> bool:
        """Connect TCP and start paho's thread; False when nobody answers."""
        broker = self.pipe.broker
        host, port = broker.address
        if (will := self.pipe.will()) is not None:
            self.client.will_set(will.topic, will.payload, will.qos, will.retain)
        try:
            if broker.username:
                self.client.username_pw_set(broker.username, broker.password)
            if broker.tls is not None:
                self.client.tls_set_context(_context(broker.tls))
            if self.version is MQTTProtocolVersion.MQTTv5:
                self.client.connect(host, port, KEEPALIVE, clean_start=True)
            else:
                self.client.connect(host, port, KEEPALIVE)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.reason = f"{host}:{port} cannot be reached: {error}"
            return False
        self.client.loop_start()
        return True

    def close(self) -> None:
        """Say goodbye if that is possible, and end paho's thread however the network is."""
        self.over.clear()
        self.client.disconnect()  # wakes paho's thread, too
        self.over.wait(0.1)
        if (socket := self.client.socket()) is not None:
            socket.close()
        self.client.loop_stop()
        # Without its callbacks the client is in no cycle, so that its last sockets close here and now.
        self.client.on_connect = self.client.on_subscribe = None
        self.client.on_message = self.client.on_disconnect = None

    def _on_connect(self, client: Client, _: object, __: object, reason: Any, ___: object) -> None:
        self.unsupported = str(reason) == "Unsupported protocol version"
        self.greeted = not self.unsupported
        if reason.is_failure:
            self.reason = f"the broker refuses: {reason}"
            self.over.set()
        elif self.pipe.topics:
            client.subscribe([(topic, 0) for topic in self.pipe.topics])
        else:
            self.up.set()

    def _on_subscribe(self, _: Client, __: object, ___: object, codes: Sequence[Any], ____: object) -> None:
        if refused := [
            topic for topic, code in zip(self.pipe.topics, codes, strict=False) if code.is_failure
        ]:
            log.error("broker.subscription_refused", topics=refused, next="allow them in the broker's ACL")
        self.up.set()

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        self.pipe.post(Arrived(message.topic, bytes(message.payload)))

    def _on_disconnect(self, _: Client, __: object, ___: object, reason: Any, ____: object) -> None:
        self.reason = self.reason or f"the connection broke: {reason}"
        self.over.set()


class MqttPipe:
    """A connection to the broker that comes back by itself.

    ``deliver`` gets each :data:`PipeEvent` on the event loop. ``will`` is asked for the will of each attempt
    to connect, on the pipe's thread.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        topics: Sequence[str],
        deliver: Callable[[PipeEvent], None],
        will: Callable[[], Will | None] = lambda: None,
    ) -> None:
        self.broker = broker
        self.client_id = client_id
        self.topics = tuple(topics)
        self.will = will
        self._deliver = deliver
        self._loop: asyncio.AbstractEventLoop | None = None
        self._current: _Attempt | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt-pipe", daemon=True)
        self._random = random.Random()

    def start(self) -> None:
        """Begin to connect; events come on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Disconnect and end the thread."""
        self._stopping.set()
        self.drop("closed")
        await asyncio.to_thread(self._thread.join)

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> bool:
        """Hand a message to the network; False when there is no connection (send it again later)."""
        attempt = self._current
        if attempt is None or not attempt.up.is_set() or attempt.over.is_set():
            return False
        return attempt.client.publish(topic, payload, qos).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def drop(self, reason: str) -> None:
        """Give the present connection up; a new one is made at once."""
        attempt = self._current
        if attempt is not None:
            attempt.reason = attempt.reason or reason
            attempt.over.set()

    def post(self, event: PipeEvent) -> None:
        """Bring an event to the loop, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, event)

    # --- the pipe's thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        versions = _VERSIONS[self.broker.version]
        turn = 0
        said = ""
        while not self._stopping.is_set():
            try:
                attempt = self._current = _Attempt(self, versions[turn % len(versions)])
                if attempt.open():
                    if self._greeted(attempt):
                        said = ""
                        self._stay(attempt)
                    elif not attempt.greeted:
                        turn += 1  # it may know another version only
                    attempt.close()
                older = attempt.unsupported and attempt.version is not versions[-1]
                # An older broker: the next version is tried, nothing is wrong yet.
                reason = said if older else attempt.reason or "no answer to the greeting"
            except Exception as error:  # noqa: BLE001 - no file left to open, say: nobody else would connect
                reason = f"{type(error).__name__}: {error}"
            self._current = None
            if reason != said and not self._stopping.is_set():  # once, not at every attempt
                log.warning("broker.lost", broker=":".join(map(str, self.broker.address)), reason=reason)
                said = reason
            self._stopping.wait(self._random.uniform(*RETRY))

    def _greeted(self, attempt: _Attempt) -> bool:
        """Wait for the greeting; False when the connection ends or nothing comes in time."""
        deadline = time.monotonic() + GREET_TIMEOUT
        while time.monotonic() < deadline and not attempt.over.is_set():
            if attempt.up.wait(0.02):
                return True
        return False

    def _stay(self, attempt: _Attempt) -> None:
        """Until the connection ends."""
        host, port = self.broker.address
        log.info("broker.connected", broker=f"{host}:{port}", mqtt=attempt.version.name)
        self.post(Connected())
        attempt.over.wait()
        self.post(Disconnected(attempt.reason))


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    if tls.cert is not None:
        context.load_cert_chain(str(tls.cert), None if tls.key is None else str(tls.key))
    return context
