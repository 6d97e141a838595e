"""The profile of a machine: what an integrator writes once per model, and what everything reads.

A profile names the tags of a machine (address, type, unit, role), what its raw states mean and which
writes are allowed. The base here is the same for every protocol; a driver brings its own subclass with
the form of its addresses and its protocol's defaults (``ModbusProfile``, ``OpcuaProfile``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from drivers.scaling import FLOATS
from protocols.documents import Finding, Findings, nearest, not_one_of, quoted
from protocols.states import ItemState, OperationMode
from protocols.values import DataType, Value


class Role(StrEnum):
    """What a tag means to the factory, so that OEE, maintenance and dispatching need no glue per site."""

    STATE = "state"
    MODE = "mode"
    PART_COUNT = "part_count"
    SCRAP_COUNT = "scrap_count"
    PROGRAM = "program"
    JOB = "job"
    ALARM = "alarm"
    REMOTE_ENABLED = "remote_enabled"
    SPINDLE_LOAD = "spindle_load"
    FEED_RATE = "feed_rate"
    SPEED = "speed"
    VIBRATION = "vibration"
    TEMPERATURE = "temperature"
    CURRENT = "current"
    VOLTAGE = "voltage"
    POWER = "power"
    ENERGY = "energy"
    PRESSURE = "pressure"
    FLOW = "flow"
    FORCE = "force"
    HUMIDITY = "humidity"
    LEVEL = "level"
    TOOL_LIFE = "tool_life"
    MISSION = "mission"
    STATION = "station"
    BATTERY = "battery"
    COUNTER = "counter"
    """A number that only counts up by one, to prove that nothing is lost or doubled."""


class Access(StrEnum):
    """Whether the machine's own map lets a tag be read, written or both."""

    READ = "read"
    WRITE = "write"
    READ_WRITE = "read-write"


class WordOrder(StrEnum):
    """How the bytes of a 32-bit value lie in two registers; wider values follow the same pattern."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class Part(BaseModel):
    """Anything in a profile: unknown keys are errors, nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FirmwareRange(Part):
    """The firmware versions a profile was made for, both ends included; compared part by part."""

    min: str | None = None
    max: str | None = None

    def holds(self, version: str) -> bool:
        """Whether a version such as ``2.9.4`` lies in the range; ``max: "3.1"`` takes in 3.1.7."""
        parts = _version(version)
        low = self.min is None or parts >= _version(self.min)
        return low and (self.max is None or parts[: len(_version(self.max))] <= _version(self.max))


def _version(text: str) -> tuple[int, ...]:
    digits = "".join(c if c.isdigit() else " " for c in text).split()
    return tuple(int(part) for part in digits)


class Identification(Part):
    """How to recognise the machine; patterns may end in ``*``. Unset means: not checked."""

    vendor: str | None = None
    product: str | None = None
    firmware: str | None = Field(default=None, description="address of the firmware version, if it is a tag")


class MachineState(Part):
    """What one raw state of the machine means."""

    item_state: ItemState
    mode: OperationMode = OperationMode.PROCESSING
    reason: str | None = Field(default=None, description="stop reason proposed to the operator")


class Precondition(Part):
    """A tag that must have a value before a write is sent."""

    tag: str
    equals: bool | int | float | str


class WriteRule(Part):
    """One write the profile allows. Without a rule a tag is read-only, whatever the machine says."""

    min: float | None = None
    max: float | None = None
    allowed: tuple[bool | int | float | str, ...] | None = None
    precondition: Precondition | None = None
    description: str = ""

    def refusal(self, value: Value) -> str | None:
        """Why a value may not be written (the limit it breaks), or None when it may."""
        if self.allowed is not None and value not in self.allowed:
            return not_one_of(value, [str(v) for v in self.allowed])
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if (self.min is not None or self.max is not None) and not number:
            return f"{quoted(value)} is not a number"
        if self.min is not None and not (isinstance(value, int | float) and value >= self.min):
            return f"{value} is below the minimum {self.min:g}"
        if self.max is not None and not (isinstance(value, int | float) and value <= self.max):
            return f"{value} is above the maximum {self.max:g}"
        return None


_NO_NUMBERS = (DataType.BOOL, DataType.STRING)
_ONCE = (Role.STATE, Role.PART_COUNT)
"""Roles that one tag of a machine has: two would contradict each other."""

TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+([./-][A-Za-z0-9_]+)*$", max_length=128)]
"""The name of a tag below its device: words joined by ``/``, ``.`` or ``-``."""

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Tag(Part):
    """One value of a machine. ``address`` has the form of the profile's protocol.

    Readings carry ``raw × scale + offset`` in ``unit``; with a scale or offset their type is float64.
    """

    address: str
    type: DataType
    length: int | None = Field(default=None, ge=1, le=240, description="characters of a string")
    scale: float = 1.0
    offset: float = 0.0
    unit: str = Field(default="", max_length=20, description="UN/CEFACT Rec 20 code or the usual symbol")
    deadband: float = Field(default=0.0, ge=0, description="absolute, in the unit")
    deadband_percent: float = Field(default=0.0, ge=0, le=100, description="of the last value sent")
    sampling: Seconds = 1.0
    max_interval: Seconds = Field(default=60.0, description="a value is sent at least this often")
    role: Role | None = None
    access: Access = Access.READ
    enum: dict[int, str] | None = Field(default=None, description="raw value: word")
    description: str = ""

    @field_validator("scale")
    @classmethod
    def _scale_is_not_zero(cls, scale: float) -> float:
        if scale == 0:
            raise ValueError("would make every value 0 — use 1 for no scaling")
        return scale

    @model_validator(mode="after")
    def _fits_together(self) -> Tag:
        findings = list(self._findings())
        if findings:
            raise Findings(findings)
        return self

    def _findings(self) -> Iterator[Finding]:
        if self.type in (DataType.STRING, DataType.BOOL) and self.scaled:
            yield Finding(("scale",), f"a {self.type} cannot be scaled — remove scale and offset")
        if self.length is not None and self.type is not DataType.STRING:
            yield Finding(("length",), f"only a string has a length, not a {self.type}")
        if self.deadband and self.deadband_percent:
            yield Finding(("deadband_percent",), "either deadband or deadband_percent, not both")
        if self.type in _NO_NUMBERS:
            bands = {"deadband": self.deadband, "deadband_percent": self.deadband_percent}
            for name in (name for name, band in bands.items() if band):
                yield Finding((name,), f"a {self.type} has no deadband: every change is sent")
        if self.enum is not None and (self.scaled or self.type in (DataType.STRING, *FLOATS)):
            kind = "scaled value" if self.scaled else self.type
            yield Finding(("enum",), f"words stand for whole numbers or bools, not for a {kind}")
        if self.role is Role.STATE and self.value_type in FLOATS:
            why = "remove scale and offset" if self.scaled else "use a whole number, a bool or text"
            yield Finding(("role",), f"a {self.value_type} cannot be looked up in states — {why}")
        if self.role in (Role.PART_COUNT, Role.SCRAP_COUNT) and self.type in _NO_NUMBERS:
            yield Finding(("role",), f"a {self.role} is a number, not a {self.type}")

    @property
    def scaled(self) -> bool:
        """Whether raw values are converted."""
        return self.scale != 1.0 or self.offset != 0.0

    @property
    def value_type(self) -> DataType:
        """The type of this tag's readings."""
        return DataType.FLOAT64 if self.scaled else self.type

    @property
    def readable(self) -> bool:
        return self.access is not Access.WRITE

    @property
    def writable(self) -> bool:
        return self.access is not Access.READ


T = TypeVar("T", bound=Tag, covariant=True)


