"""VDA 5050 messages, as JSON on the wire: 2.1.0 goes out, every 2.x comes in.

Source: VDA 5050 version 2.1.0 (August 2024), chapters 6.4 to 6.14. Names are the standard's own in snake
case, on the wire in camel case. What is optional there is :data:`msgspec.UNSET` here when it is missing, and
keys that the standard does not know are passed over. What comes in is bounded before it is parsed.

:class:`NotAMessageError` is theirs: a payload that is no message of its topic.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

VERSION = "2.1.0"
"""What our own messages say they are."""
MAX_BYTES = 256 * 1024
"""The largest message that is parsed; a state with a hundred nodes and trajectories has about 60 KiB."""
MAX_ITEMS = 4096
"""The longest array in a message."""

Text = Annotated[str, Meta(max_length=1024)]
Id = Annotated[str, Meta(max_length=256)]
Number = Annotated[int, Meta(ge=0, lt=2**53)]
"""Counts on the wire: whole numbers that JSON's readers agree on."""


class NotAMessageError(ValueError):
    """A payload that is no message of its topic; says where it departs."""


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    pass


class Level(StrEnum):
    WARNING = "WARNING"
    """The vehicle goes on."""
    FATAL = "FATAL"
    """Somebody must look after it."""


class BlockingType(StrEnum):
    NONE = "NONE"
    SOFT = "SOFT"
    HARD = "HARD"


class ActionStatus(StrEnum):
    WAITING = "WAITING"
    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    """Only where the vehicle was paused in the middle of an action (2.1.0, 6.8.2)."""
    FINISHED = "FINISHED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        return self in (ActionStatus.FINISHED, ActionStatus.FAILED)


class ConnectionState(StrEnum):
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    CONNECTIONBROKEN = "CONNECTIONBROKEN"
    """The last will: the broker says so, not the vehicle."""


class OperatingMode(StrEnum):
    AUTOMATIC = "AUTOMATIC"
    SEMIAUTOMATIC = "SEMIAUTOMATIC"
    MANUAL = "MANUAL"
    SERVICE = "SERVICE"
    TEACHIN = "TEACHIN"

    @property
    def takes_orders(self) -> bool:
        """2.1.0, 6.10.6: only in these two is master control in charge."""
        return self in (OperatingMode.AUTOMATIC, OperatingMode.SEMIAUTOMATIC)


class EStop(StrEnum):
    AUTOACK = "AUTOACK"
    MANUAL = "MANUAL"
    REMOTE = "REMOTE"
    NONE = "NONE"


class Header(_Part, frozen=True):
    """What every message begins with. ``header_id`` counts the messages of one topic."""

    header_id: Number
    timestamp: Text
    version: Text
    manufacturer: Id
    serial_number: Id


class ActionParameter(_Part, frozen=True):
    key: Text
    value: Any


class Action(_Part, frozen=True):
    """Something to do on a node, on an edge, or at once. ``action_id`` is never used twice."""

    action_type: Text
    action_id: Id
    blocking_type: BlockingType
    action_description: Text | UnsetType = UNSET
    action_parameters: Annotated[tuple[ActionParameter, ...], Meta(max_length=256)] | UnsetType = UNSET

    def parameter(self, key: str) -> Any:
        """The value of a parameter; None without it."""
        found = () if self.action_parameters is UNSET else self.action_parameters
        return next((each.value for each in found if each.key == key), None)


Actions = Annotated[tuple[Action, ...], Meta(max_length=256)]


class NodePosition(_Part, frozen=True):
    """Metres and radians on a map."""

    x: float
    y: float
    map_id: Id
    theta: float | UnsetType | None = UNSET
    allowed_deviation_x_y: float | UnsetType = msgspec.field(default=UNSET, name="allowedDeviationXY")
    allowed_deviation_theta: float | UnsetType = UNSET


class Node(_Part, frozen=True):
    """A node of an order. Even sequence ids belong to nodes, odd ones to the edges between them."""

    node_id: Id
    sequence_id: Number
    released: bool
    actions: Actions
    node_position: NodePosition | UnsetType = UNSET


