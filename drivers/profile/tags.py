"""Tags of a profile: one value of a machine each, with what it means and how it is watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from drivers.profile.part import Part, Seconds, mapping
from drivers.profile.waveform import Waveform, unfit_waveform
from drivers.scaling import FLOATS, whole_range
from protocols.documents import Finding, Findings
from protocols.values import DataType


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
    MISSION_STATE = "mission_state"
    """How far a vehicle is with its mission: idle, under-way, done, failed, refused."""
    MISSION_ORDER = "mission_order"
    """Written last: the number of a vehicle's next mission."""
    PICK_STATION = "pick_station"
    DROP_STATION = "drop_station"
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


class Encoding(StrEnum):
    """How text lies in bytes."""

    UTF_8 = "utf-8"
    ASCII = "ascii"
    LATIN_1 = "latin-1"
    GB18030 = "gb18030"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"


TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+([./-][A-Za-z0-9_]+)*$", max_length=128)]
"""The name of a tag below its device: words joined by ``/``, ``.`` or ``-``."""

Scalar = bool | int | float | str

NO_NUMBERS = (DataType.BOOL, DataType.STRING)

MAX_COUNT = 4096
"""The most elements of one array."""


class Counter(Part):
    """How a counter behaves at its end and at a restart."""

    max: int | None = Field(
        default=None,
        ge=1,
        description="highest value before it wraps to 0; the highest of the type when left out",
        examples=[65535],
    )
    reset: bool = Field(
        default=True,
        description="whether it may be set back (at power-on, by the operator, by the program)",
        examples=[False],
    )
    rate: float = Field(
        default=20.0,
        gt=0,
        le=10_000,
        description="most it goes up by; what is faster was set, not counted",
        examples=[50],
        json_schema_extra={"unit": "1/s"},
    )


