"""VDA 5050 profiles: tags are fields of a vehicle's messages, or what follows from them.

An address is a topic and a path in its message: ``state.batteryState.batteryCharge``. In a list a number
picks an element, ``*`` all of them (texts joined by a comma) and ``#`` how many there are. The topic
``vehicle`` is ours: ``vehicle.state`` is one word for what it does, see :data:`WORDS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import Field, field_validator

from drivers.profile.profile import Check, Effect, Identification, MethodRule, Part, Profile, Tag, mapping
from drivers.scaling import FLOATS, whole_range
from protocols.documents import Finding, nearest, not_one_of
from protocols.values import DataType, Value
from protocols.vda5050 import Connection, EStop, State, Visualization
from protocols.vda5050_lifecycles import Presence
from protocols.vda5050_topics import FROM_VEHICLE, VehicleId

_PATH = re.compile(r"[A-Za-z]+(\.([A-Za-z0-9_-]{1,64}|\*|#)){1,8}")
_FORMS = "write a topic and a path, e.g. state.batteryState.batteryCharge or vehicle.state"

OURS = "vehicle"
WORDS = ("lost", "estop", "error", "manual", "paused", "driving", "acting", "waiting", "charging", "idle")
"""What ``vehicle.state`` can be; the first one that is true."""
FIELDS = {
    "state": (*(f.encode_name for f in msgspec.structs.fields(State)), "maps", "zoneSetId", "information"),
    "visualization": tuple(f.encode_name for f in msgspec.structs.fields(Visualization)),
    "connection": tuple(f.encode_name for f in msgspec.structs.fields(Connection)),
    OURS: ("state", "presence", "remoteEnabled", "order", "mission", "handshake", "handshakeSince"),
}
"""First words of a path by topic; a factsheet's may be any."""

MAX_JOINED = 240


def parse_place(text: str) -> tuple[str, tuple[str, ...]]:
    """Topic and path of an address.

    Raises:
        ValueError: it is none; names the nearest word.
    """
    if not _PATH.fullmatch(text):
        raise ValueError(f"is no field of a message — {_FORMS}")
    topic, *path = text.split(".")
    topics = [*map(str, FROM_VEHICLE), OURS]
    if topic not in topics:
        raise ValueError(f"names no topic: {not_one_of(topic, topics)}")
    fields = FIELDS.get(topic)
    if fields is not None and path[0] not in fields:
        hint = nearest(path[0], fields)
        tail = f"did you mean {hint}?" if hint else f"it has {', '.join(fields)}"
        raise ValueError(f'names no field "{path[0]}" of {topic} — {tail}')
    return topic, tuple(path)


class MissingError(LookupError):
    """A message without the field that a tag asks for."""


def look_up(message: Any, path: tuple[str, ...]) -> Any:
    """What lies at a path of a message's plain data.

    Raises:
        MissingError: nothing does.
    """
    at = message
    for number, word in enumerate(path):
        if word == "#" and isinstance(at, list):
            at = len(at)
        elif word == "*" and isinstance(at, list):
            found = [_text(look_up(item, path[number + 1 :])) for item in at[:64]]
            return ", ".join(found)[:MAX_JOINED]
        elif isinstance(at, list) and word.isdecimal() and int(word) < len(at):
            at = at[int(word)]
        elif isinstance(at, dict) and word in at:
            at = at[word]
        else:
            raise MissingError(f"the message has no {'.'.join(path[: number + 1])}")
    if at is None:
        raise MissingError(f"{'.'.join(path)} is null")
    return at


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def shaped(tag: Tag, found: Any) -> Value:
    """A found value in the tag's type and unit.

    Raises:
        ValueError: it has another type, or lies outside the type's range.
    """
    if tag.type is DataType.STRING:
        return _text(found)[: tag.length or MAX_JOINED]
    if tag.type is DataType.BOOL:
        if not isinstance(found, bool):
            raise ValueError(f"{_text(found)[:40]} is no bool")
        return found
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{_text(found)[:40]} is no number")
    if tag.scaled:
        return found * tag.scale + tag.offset
    if tag.type in FLOATS:
        return float(found)
    low, high = whole_range(tag.type)
    if found != int(found) or not low <= found <= high:
        raise ValueError(f"{found} is no {tag.type}")
    return int(found)


