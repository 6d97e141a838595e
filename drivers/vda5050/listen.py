"""Which VDA 5050 vehicles speak on a broker: listens for a while and sends nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from drivers.driver import ConnectError
from drivers.vda5050.mqtt import Connection as Mqtt
from drivers.vda5050.mqtt import NoBrokerError
from protocols.broker import Broker
from protocols.vda5050 import Connection, Factsheet, NotAMessageError, State, decode
from protocols.vda5050_topics import MAJOR, Topic, VehicleId

_TOPICS = (Topic.CONNECTION, Topic.STATE, Topic.FACTSHEET)
MAX_VEHICLES = 1000
"""More are not counted: a broker may carry anything under these topics."""


@dataclass(slots=True)
class Heard:
    """What one vehicle said while somebody listened."""

    vehicle: VehicleId
    connection: str = ""
    """ONLINE, OFFLINE or CONNECTIONBROKEN; retained by the broker, so it proves nothing."""
    version: str = ""
    """Of VDA 5050, by its own word."""
    series: str = ""
    states: int = 0
    battery: float | None = None
    """Charge in percent."""
    trouble: str = ""
    """Why its last bad message is none."""

    @property
    def alive(self) -> bool:
        """Whether it sent a state: only that shows it is there."""
        return self.states > 0


async def listen(
    broker: Broker,
    only: VehicleId | None,
    seconds: float,
    told: Callable[[Heard], None] = lambda _: None,
) -> tuple[float, list[Heard]]:
    """Listen for vehicles: seconds until the broker had greeted, and what was heard, by name.

    Args:
        broker: where.
        only: one vehicle; all of them when None.
        seconds: how long. A vehicle sends its state at least every 30 s (VDA 5050 2.1.0, 6.10.5).
        told: takes each vehicle that is heard for the first time.

    Raises:
        ConnectError: the broker does not answer, refuses, or goes away.
    """
    found: dict[VehicleId, Heard] = {}
    lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def arrived(full: str, payload: bytes) -> None:
        parts = full.split("/")
        if len(parts) != 5 or parts[1] != MAJOR:
            return
        try:
            vehicle = VehicleId(parts[0], parts[2], parts[3])
        except ValueError:
            return  # no name that a vehicle can be addressed by
        topic = vehicle.read(full)
        if topic is None or (vehicle not in found and len(found) >= MAX_VEHICLES):
            return
        new = vehicle not in found
        heard = found.setdefault(vehicle, Heard(vehicle))
        note(heard, topic, payload)
        if new:
            told(heard)

    def broke(reason: str) -> None:
        if not lost.done():
            lost.set_result(reason)

    host, port = broker.address
    where = f"{host}:{port}"
    topics = [f"+/{MAJOR}/+/+/{topic}" if only is None else only.topic(topic) for topic in _TOPICS]
    mqtt = Mqtt(broker, f"onelot-probe-{uuid.uuid4().hex[:12]}", topics, arrived, broke)
    clock = asyncio.get_running_loop().time
    begin = clock()
    try:
        await mqtt.open()
        greeted = clock() - begin
        await asyncio.wait([lost], timeout=seconds)
    except NoBrokerError as error:
        raise ConnectError(where, str(error), "check the broker's address and login") from error
    finally:
        await mqtt.close()
    if lost.done():
        raise ConnectError(where, lost.result(), "check the broker's log")
    return greeted, sorted(found.values(), key=lambda heard: str(heard.vehicle))


def note(heard: Heard, topic: Topic, payload: bytes) -> None:
    """Take a message into what is known of its vehicle."""
    try:
        if topic is Topic.CONNECTION:
            said = decode(Connection, payload)
            heard.connection, heard.version = str(said.connection_state), said.version
        elif topic is Topic.STATE:
            state = decode(State, payload)
            heard.states += 1
            heard.version = state.version
            heard.battery = float(state.battery_state.battery_charge)
        elif topic is Topic.FACTSHEET:
            heard.series = decode(Factsheet, payload).type_specification.series_name
    except NotAMessageError as error:
        heard.trouble = f"{topic}: {error}"[:200]