class Tag(Part):
    """One value of a machine. ``address`` has the form of the profile's protocol.

    Readings carry ``raw × scale + offset`` in ``unit``; with a scale or offset their type is float64.
    """

    references: ClassVar[tuple[str, ...]] = ()
    """Keys that name another tag; in a template first one of the same place."""

    address: str = Field(
        description="where the value is, in the form of the protocol",
        examples=["holding:100", "ns=1;s=State"],
    )
    type: DataType = Field(description="type of the raw value", examples=["float32"])
    length: int | None = Field(
        default=None,
        ge=1,
        le=240,
        description="size of a string, two to a register; must be given on Modbus",
        examples=[16],
        json_schema_extra={"unit": "bytes"},
    )
    encoding: Encoding = Field(
        default=Encoding.UTF_8, description="how a string lies in bytes", examples=["gb18030"]
    )
    count: int | None = Field(
        default=None,
        ge=1,
        le=MAX_COUNT,
        description="elements of an array: tags name/0, name/1, …",
        examples=[8],
    )
    scale: float = Field(
        default=1.0, description="reading = raw × scale + offset; then of type float64", examples=[0.1]
    )
    offset: float = Field(
        default=0.0,
        description="reading = raw × scale + offset",
        examples=[-40],
        json_schema_extra={"unit": "the tag's"},
    )
    unit: str = Field(
        default="",
        max_length=20,
        description="unit of readings: UN/CEFACT Rec 20 code or the usual symbol",
        examples=["kWh"],
    )
    deadband: float = Field(
        default=0.0,
        ge=0,
        description="a change smaller than this is not sent",
        examples=[0.5],
        json_schema_extra={"unit": "the tag's"},
    )
    deadband_percent: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="a change smaller than this part of the last value is not sent",
        examples=[2],
        json_schema_extra={"unit": "%"},
    )
    sampling: Seconds = Field(
        default=1.0,
        description="how often it is read or sampled",
        examples=[0.2],
        json_schema_extra={"unit": "s"},
    )
    max_interval: Seconds = Field(
        default=60.0,
        description="a value is sent at least this often",
        examples=[30],
        json_schema_extra={"unit": "s"},
    )
    role: Role | None = Field(
        default=None,
        description="what it means to the factory; state, counts and leave once",
        examples=["state"],
    )
    access: Access = Field(
        default=Access.READ, description="what the machine's own map allows", examples=["read-write"]
    )
    enum: dict[int, str] | None = Field(
        default=None, description="raw value: word", examples=[{0: "idle", 3: "running"}]
    )
    counter: Counter | None = Field(
        default=None, description="for a count that wraps or restarts", examples=[{"max": 65535}]
    )
    waveform: Waveform | None = Field(
        default=None,
        description="the value is an array of this many samples, taken as a block now and then",
        examples=[{"rate": 6400, "length": 4096}],
    )
    description: str = Field(default="", description="for people", examples=["Pressure at the pump"])

    @field_validator("scale")
    @classmethod
    def _scale_is_not_zero(cls, scale: float) -> float:
        if scale == 0:
            raise ValueError("would make every value 0 — use 1 for no scaling")
        return scale

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        findings = list(self.combinations(self.model_dump()))
        if findings:
            raise Findings(findings)
        return self

    @classmethod
    def combinations(cls, data: Mapping[Any, Any]) -> Iterator[Finding]:
        """What does not belong together in a tag's plain data, whose parts may be wrong themselves."""
        kind = data.get("type")
        if kind not in tuple(DataType):
            return  # said where the type stands
        scaled = cls.converts(data)
        value_type = DataType.FLOAT64 if scaled else kind
        role, enum = data.get("role"), data.get("enum")
        if kind in NO_NUMBERS and scaled:
            yield Finding(("scale",), f"a {kind} cannot be scaled — remove scale and offset")
        if data.get("length") is not None and kind != DataType.STRING:
            yield Finding(("length",), f"only a string has a length, not a {kind}")
        if data.get("encoding", Encoding.UTF_8) != Encoding.UTF_8 and kind != DataType.STRING:
            yield Finding(("encoding",), f"only a string has an encoding, not a {kind}")
        if data.get("deadband") and data.get("deadband_percent"):
            yield Finding(("deadband_percent",), "either deadband or deadband_percent, not both")
        if kind in NO_NUMBERS:
            for name in (name for name in ("deadband", "deadband_percent") if data.get(name)):
                yield Finding((name,), f"a {kind} has no deadband: every change is sent")
        if enum is not None and (scaled or kind in (DataType.STRING, *FLOATS)):
            shown = "scaled value" if scaled else kind
            yield Finding(("enum",), f"words stand for whole numbers or bools, not for a {shown}")
        if role == Role.STATE and value_type in FLOATS:
            why = "remove scale and offset" if scaled else "use a whole number, a bool or text"
            yield Finding(("role",), f"a {value_type} cannot be looked up in states — {why}")
        if role in (Role.PART_COUNT, Role.SCRAP_COUNT) and kind in NO_NUMBERS:
            yield Finding(("role",), f"a {role} is a number, not a {kind}")
        if role == Role.REMOTE_ENABLED and kind != DataType.BOOL:
            yield Finding(("role",), f"a remote_enabled is a bool, not a {kind}")
        if data.get("counter") is not None:
            yield from _counter(mapping(data["counter"]), DataType(kind), scaled=scaled)
        if data.get("waveform") is not None:
            yield from unfit_waveform(data, DataType(kind))

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

    @property
    def wraps_at(self) -> int | None:
        """The highest value a counter shows before it goes back to 0; None for what does not wrap."""
        if self.counter is None:
            return None
        if self.counter.max is not None or self.type in FLOATS:
            return self.counter.max
        return whole_range(self.type)[1]

    @classmethod
    def converts(cls, data: Mapping[Any, Any]) -> bool:
        """Whether a tag's plain data converts raw values; see :attr:`scaled`."""
        return bool(data.get("scale", 1.0) != 1.0 or data.get("offset", 0.0) != 0.0)

    # --- arrays and templates ---------------------------------------------------------------------------

    @classmethod
    def element(cls, data: Mapping[Any, Any], index: int) -> dict[Any, Any]:
        """The plain data of one element of an array tag; ``{}`` in the address becomes its number.

        Raises:
            ValueError: there is no such place at a machine of this protocol.
        """
        address = data.get("address")
        return {**data, "address": address.replace("{}", str(index)) if isinstance(address, str) else address}

    @classmethod
    def placed(cls, data: Mapping[Any, Any], at: int | str) -> dict[Any, Any]:
        """The plain data of a template's tag for one of its places, which replaces ``{}`` in the address.

        Raises:
            ValueError: there is no such place at a machine of this protocol.
        """
        address = data.get("address")
        return {**data, "address": address.replace("{}", str(at)) if isinstance(address, str) else address}


def _counter(counter: Mapping[Any, Any], kind: DataType, *, scaled: bool) -> Iterator[Finding]:
    if kind in NO_NUMBERS or scaled:
        shown = "scaled value" if scaled else kind
        yield Finding(("counter",), f"only a plain number counts, not a {shown}")
    elif kind not in FLOATS and isinstance(most := counter.get("max"), int):
        limit = whole_range(kind)[1]
        if most > limit:
            yield Finding(("counter", "max"), f"{most} is more than a {kind} holds: {limit}")