def word(state: State | None, presence: Presence) -> str:
    """One of :data:`WORDS` for what a vehicle does."""
    if state is None or presence is not Presence.ALIVE:
        return "lost"
    running = any(not each.action_status.ended for each in state.action_states)
    facts = {
        "estop": state.safety_state.e_stop is not EStop.NONE or state.safety_state.field_violation,
        "error": any(error.error_level == "FATAL" for error in state.errors),
        "manual": not state.operating_mode.takes_orders,
        "paused": state.paused is True,
        "driving": state.driving,
        "acting": running
        and any(a.action_status in ("RUNNING", "INITIALIZING") for a in state.action_states),
        "waiting": not state.is_idle,
        "charging": state.battery_state.charging,
    }
    return next((name for name, holds in facts.items() if holds), "idle")


class Vda5050Tag(Tag):
    """A field of one of a vehicle's messages."""

    @field_validator("address")
    @classmethod
    def _is_place(cls, address: str) -> str:
        parse_place(address)
        return address

    @classmethod
    def combinations(cls, data: Mapping[Any, Any]) -> Iterator[Finding]:
        yield from super().combinations(data)
        if data.get("waveform") is not None:
            yield Finding(("waveform",), "VDA 5050 has no arrays of samples: remove the key")

    @property
    def place(self) -> tuple[str, tuple[str, ...]]:
        """Topic and path."""
        return parse_place(self.address)


class Vda5050Check(Check, Vda5050Tag):
    """A field that shows which vehicle this is."""


class Vda5050Method(MethodRule):
    """An instant action that may be sent."""

    action: Literal["startPause", "stopPause", "cancelOrder", "stateRequest", "factsheetRequest"] = Field(
        description="instant action of VDA 5050 (6.8); orders are given by the transport, not here"
    )


class Vda5050Vehicle(Part):
    """Who a vehicle is; the address of the device may say otherwise."""

    interface: str = Field(default="uagv", description="first level of its topics")
    manufacturer: str = Field(default="OneLot", description="as in its topics")
    serial: str = Field(default="1", description="as in its topics")


class Vda5050Profile(Profile[Vda5050Tag]):
    """A vehicle on VDA 5050."""

    protocols: ClassVar[tuple[str, ...]] = ("vda5050",)

    identification: Identification[Vda5050Check] = Identification[Vda5050Check]()
    vda5050: Vda5050Vehicle = Vda5050Vehicle()
    methods: dict[str, Vda5050Method] = Field(
        default_factory=dict, description="name: an instant action that may be sent"
    )

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        yield from super().cross_check(data)
        whole = mapping(data)
        for name in mapping(whole.get("writes")):
            yield Finding(("writes", name), "nothing of a VDA 5050 vehicle can be written: use methods")
        for name, rule in mapping(whole.get("methods")).items():
            resumes = mapping(rule).get("action") == "stopPause"
            if resumes and mapping(rule).get("effect") != Effect.RESUME:
                message = "stopPause sets a vehicle in motion — set effect: resume"
                yield Finding(("methods", name, "action"), message)
        yield from cls.check_methods(data)
        vehicle = mapping(whole.get("vda5050"))
        try:
            VehicleId(*(str(vehicle.get(key, "x")) for key in ("interface", "manufacturer", "serial")))
        except ValueError as error:
            yield Finding(("vda5050",), str(error))

    def constants(self) -> dict[str, Value]:
        return {}


def plain_facts(
    state: State | None,
    presence: Presence,
    order: str,
    mission: str,
    handshake: str = "",
    since: int | None = None,
) -> Mapping[str, Any]:
    """What the topic ``vehicle`` holds. ``since`` (µs UTC) is how long the handshake is where it is."""
    ready = (
        presence is Presence.ALIVE
        and state is not None
        and state.operating_mode.takes_orders
        and state.safety_state.e_stop is EStop.NONE
    )
    return {
        "state": word(state, presence),
        "presence": str(presence),
        "remoteEnabled": ready,
        "order": order,
        "mission": mission,
        "handshake": handshake,
        "handshakeSince": 0 if since is None else since // 1_000_000,
    }
