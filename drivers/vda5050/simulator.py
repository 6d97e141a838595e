"""A VDA 5050 profile shown by a virtual AGV that obeys orders, through a broker that is there already.

Host and port are the broker's. The vehicle lives by itself: what is set by name overlays what it says of
itself, until it is set to None.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from drivers.profile.profile import AnyProfile
from drivers.simulator import SLOW_S, Fault, ProfileServer
from drivers.vda5050.mqtt import Connection, NoBrokerError, Will
from drivers.vda5050.profile import OURS, MissingError, Vda5050Profile, look_up, parse_place
from drivers.virtual.agv import VirtualAgv
from protocols.broker import PORT, Broker
from protocols.values import Reason, Value
from protocols.vda5050 import ConnectionState
from protocols.vda5050_sending import Send
from protocols.vda5050_topics import TO_VEHICLE, Topic, VehicleId

STEP = 0.1
RETRY = 0.5
"""Seconds between two attempts to reach a broker that is away."""


class Vda5050Server(ProfileServer):
    """One virtual vehicle on a broker.

    Args:
        profile: names the vehicle, unless ``vehicle`` does.
        host: of the broker.
        port: of the broker; 1883 when 0.
        vehicle: who it is.
        agv: the vehicle itself, where it stands somewhere in particular.
        broker: all of the broker, where a login or TLS is needed.
        patient: a broker that is not there yet is no error; it is tried again.
    """

    alive: ClassVar[bool] = True
    unit: ClassVar[int] = 1

    def __init__(
        self,
        profile: AnyProfile,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        vehicle: VehicleId | None = None,
        agv: VirtualAgv | None = None,
        broker: Broker | None = None,
        patient: bool = False,
    ) -> None:
        if not isinstance(profile, Vda5050Profile):
            raise TypeError(f"a VDA 5050 server needs a Vda5050Profile, not a {type(profile).__name__}")
        super().__init__(profile, host, port or PORT)
        own = profile.vda5050
        self.vehicle = vehicle or VehicleId(own.interface, own.manufacturer, own.serial)
        self.agv = agv or VirtualAgv(self.vehicle)
        self._broker = broker
        self._patient = patient
        self._overlay: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._missing: set[tuple[str, tuple[str, ...]]] = set()
        self._said: dict[str, dict[str, Any]] = {}
        self._others: list[Vda5050Server] = []
        self._mqtt: Connection | None = None
        self._broken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        v = self.vehicle
        return f"vda5050://{self.host}:{self.port}/{v.interface}/{v.manufacturer}/{v.serial}"

    async def start(self) -> None:
        """Connect to the broker and live.

        Raises:
            OSError: there is no broker.
        """
        try:
            await self._connect()
        except NoBrokerError as error:
            if not self._patient:
                place = f"{self.host}:{self.port}"
                text = f"{error} — a virtual AGV needs a broker: onelot broker --port {self.port}"
                raise OSError(errno.ECONNREFUSED, text, place) from error
            self._broken.set()
        self._task = asyncio.create_task(self._live(), name=f"agv-{self.vehicle.serial}")
        for other in self._others:
            await other.start()

    def adopt(self, other: Vda5050Server, unit: int) -> None:
        """Another vehicle on the same broker, started with this one; its serial ends in ``-unit``."""
        own = self.vehicle
        other.port = self.port
        other.vehicle = VehicleId(own.interface, own.manufacturer, f"{own.serial}-{unit}")
        other.agv = VirtualAgv(other.vehicle)
        self._others.append(other)

    async def stop(self) -> None:
        for other in self._others:
            await other.stop()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        mqtt, self._mqtt = self._mqtt, None
        if mqtt is not None:
            offline = self.agv.connection(ConnectionState.OFFLINE, _now())
            mqtt.publish(self.vehicle.topic(Topic.CONNECTION), offline.payload, retain=True, qos=1)
            await mqtt.close()

    # --- values -----------------------------------------------------------------------------------------

    def set(self, name: str, value: Value) -> None:
        place = self._place(name)
        self._missing.discard(place)
        if value is None:
            self._overlay.pop(place, None)
        else:
            self._overlay[place] = value

    def get(self, name: str) -> Value:
        topic, path = self._place(name)
        if (topic, path) in self._overlay:
            set_here: Value = self._overlay[topic, path]
            return set_here
        try:
            found = look_up(self._said.get(topic, {}), path)
        except MissingError:
            return None
        return found if isinstance(found, bool | int | float | str) else msgspec.json.encode(found).decode()

    def fail(self, name: str, reason: Reason = Reason.SENSOR_FAILURE) -> None:
        self._missing.add(self._place(name))

    def update(self, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            if self._place(name)[0] != OURS:
                self.set(name, value)

    def _place(self, name: str) -> tuple[str, tuple[str, ...]]:
        tag = self.profile.tags.get(name)
        if tag is None:
            raise KeyError(f'no tag "{name}"')
        return parse_place(tag.address)

    def fault_changed(self, was: Fault | None) -> None:
        if self.fault is Fault.DISCONNECT or was is Fault.DISCONNECT:
            self._broken.set()

    # --- life -------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        broker = self._broker or Broker(host=self.host, port=self.port)
        will = self.agv.connection(ConnectionState.CONNECTIONBROKEN, _now())
        self._broken.clear()
        topics = [self.vehicle.topic(topic) for topic in TO_VEHICLE]
        made = Connection(
            broker,
            f"agv-{self.vehicle.serial[:12]}-{uuid.uuid4().hex[:8]}",
            topics,
            self._arrived,
            lambda _: self._broken.set(),
            Will(self.vehicle.topic(Topic.CONNECTION), will.payload),
        )
        try:
            await made.open()
        except BaseException:
            await made.close()
            raise
        self._mqtt = made
        online = self.agv.connection(ConnectionState.ONLINE, _now())
        made.publish(self.vehicle.topic(Topic.CONNECTION), online.payload, retain=True, qos=1)

    async def _live(self) -> None:
        clock = asyncio.get_running_loop().time
        last = clock()
        while True:
            await asyncio.sleep(STEP)
            now = clock()
            await self._send(self.agv.advance(now - last, _now()))
            last = now
            if self._broken.is_set():
                await self._again()

    async def _again(self) -> None:
        """The connection broke, or has to: a will is published, and another one is made."""
        self._broken.clear()
        old, self._mqtt = self._mqtt, None
        if old is not None:
            await old.break_off()
        if self.fault is Fault.DISCONNECT:
            return
        try:
            await self._connect()
        except NoBrokerError:
            await asyncio.sleep(RETRY)
            self._broken.set()

    def _arrived(self, full: str, payload: bytes) -> None:
        topic = self.vehicle.read(full)
        if topic is not None and self.fault is not Fault.SILENT:
            for answer in self.agv.receive(topic, payload, _now()):
                self._publish(answer)

    async def _send(self, sends: list[Send]) -> None:
        if sends and self.fault is Fault.SLOW:
            await asyncio.sleep(SLOW_S)
        for send in sends:
            self._publish(send)

    def _publish(self, send: Send) -> None:
        payload = send.payload
        plain = msgspec.json.decode(payload)
        if send.topic is not Topic.CONNECTION:
            for (topic, path), value in self._overlay.items():
                if topic == send.topic:
                    _put(plain, path, value)
            for topic, path in self._missing:
                if topic == send.topic:
                    _put(plain, path, None)
            payload = msgspec.json.encode(plain)
        self._said[send.topic] = plain
        if self.fault is Fault.SILENT or self._mqtt is None:
            return
        if self.fault is Fault.ILLEGAL:
            payload = b'{"headerId": "none"'
        self._mqtt.publish(self.vehicle.topic(send.topic), payload)


def _put(message: Any, path: tuple[str, ...], value: Any) -> None:
    """Set, or with None remove, what lies at a path; where there is no such place nothing happens."""
    at = message
    for word in path[:-1]:
        if isinstance(at, list) and word.isdecimal() and int(word) < len(at):
            at = at[int(word)]
        elif isinstance(at, dict) and word in at:
            at = at[word]
        else:
            return
    if isinstance(at, dict) and value is None:
        at.pop(path[-1], None)
    elif isinstance(at, dict):
        at[path[-1]] = value


def _now() -> int:
    return time.time_ns() // 1000