class Profile(Part, Generic[T]):
    """A machine model: its tags, states and allowed writes. Subclassed by each protocol's driver."""

    protocols: ClassVar[tuple[str, ...]] = ()
    """Names of drivers that read this kind of profile; empty on the base."""

    vendor: str = Field(min_length=1, max_length=60)
    model: str = Field(min_length=1, max_length=60)
    description: str = ""
    source: str = Field(default="", description="where the map comes from: manual, edition, page")
    protocol: str
    max_sessions: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="connections the machine takes at once; unset: as its kind does",
    )
    firmware: FirmwareRange = FirmwareRange()
    identification: Identification = Identification()
    tags: dict[TagName, T] = Field(min_length=1)
    states: dict[bool | int | str, MachineState] = Field(
        default_factory=dict, description="raw value (or enum word) of the tag with role state: meaning"
    )
    writes: dict[str, WriteRule] = Field(default_factory=dict, description="tag: what may be written to it")

    @model_validator(mode="after")
    def _consistent(self) -> Profile[T]:
        findings = list(self.cross_check(self.model_dump()))
        if findings:
            raise Findings(findings)
        return self

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        """What does not belong together in a profile's plain data, whose parts may be wrong themselves."""
        tags = {str(name): mapping(tag) for name, tag in mapping(mapping(data).get("tags")).items()}
        for name, rule in mapping(mapping(data).get("writes")).items():
            if name not in tags:
                yield Finding(("writes", name), _no_tag(name, tags))
            elif tags[name].get("access", Access.READ) == Access.READ:
                yield Finding(("writes", name), f'tag "{name}" has access read — set access: read-write')
            needed = mapping(mapping(rule).get("precondition")).get("tag")
            where = ("writes", name, "precondition", "tag")
            if needed is not None and needed not in tags:
                yield Finding(where, _no_tag(needed, tags))
            elif needed is not None and tags[needed].get("access") == Access.WRITE:
                yield Finding(where, f'tag "{needed}" cannot be read')
            yield from _unfit(("writes", name), mapping(rule), tags)
        yield from _doubles(tags)
        yield from cls._check_states(mapping(mapping(data).get("states")), tags)

    @staticmethod
    def _check_states(states: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]) -> Iterator[Finding]:
        state = next((tag for tag in tags.values() if tag.get("role") == Role.STATE), None)
        if states and state is None:
            yield Finding(("states",), "no tag has the role state, so no value can be looked up here")
        if state is None:
            return
        words = {str(word) for word in mapping(state.get("enum")).values()}
        is_text = state.get("type") == DataType.STRING
        for raw in states:
            if isinstance(raw, str) and words and raw not in words:
                yield Finding(("states", raw), not_one_of(raw, sorted(words)))
            elif isinstance(raw, str) and not (words or is_text):
                message = (
                    f'"{raw}" is no word of it: give the tag with role state an enum, or write its number'
                )
                yield Finding(("states", raw), message)
            elif is_text and not isinstance(raw, str):
                yield Finding(("states", raw), "the state is a string: put its text in quotes")

    def constants(self) -> dict[str, Value]:
        """Tags that a simulator shows with one value all the time, because others depend on it."""
        return {}

    def tag_with(self, role: Role) -> str | None:
        """The name of the first tag with a role."""
        return next((name for name, tag in self.tags.items() if tag.role is role), None)

    def state_of(self, raw: Value) -> MachineState | None:
        """What a raw value of the state tag means, by number or by its enum word; None when unlisted."""
        found = self.states.get(raw) if isinstance(raw, bool | int | str) else None
        name = self.tag_with(Role.STATE)
        if found is None and name is not None and isinstance(raw, int):
            found = self.states.get((self.tags[name].enum or {}).get(raw, ""))
        return found


def mapping(value: Any) -> Mapping[Any, Any]:
    """A value of plain data where a mapping belongs; an empty one when it is none."""
    return value if isinstance(value, Mapping) else {}


def _unfit(
    where: tuple[str, str], rule: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    """Limits and values of a write that its tag, or the tag it depends on, can never have."""
    kind = tags.get(where[1], {}).get("type")
    low, high = rule.get("min"), rule.get("max")
    limits = {"min": low, "max": high}
    for name in (n for n, limit in limits.items() if limit is not None and kind in _NO_NUMBERS):
        yield Finding((*where, name), f"only a number has limits, not a {kind}")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield Finding((*where, "max"), f"{high:g} is below min {low:g}: nothing could be written")
    allowed = rule.get("allowed")
    for number, value in enumerate(allowed if isinstance(allowed, list | tuple) else ()):
        if not _could_be(value, kind):
            yield Finding((*where, "allowed", number), f"{quoted(value)} is never a {kind}")
    needed = mapping(rule.get("precondition"))
    kind = tags.get(str(needed.get("tag")), {}).get("type")
    if "equals" in needed and not _could_be(needed["equals"], kind):
        where_equals = (*where, "precondition", "equals")
        yield Finding(where_equals, f"{quoted(needed['equals'])} is never a {kind}: it would never be met")


def _could_be(value: Any, kind: Any) -> bool:
    """Whether a value could be one of a type; yes when the type itself is wrong."""
    if kind not in set(DataType) or not isinstance(value, bool | int | float | str):
        return True
    if kind == DataType.BOOL:
        return isinstance(value, bool)
    if kind == DataType.STRING:
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _doubles(tags: Mapping[str, Mapping[Any, Any]]) -> Iterator[Finding]:
    """A second tag with a role that a machine has once."""
    owners: dict[Any, str] = {}
    for name, tag in tags.items():
        role = tag.get("role")
        if role in _ONCE and role in owners:
            message = f'the tag "{owners[role]}" has the role {role} already, and a machine has one'
            yield Finding(("tags", name, "role"), message)
        elif role in _ONCE:
            owners[role] = name


def _no_tag(name: object, tags: Mapping[str, Any]) -> str:
    hint = nearest(str(name), tags)
    return f'no tag "{name}" in this profile' + (f" — did you mean {hint}?" if hint else "")


AnyProfile = Profile[Tag]
"""A profile of whatever protocol."""
