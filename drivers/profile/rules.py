"""What a profile says besides its tags: which machine it is for, states, and what may be done to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Discriminator, Field, model_validator
from pydantic import Tag as Case

from drivers.profile.part import Part, Seconds, mapping
from drivers.profile.tags import NO_NUMBERS, Scalar, Tag, TagName
from protocols.documents import Finding, Findings, not_one_of, quoted
from protocols.states import ItemState, OperationMode
from protocols.values import DataType, Value


class Verified(StrEnum):
    """What a profile has been tried on."""

    SIMULATOR = "simulator"
    HARDWARE = "hardware"


class FirmwareRange(Part):
    """The firmware versions a profile was made for, both ends included; compared part by part."""

    min: str | None = Field(
        default=None, description="lowest version; any when left out (in quotes)", examples=["2.8"]
    )
    max: str | None = Field(
        default=None, description="highest version; 3.1 takes in 3.1.7 (in quotes)", examples=["3.1"]
    )

    def holds(self, version: str) -> bool:
        """Whether a version such as ``2.9.4`` lies in the range; ``max: "3.1"`` takes in 3.1.7."""
        parts = _version(version)
        low = self.min is None or parts >= _version(self.min)
        return low and (self.max is None or parts[: len(_version(self.max))] <= _version(self.max))


def _version(text: str) -> tuple[int, ...]:
    digits = "".join(c if c.isdigit() else " " for c in text).split()
    return tuple(int(part) for part in digits)


class Check(Tag):
    """A register or node that shows which machine this is; it is read at every connect, never streamed."""

    equals: Scalar = Field(
        description="what it must read", examples=[417], json_schema_extra={"unit": "the tag's"}
    )

    @classmethod
    def combinations(cls, data: Mapping[Any, Any]) -> Iterator[Finding]:
        yield from super().combinations(data)
        if "equals" in data and not could_be(data["equals"], data.get("type")):
            message = f"{quoted(data['equals'])} is never a {data.get('type')}: it would never be met"
            yield Finding(("equals",), message)
        if data.get("count") is not None:
            yield Finding(("count",), "a check reads one value, not an array")
        if data.get("access", "read") == "write":
            yield Finding(("access",), "a check is read")


C = TypeVar("C", bound=Check, covariant=True)


class Identification(Part, Generic[C]):
    """How to recognise the machine; patterns may end in ``*``. Unset means: not checked."""

    vendor: str | None = Field(
        default=None, description="what the machine says; may end in *", examples=["Acme*"]
    )
    product: str | None = Field(
        default=None, description="what the machine says; may end in *", examples=["Press 40*"]
    )
    firmware: str | None = Field(
        default=None, description="tag that holds the firmware version", examples=["version"]
    )
    checks: tuple[C, ...] = Field(
        default=(),
        description="registers or nodes and what they must read: keys of a tag, and equals",
        examples=[[{"address": "holding:900", "type": "uint16", "equals": 417}]],
    )


class MachineState(Part):
    """What one raw state of the machine means."""

    item_state: ItemState = Field(description="what it does (OPC 40001-1)", examples=["executing"])
    mode: OperationMode = Field(
        default=OperationMode.PROCESSING,
        description="what it is used for (OPC 40001-1)",
        examples=["setup"],
    )
    reason: str | None = Field(
        default=None, description="stop reason proposed to the operator", examples=["tool-change"]
    )


# --- derived states -------------------------------------------------------------------------------------


class Bounds(Part):
    """A range a number must lie in."""

    above: float | None = Field(
        default=None, description="greater than this", examples=[3.5], json_schema_extra={"unit": "the tag's"}
    )
    below: float | None = Field(
        default=None, description="less than this", examples=[0.5], json_schema_extra={"unit": "the tag's"}
    )
    between: tuple[float, float] | None = Field(
        default=None,
        description="from … to, both included",
        examples=[[0.5, 3.5]],
        json_schema_extra={"unit": "the tag's"},
    )

    @model_validator(mode="after")
    def _one(self) -> Bounds:
        given = [name for name in ("above", "below", "between") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("one of above, below, between — a range is between: [from, to]")
        if self.between is not None and self.between[0] > self.between[1]:
            low, high = self.between
            raise Findings([Finding(("between",), f"from {low:g} to {high:g} holds nothing")])
        return self


Condition = Annotated[
    Annotated[Bounds, Case("bounds")] | Annotated[Scalar, Case("value")],
    Discriminator(lambda value: "bounds" if isinstance(value, Mapping | Bounds) else "value"),
]
"""What a tag must read: a value (or enum word), or ``{above: x}``, ``{below: x}``, ``{between: [a, b]}``."""


class DeriveRule(Part):
    """A state and when it is that: every condition holds. The first rule that fits counts."""

    state: str = Field(description="word that states explains", min_length=1, examples=["running"])
    when: dict[TagName, Condition] = Field(
        min_length=1,
        description="tag: what it must read; all of them",
        examples=[{"green": True, "current": {"above": 3.5}}],
    )
    reason: str | None = Field(
        default=None, description="stop reason proposed to the operator", examples=["red-light"]
    )


class Derivation(Part):
    """A state word from other tags, for a machine that has no state tag (stack light, current, door)."""

    debounce: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="how long a new state must last before it counts",
        examples=[2],
        json_schema_extra={"unit": "s"},
    )
    rules: tuple[DeriveRule, ...] = Field(
        min_length=1,
        description="the first one that fits counts",
        examples=[[{"state": "running", "when": {"green": True}}]],
    )
    otherwise: str = Field(min_length=1, description="word when no rule fits", examples=["idle"])


# --- what may be done to the machine --------------------------------------------------------------------


class Effect(StrEnum):
    """What a write or a call does. All but ``parameter`` need a person at the station and a machine that
    reports remote operation as enabled at that moment."""

    PARAMETER = "parameter"
    START = "start"
    RESET = "reset"
    RESUME = "resume"


class Precondition(Part):
    """A tag that must have a value before a write is sent."""

    tag: str = Field(description="tag that is read just before", examples=["guard_closed"])
    equals: Scalar = Field(
        description="value that it must have", examples=[True], json_schema_extra={"unit": "the tag's"}
    )


class Permission(Part):
    """What must hold before something is done to a machine, whatever it is."""

    precondition: Precondition | None = Field(
        default=None,
        description="only while a tag has a value",
        examples=[{"tag": "guard_closed", "equals": True}],
    )
    item_states: tuple[ItemState, ...] | None = Field(
        default=None,
        min_length=1,
        description="only while the machine is in one of these",
        examples=[["not_executing"]],
    )
    interval: Seconds | None = Field(
        default=None, description="least time between two", examples=[30], json_schema_extra={"unit": "s"}
    )
    effect: Effect = Field(
        default=Effect.PARAMETER,
        description="what it does; all but parameter need a person at the station and remote_enabled",
        examples=["start"],
    )
    two_people: bool = Field(default=False, description="a second person must confirm", examples=[True])
    description: str = Field(default="", description="for people", examples=["Starts nothing"])


class WriteRule(Permission):
    """One write the profile allows. Without a rule a tag is read-only, whatever the machine says."""

    min: float | None = Field(
        default=None, description="lowest value", examples=[0], json_schema_extra={"unit": "the tag's"}
    )
    max: float | None = Field(
        default=None, description="highest value", examples=[100], json_schema_extra={"unit": "the tag's"}
    )
    allowed: tuple[Scalar, ...] | None = Field(
        default=None, description="the only values", examples=[["P1", "P2"]]
    )

    def refusal(self, value: Value) -> str | None:
        """Why a value may not be written (the limit it breaks), or None when it may."""
        if self.allowed is not None and not any(same_kind(value, v) and value == v for v in self.allowed):
            return not_one_of(value, [str(v) for v in self.allowed])
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if (self.min is not None or self.max is not None) and not number:
            return f"{quoted(value)} is not a number"
        if self.min is not None and not (isinstance(value, int | float) and value >= self.min):
            return f"{value} is below the minimum {self.min:g}"
        if self.max is not None and not (isinstance(value, int | float) and value <= self.max):
            return f"{value} is above the maximum {self.max:g}"
        return None


class MethodRule(Permission):
    """A method of the machine that may be called. A protocol adds where it is."""

    inputs: dict[str, DataType] = Field(
        default_factory=dict, description="argument: type, in order", examples=[{"job": "string"}]
    )
    outputs: dict[str, DataType] = Field(
        default_factory=dict, description="result: type, in order", examples=[{"status": "uint64"}]
    )

    def refusal(self, arguments: Mapping[str, Value]) -> str | None:
        """Why it may not be called with these arguments, or None when it may."""
        for name in arguments:
            if name not in self.inputs:
                return f"argument {not_one_of(name, self.inputs)}"
        for name, kind in self.inputs.items():
            if name not in arguments:
                return f"the argument {name} ({kind}) is missing"
            if not could_be(arguments[name], kind) or arguments[name] is None:
                return f"argument {name}: {quoted(arguments[name])} is not a {kind}"
        return None


class FilesAt(Part):
    """Where NC programs and recipes lie: a folder that is mounted here (SMB, FTP)."""

    path: str | None = Field(
        default=None, description="folder on this computer", examples=["/mnt/press-40/nc"]
    )
    mounted: bool = Field(
        default=True,
        description="whether something must be mounted there; false where the machine fetches its programs "
        "from a folder of this computer",
        examples=[True],
    )


def same_kind(one: Any, other: Any) -> bool:
    """Whether both are bools, or neither is: true is no number here."""
    return isinstance(one, bool) == isinstance(other, bool)


def could_be(value: Any, kind: Any) -> bool:
    """Whether a value could be one of a type; yes when the type itself is wrong."""
    if kind not in tuple(DataType) or not isinstance(value, bool | int | float | str):
        return True
    if kind == DataType.BOOL:
        return isinstance(value, bool)
    if kind == DataType.STRING:
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool)


def unfit_rule(
    where: tuple[str, str], rule: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    """Limits and values of a write that its tag, or the tag it depends on, can never have."""
    kind = tags.get(where[1], {}).get("type")
    low, high = rule.get("min"), rule.get("max")
    limits = {"min": low, "max": high}
    for name in (n for n, limit in limits.items() if limit is not None and kind in NO_NUMBERS):
        yield Finding((*where, name), f"only a number has limits, not a {kind}")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield Finding((*where, "max"), f"{high:g} is below min {low:g}: nothing could be written")
    allowed = rule.get("allowed")
    for number, value in enumerate(allowed if isinstance(allowed, list | tuple) else ()):
        if not could_be(value, kind):
            yield Finding((*where, "allowed", number), f"{quoted(value)} is never a {kind}")
    needed = mapping(rule.get("precondition"))
    kind = tags.get(str(needed.get("tag")), {}).get("type")
    if "equals" in needed and not could_be(needed["equals"], kind):
        where_equals = (*where, "precondition", "equals")
        yield Finding(where_equals, f"{quoted(needed['equals'])} is never a {kind}: it would never be met")
