"""MQTT for VDA 5050: paho in a thread of its own, nothing queued, nothing remembered.

The only module of the drivers that imports paho (docs/decisions/0018). One :class:`Connection` is one
connection: it is opened once and, when it is lost, another one is made. Messages come on the event loop of
:meth:`Connection.open`, in order; when the loop does not keep up, they are given up rather than piled up.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from protocols.broker import Broker, Tls
from protocols.vda5050 import MAX_BYTES

KEEPALIVE = 5
CONNECT_TIMEOUT = 3.0
GREET_TIMEOUT = 4.0
MAX_WAITING = 500
"""Messages on their way to the event loop; more are given up. The next state says it all again."""

_VERSIONS = {
    "auto": (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311),
    "5": (MQTTProtocolVersion.MQTTv5,),
    "3.1.1": (MQTTProtocolVersion.MQTTv311,),
}


class NoBrokerError(Exception):
    """The broker cannot be reached or refuses; says why."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when the connection breaks."""

    topic: str
    payload: bytes


class Connection:
    """One connection to a broker.

    Args:
        broker: where it is and how to log in.
        client_id: unique on the broker.
        topics: what to subscribe to.
        arrived: takes topic and payload, on the event loop.
        lost: is told once why the connection ended, on the event loop.
        will: published, retained, when it breaks.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        topics: Sequence[str],
        arrived: Callable[[str, bytes], None],
        lost: Callable[[str], None],
        will: Will | None = None,
    ) -> None:
        self.broker = broker
        self.client_id = client_id
        self.topics = tuple(topics)
        self.given_up = 0
        """Messages that were too large or too many."""
        self._arrived, self._lost, self._will = arrived, lost, will
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._reason = ""
        self._over = False
        self._waiting = 0
        self._gate = threading.Lock()

    async def open(self) -> None:
        """Connect and subscribe.

        Raises:
            NoBrokerError: nobody answers, or the broker refuses.
        """
        self._loop = asyncio.get_running_loop()
        for version in _VERSIONS[self.broker.version]:
            self._reason, self._over = "", False
            self._up.clear()
            self._client = self._made(version)
            try:
                await asyncio.to_thread(self._dial, self._client, version)
            except (OSError, ValueError) as error:
                host, port = self.broker.address
                raise NoBrokerError(f"the broker {host}:{port} cannot be reached: {error}") from error
            try:
                async with asyncio.timeout(GREET_TIMEOUT):
                    await self._up.wait()
            except TimeoutError:
                self._reason = self._reason or "the broker does not greet back"
            if not self._reason:
                return
            await self._hang_up()
        raise NoBrokerError(self._reason)

    async def close(self) -> None:
        """Say goodbye and end paho's thread. The will is not published."""
        self._over = True
        await self._hang_up()

    async def break_off(self) -> None:
        """End the connection without a goodbye, as a power cut would: the broker publishes the will."""
        self._over = True
        if self._client is not None and (socket := self._client.socket()) is not None:
            socket.close()
        await self._hang_up(goodbye=False)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 0) -> bool:
        """Hand a message to the network; False when there is no connection."""
        client = self._client
        if client is None or self._over:
            return False
        return client.publish(topic, payload, qos, retain).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def _made(self, version: MQTTProtocolVersion) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            protocol=version,
            clean_session=True if version is MQTTProtocolVersion.MQTTv311 else None,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, 1, retain=True)
        if self.broker.username:
            client.username_pw_set(self.broker.username, self.broker.password)
        if self.broker.tls is not None:
            client.tls_set_context(_context(self.broker.tls))
        return client

    def _dial(self, client: Client, version: MQTTProtocolVersion) -> None:
        host, port = self.broker.address
        if version is MQTTProtocolVersion.MQTTv5:
            client.connect(host, port, KEEPALIVE, clean_start=True)
        else:
            client.connect(host, port, KEEPALIVE)
        client.loop_start()

    async def _hang_up(self, *, goodbye: bool = True) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        if goodbye:
            client.disconnect()
            await asyncio.sleep(0.05)
        client.on_connect = client.on_subscribe = client.on_message = client.on_disconnect = None
        if (socket := client.socket()) is not None:
            socket.close()
        await asyncio.to_thread(client.loop_stop)

    # --- on paho's thread -------------------------------------------------------------------------------

    def _post(self, act: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *arguments)

    def _on_connect(self, client: Client, _: object, __: object, reason: Any, ___: object) -> None:
        if reason.is_failure:
            self._reason = f"the broker refuses: {reason}"
            self._post(self._up.set)
        elif self.topics:
            client.subscribe([(topic, 0) for topic in self.topics])
        else:
            self._post(self._up.set)

    def _on_subscribe(self, _: Client, __: object, ___: object, codes: Sequence[Any], ____: object) -> None:
        refused = [t for t, code in zip(self.topics, codes, strict=False) if code.is_failure]
        if refused:
            self._reason = f"the broker refuses a subscription to {refused[0]}: allow it in its ACL"
        self._post(self._up.set)

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        with self._gate:
            if len(message.payload) > MAX_BYTES or self._waiting >= MAX_WAITING:
                self.given_up += 1
                return
            self._waiting += 1
        self._post(self._hand_on, message.topic, bytes(message.payload))

    def _on_disconnect(self, _: Client, __: object, ___: object, reason: Any, ____: object) -> None:
        self._reason = self._reason or f"the connection to the broker broke: {reason}"
        self._post(self._ended)

    # --- on the event loop ------------------------------------------------------------------------------

    def _hand_on(self, topic: str, payload: bytes) -> None:
        with self._gate:
            self._waiting -= 1
        if not self._over:
            self._arrived(topic, payload)

    def _ended(self) -> None:
        if self._up.is_set() and not self._over:
            self._over = True
            self._lost(self._reason)
        self._up.set()


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    if tls.cert is not None:
        context.load_cert_chain(str(tls.cert), None if tls.key is None else str(tls.key))
    return context