class Edge(_Part, frozen=True):
    """An edge of an order. ``max_speed`` in m/s."""

    edge_id: Id
    sequence_id: Number
    released: bool
    start_node_id: Id
    end_node_id: Id
    actions: Actions
    max_speed: float | UnsetType = UNSET
    length: float | UnsetType = UNSET


class Order(Header, frozen=True):
    """Topic ``order`` (6.6): where to go, and how far that is released. The first nodes are the base."""

    order_id: Id
    order_update_id: Number
    nodes: Annotated[tuple[Node, ...], Meta(max_length=MAX_ITEMS)]
    edges: Annotated[tuple[Edge, ...], Meta(max_length=MAX_ITEMS)]
    zone_set_id: Id | UnsetType = UNSET


class InstantActions(Header, frozen=True):
    """Topic ``instantActions`` (6.8). Some 2.0 peers name the list like the topic: both names are read."""

    actions: Actions | UnsetType = UNSET
    instant_actions: Actions | UnsetType = UNSET

    @property
    def all(self) -> tuple[Action, ...]:
        """The actions, under whichever name they came."""
        named = self.instant_actions if self.actions is UNSET else self.actions
        return () if named is UNSET else named


class ErrorReference(_Part, frozen=True):
    reference_key: Text
    reference_value: Annotated[str, Meta(max_length=4096)]


class Error(_Part, frozen=True):
    """An error of the vehicle. It stands as long as it is in the state."""

    error_type: Text
    error_level: Level
    error_references: Annotated[tuple[ErrorReference, ...], Meta(max_length=MAX_ITEMS)] | UnsetType | None = (
        UNSET
    )
    error_description: Annotated[str, Meta(max_length=16384)] | UnsetType | None = UNSET
    error_hint: Annotated[str, Meta(max_length=16384)] | UnsetType | None = UNSET

    def refers(self, key: str) -> str | None:
        """What it names under a reference key, e.g. ``orderId``."""
        found = self.error_references if isinstance(self.error_references, tuple) else ()
        return next((each.reference_value for each in found if each.reference_key == key), None)

    @property
    def text(self) -> str:
        """For people: the type and what is said about it."""
        said = self.error_description
        return f"{self.error_type}: {said}" if isinstance(said, str) and said else self.error_type


class NodeState(_Part, frozen=True):
    node_id: Id
    sequence_id: Number
    released: bool
    node_position: NodePosition | UnsetType | None = UNSET


class EdgeState(_Part, frozen=True):
    edge_id: Id
    sequence_id: Number
    released: bool


class ActionState(_Part, frozen=True):
    action_id: Id
    action_status: ActionStatus
    action_type: Text | UnsetType | None = UNSET
    result_description: Text | UnsetType | None = UNSET


class BatteryState(_Part, frozen=True):
    """Charge in %, voltage in V."""

    battery_charge: float
    charging: bool
    battery_voltage: float | UnsetType | None = UNSET
    battery_health: float | UnsetType | None = UNSET
    reach: float | UnsetType | None = UNSET


class SafetyState(_Part, frozen=True):
    e_stop: EStop
    field_violation: bool


class AgvPosition(_Part, frozen=True):
    """Metres and radians on a map."""

    x: float
    y: float
    map_id: Id
    position_initialized: bool
    theta: float
    localization_score: float | UnsetType | None = UNSET
    deviation_range: float | UnsetType | None = UNSET


class Velocity(_Part, frozen=True):
    """m/s in the vehicle's own frame, rad/s."""

    vx: float | UnsetType | None = UNSET
    vy: float | UnsetType | None = UNSET
    omega: float | UnsetType | None = UNSET


class Load(_Part, frozen=True):
    load_id: Id | UnsetType | None = UNSET
    load_type: Text | UnsetType | None = UNSET
    load_position: Text | UnsetType | None = UNSET


