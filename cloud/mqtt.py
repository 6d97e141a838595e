"""MQTT as a pipe: paho in its own thread, nothing queued, nothing remembered.

QoS 0 and clean start are enough, because the link acknowledges end to end. MQTT 5 is tried first; a broker
that refuses it gets 3.1.1. A new client is made for each version, so that no state of the old one is left.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import structlog
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

_log = structlog.get_logger(__name__)

RETRY_FIRST = 0.2
RETRY_MOST = 1.0
"""Seconds between attempts to connect: a broker that is back is found within a second."""

CONNECT_TIMEOUT = 3.0
FIRST_PATIENCE = 1.5
MOST_PATIENCE = 10.0
"""Seconds to wait for an answer of a broker before the other version is tried; they grow with each change."""

KEEPALIVE = 5
"""Seconds without a sign of life after which the connection is given up (a black hole sends no RST)."""

_VERSIONS: dict[str, Sequence[MQTTProtocolVersion]] = {
    "auto": (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311),
    "5": (MQTTProtocolVersion.MQTTv5,),
    "3.1.1": (MQTTProtocolVersion.MQTTv311,),
}


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a TLS connection in PEM; ``ca`` None means the system's, ``cert``/``key`` the client's own."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is and how to log in."""

    host: str
    port: int
    username: str = ""
    password: str = ""
    tls: Tls | None = None
    version: Literal["auto", "5", "3.1.1"] = "auto"


@dataclass(frozen=True, slots=True)
class Retained:
    """A message that the broker keeps for who subscribes later, with QoS 1."""

    topic: str
    payload: bytes


class MqttPipe:
    """A connection to a broker that comes back by itself; ``will`` is published for us when it breaks.

    ``receive(topic, payload)`` is called on paho's thread and must only enqueue; ``on_change(connected)``
    likewise, after the subscriptions were sent.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        topics: Sequence[str],
        receive: Callable[[str, bytes], None],
        on_change: Callable[[bool], None] = lambda _connected: None,
        will: Retained | None = None,
    ) -> None:
        self.connected = False
        self.problem = "not connected yet"
        """Why it is not connected, for /health; empty while it is."""
        self._address = address
        self._name = name
        self._topics = tuple(topics)
        self._receive = receive
        self._on_change = on_change
        self._will = will
        self._client: Client | None = None
        self._fits = False

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send a message, from any thread; False when there is no connection (it is gone: send it again)."""
        client = self._client
        if client is None or not self.connected:
            return False
        return client.publish(topic, payload, qos=0).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def retain(self, message: Retained, wait: float = 0.0) -> bool:
        """Have the broker keep a message; waits up to ``wait`` seconds until it has it: only in a thread."""
        client = self._client
        if client is None or not self.connected:
            return False
        sent = client.publish(message.topic, message.payload, qos=1, retain=True)
        if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and wait:
            sent.wait_for_publish(wait)
        return sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    async def run(self) -> None:
        """Stay connected until cancelled."""
        loop = asyncio.get_running_loop()
        patience = FIRST_PATIENCE
        for version in itertools.cycle(_VERSIONS[self._address.version]):
            refused = asyncio.Event()
            client = self._make(version, partial(loop.call_soon_threadsafe, refused.set))
            self._client, self._fits = client, False
            if self._address.version == "auto":
                doubt = partial(loop.call_later, patience, self._doubt, refused)
                client.on_socket_open = partial(_on_loop, loop, doubt)
            client.connect_async(self._address.host, self._address.port, keepalive=KEEPALIVE)
            client.loop_start()
            try:
                await refused.wait()
            finally:
                self._client = None
                client.on_disconnect = None
                client.disconnect()
                await asyncio.to_thread(client.loop_stop)
                self._set(connected=False, problem="closed")
            patience = min(patience * 1.5, MOST_PATIENCE)

    def _doubt(self, refused: asyncio.Event) -> None:
        """A broker that knows no MQTT 5 may wait for ever for the rest of a packet it takes for another."""
        if not self._fits:
            refused.set()

    def _make(self, version: MQTTProtocolVersion, refused: Callable[[], object]) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{self._name}-{secrets.token_hex(4)}",
            protocol=version,
            clean_session=True if version is MQTTProtocolVersion.MQTTv311 else None,
            reconnect_on_failure=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        client.suppress_exceptions = True  # an exception in a callback would end paho's thread for good
        client.reconnect_delay_set(RETRY_FIRST, RETRY_MOST)  # type: ignore[arg-type]
        if self._address.username:
            client.username_pw_set(self._address.username, self._address.password)
        if self._address.tls is not None:
            client.tls_set_context(_context(self._address.tls))
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)

        def connected(
            client: Client, _data: object, _flags: object, reason: Any, _properties: object
        ) -> None:
            if reason.is_failure:
                if str(reason) == "Unsupported protocol version" and self._address.version == "auto":
                    refused()
                else:
                    self._lost(f"{self._address.host}:{self._address.port} refuses: {reason}")
                return
            self._fits = True
            client.subscribe([(topic, 0) for topic in self._topics])
            _log.info(
                "mqtt.connected", broker=f"{self._address.host}:{self._address.port}", version=version.name
            )
            self._set(connected=True, problem="")

        def failed(_client: Client, _data: object) -> None:
            self._lost(f"{self._address.host}:{self._address.port} cannot be reached")

        def disconnected(
            _client: Client, _data: object, _flags: object, reason: Any, _properties: object
        ) -> None:
            if self.connected:
                self._lost(f"the connection broke: {reason}")

        def message(_client: Client, _data: object, message: Any) -> None:
            self._receive(message.topic, bytes(message.payload))

        client.on_connect = connected
        client.on_connect_fail = failed
        client.on_disconnect = disconnected
        client.on_message = message
        return client

    def _lost(self, why: str) -> None:
        """Say so once, not at every attempt."""
        if self.problem != why:
            _log.warning("mqtt.lost", broker=f"{self._address.host}:{self._address.port}", why=why)
        self._set(connected=False, problem=why)

    def _set(self, *, connected: bool, problem: str) -> None:
        changed = connected != self.connected
        self.connected, self.problem = connected, problem
        if changed:
            self._on_change(connected)


def _on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object], *_: object) -> None:
    """Have the event loop call something; a callback for paho's thread, whatever arguments it gives."""
    loop.call_soon_threadsafe(call)


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca is not None else None)
    if tls.cert is not None:
        context.load_cert_chain(str(tls.cert), str(tls.key) if tls.key is not None else None)
    return context
