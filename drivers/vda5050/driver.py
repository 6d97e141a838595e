"""VDA 5050: a vehicle's messages as tags, and master control over it, through the site's MQTT broker.

The vehicle is alive as long as its states come: a broker that is reached and a connection topic that says
ONLINE prove nothing. What master control decides is in :mod:`protocols.vda5050_control`; this is its shell.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast
from urllib.parse import unquote, urlsplit

from pydantic import Field

from drivers.driver import (
    Alarm,
    Capability,
    ConnectError,
    Deliver,
    DeviceLost,
    Driver,
    DriverType,
    Identity,
    Options,
    WriteFailed,
    WriteRefused,
    WriteUnknown,
)
from drivers.profile.profile import AnyProfile, MethodRule, Tag
from drivers.trace import Traffic
from drivers.vda5050.alarms import changes, standing
from drivers.vda5050.profile import OURS, Vda5050Method, Vda5050Profile, plain_facts
from drivers.vda5050.values import Values
from protocols.broker import Broker, Tls
from protocols.values import Quality, Reading, Reason, Value
from protocols.vda5050 import (
    Connection,
    Factsheet,
    NotAMessageError,
    State,
    decode,
    decode_plain,
    micros,
)
from protocols.vda5050_control import (
    InstantChanged,
    MasterControl,
    NotNowError,
    OrderChanged,
    Output,
    PresenceChanged,
)
from protocols.vda5050_instants import Instant
from protocols.vda5050_lifecycles import InstantState, OrderState, Presence
from protocols.vda5050_order import Given, Stop, Way
from protocols.vda5050_sending import Send, Timing
from protocols.vda5050_topics import FROM_VEHICLE, Topic, VehicleId

if TYPE_CHECKING:
    from drivers.vda5050.mqtt import Connection as Mqtt

TICK = 0.2
"""Seconds between two looks at what is due."""

FIRST = 2.0
"""Seconds that reading waits for a field that has never come."""


class Vda5050Options(Options):
    """Options of one vehicle."""

    username: str = Field(default="", description="for the broker")
    password_file: Path | None = Field(default=None, description="file whose first line is the password")
    tls: bool = Field(default=False, description="TLS to the broker; then its port is 8883 unless given")
    ca: Path | None = Field(default=None, description="authorities in PEM that the broker must be known to")
    cert: Path | None = Field(default=None, description="our certificate in PEM")
    key: Path | None = Field(default=None, description="its key in PEM")
    mqtt: Literal["auto", "5", "3.1.1"] = Field(default="auto", description="version of MQTT")
    timeout: float = Field(default=35.0, gt=0, le=600, description="seconds to wait for a first state")
    silence: float = Field(
        default=40.0, gt=0, le=600, description="seconds without a state after which a vehicle is lost"
    )
    resend: float = Field(default=5.0, ge=0.2, le=60, description="seconds until an order is sent again")
    cancel_timeout: float = Field(
        default=90.0, gt=0, le=3600, description="seconds a vehicle may take to cancel its order"
    )


VDA5050 = DriverType(
    name="vda5050",
    summary="AGVs and mobile robots that speak VDA 5050 2.x over an MQTT broker",
    schemes=("vda5050",),
    example="vda5050://broker:1883/uagv/acme/agv-1",
    config=Vda5050Options,
    profile=cast("type[AnyProfile]", Vda5050Profile),
    factory="drivers.vda5050.driver:Vda5050Driver",
    simulator="drivers.vda5050.simulator:Vda5050Server",
    wire="drivers.vda5050.mqtt",
)


def parse_url(address: str, profile: Vda5050Profile) -> tuple[str, int | None, VehicleId]:
    """Host and port of the broker and the vehicle of ``vda5050://host:port/interface/manufacturer/serial``.

    Without a path the profile says which vehicle it is.

    Raises:
        ValueError: not such an address.
    """
    example = f"write {VDA5050.example}"
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:
        raise ValueError(f'"{address}" has no valid port — {example}') from None
    parts = [unquote(part) for part in url.path.split("/") if part]
    if url.scheme not in VDA5050.schemes or not url.hostname or url.query or url.fragment:
        raise ValueError(f'"{address}" is not the address of a vehicle — {example}')
    if url.username or url.password:
        raise ValueError(f'"{address}": the options username and password_file log in — {example}')
    own = profile.vda5050
    if not parts:
        return url.hostname, port, VehicleId(own.interface, own.manufacturer, own.serial)
    if len(parts) != 3:
        raise ValueError(f'"{address}" needs interface, manufacturer and serial number — {example}')
    try:
        return url.hostname, port, VehicleId(*parts)
    except ValueError as error:
        raise ValueError(f'"{address}": {error} — {example}') from None


class Vda5050Driver(Driver[Vda5050Options]):
    """One vehicle."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.READ, Capability.SUBSCRIBE, Capability.IDENTIFY, Capability.CALL, Capability.EVENTS}
    )

    def __init__(self, address: str, profile: AnyProfile, config: Vda5050Options) -> None:
        super().__init__(address, profile, config)
        if not isinstance(profile, Vda5050Profile):
            raise TypeError(f"a VDA 5050 driver needs a Vda5050Profile, not a {type(profile).__name__}")
        host, port, self.vehicle = parse_url(address, profile)
        tls = Tls(ca=config.ca, cert=config.cert, key=config.key) if config.tls else None
        self._broker = Broker(
            host=host,
            port=port,
            username=config.username,
            password_file=config.password_file,
            tls=tls,
            version=config.mqtt,
        )
        timing = Timing(resend=config.resend, silence=config.silence, cancel=config.cancel_timeout)
        self.control = MasterControl(self.vehicle, lambda: uuid.uuid4().hex, timing)
        self.keep: Callable[[Given], Awaitable[None]] | None = None
        """Writes every change of the order down before anything that follows from it is sent."""
        self._held: deque[Output] = deque()
        self._handshake: tuple[str, int | None] = ("", None)
        self._settling = asyncio.Lock()
        self._methods: Mapping[str, Vda5050Method] = profile.methods
        self._values = Values(profile.all_tags, self.problems)
        self._mqtt: Mqtt | None = None
        self._lost = ""
        self._news = asyncio.Event()
        self._answers: dict[str, asyncio.Future[Instant]] = {}
        self._alarmed: Callable[[list[Alarm]], None] | None = None
        self._alarms: dict[str, Alarm] = {}

    # --- connection -------------------------------------------------------------------------------------

    async def connect(self) -> None:
        from drivers.vda5050.mqtt import Connection as MqttConnection
        from drivers.vda5050.mqtt import NoBrokerError

        topics = [self.vehicle.topic(topic) for topic in FROM_VEHICLE]
        client = f"onelot-{uuid.uuid4().hex[:16]}"
        self._mqtt = MqttConnection(self._broker, client, topics, self._arrived, self._broke)
        try:
            await self._mqtt.open()
        except NoBrokerError as error:
            raise ConnectError(self.address, str(error), "check the broker's address and login") from error
        except OSError as error:  # the file of the password
            raise ConnectError(self.address, str(error), "check the option password_file") from error
        self._perform(self.control.act("stateRequest", _now()))
        self._perform(self.control.act("factsheetRequest", _now()))
        try:
            async with asyncio.timeout(self.config.timeout):
                while self.control.presence is not Presence.ALIVE and not self._lost:
                    await self._wait()
        except TimeoutError:
            pass
        if self.control.presence is not Presence.ALIVE:
            said = self.control.connection
            cause = (
                self._lost or f"no state within {self.config.timeout:g} s (connection: {said or 'nothing'})"
            )
            next_step = f"check that the vehicle is on and publishes {self.vehicle.topic(Topic.STATE)}"
            raise ConnectError(self.address, cause, next_step)

    async def close(self) -> None:
        mqtt, self._mqtt = self._mqtt, None
        for answer in self._answers.values():
            answer.cancel()
        if mqtt is not None:
            await mqtt.close()

    def _broke(self, reason: str) -> None:
        self._lost = reason
        self._news.set()

    @property
    def _connection(self) -> Mqtt:
        if self._mqtt is None:
            raise DeviceLost(self.address, "not connected — use the driver in `async with`")
        if self._lost:
            raise DeviceLost(self.address, self._lost)
        return self._mqtt

    async def _wait(self) -> None:
        """Until something comes, or something may be due."""
        self._news.clear()
        try:
            async with asyncio.timeout(TICK):
                await self._news.wait()
        except TimeoutError:
            pass
        self._perform(self.control.tick(_now()))
        await self._settle()

    # --- reading ----------------------------------------------------------------------------------------

    async def stream(self, deliver: Deliver) -> None:
        tags = {name: tag for name, tag in self.profile.tags.items() if tag.readable}
        clock = asyncio.get_running_loop().time
        due = dict.fromkeys(tags, 0.0)
        self._values.fresh = set(self._values.last)
        last, changed = self._values.last, self._values.fresh
        silent = [Reading(name, None, Quality.BAD, Reason.OTHER) for name in tags if name not in last]
        if silent:
            self.problems.update({r.path: "the vehicle has not sent this yet" for r in silent})
            deliver(silent)
        while not (reason := self._why_lost()):
            now = clock()
            fresh = [name for name in changed if name in tags and due[name] <= now]
            if fresh:
                changed.difference_update(fresh)
                due.update({name: now + tags[name].sampling for name in fresh})
                deliver([last[name] for name in fresh])
            await self._wait()
        self.problems.update(dict.fromkeys(tags, reason))
        deliver([Reading(name, None, Quality.BAD, Reason.NOT_CONNECTED) for name in tags])
        raise DeviceLost(self.address, reason)

    def _why_lost(self) -> str:
        if self._mqtt is None or self._lost:
            return self._lost or "closed"
        if self.control.presence is Presence.ALIVE:
            return ""
        said = self.control.connection
        return f"the vehicle is {self.control.presence} (connection: {said or 'nothing'})"

    async def read(self, paths: Sequence[str]) -> list[Reading]:
        _ = self._connection
        for path in paths:
            self.tag(path)
        until = time.monotonic() + FIRST
        while any(path not in self._values.last for path in paths) and time.monotonic() < until:
            await self._wait()  # not every topic comes with the first state
        if reason := self._why_lost():
            raise DeviceLost(self.address, reason)
        return [self._values.last.get(path, Reading(path, None, Quality.BAD, Reason.OTHER)) for path in paths]

    async def identify(self) -> Identity:
        _ = self._connection
        sheet = self.control.factsheet
        series = sheet.type_specification.series_name if sheet is not None else ""
        version = self.control.state.version if self.control.state is not None else ""
        return Identity(
            self.vehicle.manufacturer,
            series,
            self.vehicle.serial,
            "",
            {"VDA 5050": version} if version else {},
        )

    async def send(self, path: str, tag: Tag, value: Value) -> None:
        raise WriteRefused(f'"{path}": nothing of a VDA 5050 vehicle can be written')

    def _arrived(self, full: str, payload: bytes) -> None:
        topic = self.vehicle.read(full)
        if topic is None:
            return
        if self.trace is not None:
            self.trace(Traffic(False, str(topic), payload))
        now = _now()
        try:
            plain = decode_plain(payload)
            if topic is Topic.STATE:
                self._perform(self.control.says(decode(State, payload), now))
                self._tell_alarms()
            elif topic is Topic.CONNECTION:
                self._perform(self.control.connected(decode(Connection, payload), now))
            elif topic is Topic.FACTSHEET:
                self._perform(self.control.describes(decode(Factsheet, payload), now))
        except NotAMessageError as error:
            self._values.spoil(topic, str(error))
            self._news.set()
            return
        self._values.note(topic, plain, micros(plain.get("timestamp")))
        self._note_facts()
        self._news.set()

    def _note_facts(self) -> None:
        order = self.control.order
        open_order = order is not None and not order.ended
        mission = order.order_id if order is not None and open_order else ""
        state = str(order.state) if order is not None else ""
        facts = plain_facts(self.control.state, self.control.presence, state, mission, *self._handshake)
        self._values.note(OURS, facts, None)

    # --- alarms -----------------------------------------------------------------------------------------

    async def events(self, deliver: Callable[[list[Alarm]], None]) -> None:
        self._alarms = standing(self.control.state)
        deliver(list(self._alarms.values()))
        self._alarmed = deliver
        try:
            await asyncio.Event().wait()
        finally:
            self._alarmed = None

    def _tell_alarms(self) -> None:
        if self._alarmed is None:
            return
        before, self._alarms = self._alarms, standing(self.control.state)
        if changed := changes(before, self._alarms):
            self._alarmed(changed)

    # --- instant actions and orders ---------------------------------------------------------------------

    @property
    def methods(self) -> Mapping[str, MethodRule]:
        return self._methods

    async def invoke(
        self, method: str, rule: MethodRule, arguments: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        _ = self._connection
        action = cast("Vda5050Method", rule).action
        if action == "cancelOrder":
            return await self._cancelled(method)
        try:
            outputs = self.control.act(action, _now())
        except NotNowError as error:
            raise WriteRefused(f'"{method}": {error}') from error
        # what was begun last is this one: ids grow with the dict
        action_id = next(reversed(self.control.pending))
        answer: asyncio.Future[Instant] = asyncio.get_running_loop().create_future()
        self._answers[action_id] = answer
        try:
            self._perform(outputs)
            while not answer.done():
                _ = self._connection
                await self._wait()
        except DeviceLost as error:
            raise WriteUnknown(f'"{method}": {error}; it may have taken effect') from error
        finally:
            self._answers.pop(action_id, None)
        if answer.cancelled():
            raise WriteUnknown(f'"{method}": the connection was closed; it may have taken effect')
        ended = answer.result()
        if ended.state is InstantState.TIMED_OUT:
            raise WriteUnknown(f'"{method}": {ended.result}; it may have taken effect')
        if ended.state is InstantState.FAILED:
            raise WriteFailed(f'"{method}": the vehicle says {ended.result or "FAILED"}')
        return {}

    async def _cancelled(self, method: str) -> Mapping[str, Value]:
        """Cancel the order and wait for what becomes of it."""
        try:
            self.cancel()
            while (order := self.control.order) is not None and order.state is OrderState.CANCELLING:
                _ = self._connection
                await self._wait()
        except NotNowError as error:
            raise WriteRefused(f'"{method}": {error}') from error
        except DeviceLost as error:
            raise WriteUnknown(f'"{method}": {error}; it may have taken effect') from error
        if order is not None and order.state is OrderState.UNCONFIRMED:
            raise WriteUnknown(f'"{method}": {order.reason} — go and look at the vehicle')
        return {}

    def give(self, order_id: str, stops: Sequence[Stop], ways: Sequence[Way], released: int) -> None:
        """Give a new order.

        Raises:
            NotNowError: another one is active, the vehicle takes none, or nothing may be sent now.
        """
        self._allowed()
        self._perform(self.control.give(order_id, stops, ways, released, _now()))

    def release(self, stops: int) -> None:
        """Take the first ``stops`` of the order into its base; raises NotNowError like :meth:`give`."""
        self._allowed()
        self._perform(self.control.release(stops, _now()))

    def cancel(self) -> None:
        """Cancel the order, also while the vehicle is locked; raises NotNowError when there is none."""
        self._perform(self.control.cancel(_now()))

    def restore(self, order: Given) -> None:
        """Take up an order that was given before this connection."""
        self._perform(self.control.restore(order, _now()))

    def _allowed(self) -> None:
        if self.refuses:
            raise NotNowError(f"{self.vehicle}: {self.refuses}")
        _ = self._connection

    def show_handshake(self, step: str, since: int | None) -> None:
        """Where a handshake at a station stands, for the topic ``vehicle``; ``since`` in µs UTC."""
        if (step, since) != self._handshake:
            self._handshake = (step, since)
            self._note_facts()
            self._news.set()

    def _perform(self, outputs: Sequence[Output]) -> None:
        """Do it now, or, where an order must be written down first, as soon as that is done."""
        for output in outputs:
            if self._held or (self.keep is not None and isinstance(output, OrderChanged)):
                self._held.append(output)
                self._news.set()
            else:
                self._do(output)

    async def _settle(self) -> None:
        async with self._settling:
            while self._held:
                output = self._held[0]
                if isinstance(output, OrderChanged) and self.keep is not None:
                    await self.keep(output.order)
                self._do(output)
                self._held.popleft()

    def _do(self, output: Output) -> None:
        match output:
            case OrderChanged():
                self._note_facts()
                self._news.set()
            case Send(topic, payload):
                if self._mqtt is not None:
                    if self.trace is not None:
                        self.trace(Traffic(True, str(topic), payload))
                    self._mqtt.publish(self.vehicle.topic(topic), payload)
            case InstantChanged(instant):
                answer = self._answers.get(instant.action.action_id)
                ended = instant.action.action_id not in self.control.pending
                if answer is not None and ended and not answer.done():
                    answer.set_result(instant)
            case PresenceChanged():
                self._note_facts()
                self._news.set()


def _now() -> int:
    """µs UTC that do not go back while the process runs."""
    return _ANCHOR + time.monotonic_ns() // 1000


_ANCHOR = time.time_ns() // 1000 - time.monotonic_ns() // 1000