class State(Header, frozen=True):
    """Topic ``state`` (6.10): all that the vehicle does; at least every 30 s and on every change."""

    order_id: Id
    order_update_id: Number
    last_node_id: Id
    last_node_sequence_id: Number
    node_states: Annotated[tuple[NodeState, ...], Meta(max_length=MAX_ITEMS)]
    edge_states: Annotated[tuple[EdgeState, ...], Meta(max_length=MAX_ITEMS)]
    driving: bool
    action_states: Annotated[tuple[ActionState, ...], Meta(max_length=MAX_ITEMS)]
    battery_state: BatteryState
    operating_mode: OperatingMode
    errors: Annotated[tuple[Error, ...], Meta(max_length=MAX_ITEMS)]
    safety_state: SafetyState
    paused: bool | UnsetType | None = UNSET
    new_base_request: bool | UnsetType | None = UNSET
    distance_since_last_node: float | UnsetType | None = UNSET
    agv_position: AgvPosition | UnsetType | None = UNSET
    velocity: Velocity | UnsetType | None = UNSET
    loads: Annotated[tuple[Load, ...], Meta(max_length=MAX_ITEMS)] | UnsetType | None = UNSET

    def action(self, action_id: str) -> ActionState | None:
        """The state of an action; None while the vehicle does not know it."""
        return next((each for each in self.action_states if each.action_id == action_id), None)

    @property
    def is_idle(self) -> bool:
        """Nothing of an order is left to do."""
        return not self.node_states and not self.edge_states


class Visualization(_Part, frozen=True):
    """Topic ``visualization`` (6.11): position and speed, often."""

    agv_position: AgvPosition | UnsetType | None = UNSET
    velocity: Velocity | UnsetType | None = UNSET
    header_id: Number | UnsetType = UNSET
    timestamp: Text | UnsetType = UNSET
    version: Text | UnsetType = UNSET
    manufacturer: Id | UnsetType = UNSET
    serial_number: Id | UnsetType = UNSET


class Connection(Header, frozen=True):
    """Topic ``connection`` (6.14): retained, and the vehicle's last will. No sign of health."""

    connection_state: ConnectionState


class TypeSpecification(_Part, frozen=True):
    series_name: Text = ""
    agv_kinematic: Text = ""
    agv_class: Text = ""
    max_load_mass: float = 0.0
    localization_types: Annotated[tuple[Text, ...], Meta(max_length=64)] = ()
    navigation_types: Annotated[tuple[Text, ...], Meta(max_length=64)] = ()


class Factsheet(_Part, frozen=True):
    """Topic ``factsheet`` (6.13), as far as it is used; 2.0.0 vehicles fill it in many ways."""

    manufacturer: Id = ""
    serial_number: Id = ""
    version: Text = ""
    type_specification: TypeSpecification = TypeSpecification()


M = TypeVar("M", bound=msgspec.Struct)

_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind)
    for kind in (Order, InstantActions, State, Visualization, Connection, Factsheet)
}
_plain: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()


def decode(kind: type[M], payload: bytes) -> M:
    """A message of a topic.

    Raises:
        NotAMessageError: too large, no JSON, or not what the topic carries; a major version other than 2.
    """
    made: M = _checked(_decoders[kind], payload)
    version = getattr(made, "version", UNSET)
    if isinstance(version, str) and version and version.partition(".")[0] not in ("2", "v2"):
        raise NotAMessageError(f'version "{version[:20]}" is not 2.x')
    return made


def decode_plain(payload: bytes) -> dict[str, Any]:
    """Any message as plain data, with what no struct here knows.

    Raises:
        NotAMessageError: too large or no JSON object.
    """
    return _checked(_plain, payload)


T = TypeVar("T")


def _checked(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    if len(payload) > MAX_BYTES:
        raise NotAMessageError(f"{len(payload)} bytes are more than {MAX_BYTES}")
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAMessageError(str(error)) from None


def encode(message: msgspec.Struct) -> bytes:
    """A message as it goes out."""
    return _encoder.encode(message)


def timestamp(us: int) -> str:
    """µs UTC as the wire has it: ``2026-11-22T09:44:56.790Z`` (ISO 8601, 2.1.0 table 2)."""
    moment = datetime.fromtimestamp(us // 1000 / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def micros(text: object) -> int | None:
    """µs UTC of a timestamp; None for what is none."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return round(moment.timestamp() * 1_000_000)
    except (OverflowError, ValueError):
        return None
