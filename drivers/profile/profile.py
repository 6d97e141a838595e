"""The profile of a machine: what an integrator writes once per model, and what everything reads.

A profile names the tags of a machine (address, type, unit, role), what its raw states mean and which
writes are allowed. The base here is the same for every protocol; a driver brings its own subclass with
the form of its addresses and its protocol's defaults (``ModbusProfile``, ``OpcuaProfile``).
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field, SkipValidation, StringConstraints, ValidationInfo, model_validator

from drivers.profile.checks import (
    check_derived,
    check_firmware,
    check_states,
    check_waveforms,
    doubles,
    no_tag,
    unfit_effect,
    unfit_permission,
    unfit_vehicle,
)
from drivers.profile.expand import expand
from drivers.profile.part import Part, Seconds, mapping
from drivers.profile.rules import (
    Bounds,
    Check,
    Derivation,
    DeriveRule,
    Effect,
    FilesAt,
    FirmwareRange,
    Identification,
    MachineState,
    MethodRule,
    Permission,
    Precondition,
    Verified,
    WriteRule,
    unfit_rule,
)
from drivers.profile.tags import Access, Counter, Encoding, Role, Scalar, Tag, TagName, WordOrder
from protocols.documents import Expansion, Finding, Findings
from protocols.values import Value

__all__ = [
    "Access",
    "AnyProfile",
    "Bounds",
    "Check",
    "Counter",
    "Derivation",
    "DeriveRule",
    "Effect",
    "Encoding",
    "FilesAt",
    "FirmwareRange",
    "Identification",
    "MachineState",
    "MethodRule",
    "Part",
    "Permission",
    "Precondition",
    "Profile",
    "Role",
    "Scalar",
    "Seconds",
    "Tag",
    "TagName",
    "Template",
    "Verified",
    "WordOrder",
    "WriteRule",
    "mapping",
]

T = TypeVar("T", bound=Tag, covariant=True)

_IDENTIFICATION = "how to recognise the machine; checked at every connect"
_FILES = "where NC programs and recipes lie"

Place = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+([./-][A-Za-z0-9_]+)*$", max_length=64)]


class Template(Part, Generic[T]):
    """Tags that repeat at several places: phases, axes, channels."""

    tags: dict[TagName, SkipValidation[T]] = Field(
        min_length=1,
        description="tags, as under tags; what differs is given by at",
        examples=[{"voltage": {"address": "input:0", "type": "float32"}}],
    )
    at: dict[Place, int | str] = Field(
        min_length=1,
        description="place: what is added to the address (Modbus), or what is put where {} stands",
        examples=[{"l1": 0, "l2": 2, "l3": 4}],
    )


class Profile(Part, Generic[T]):
    """A machine model: its tags, states and allowed writes. Subclassed by each protocol's driver."""

    protocols: ClassVar[tuple[str, ...]] = ()
    """Names of drivers that read this kind of profile; empty on the base."""

    vendor: str = Field(min_length=1, max_length=60, description="who makes it", examples=["Acme"])
    model: str = Field(min_length=1, max_length=60, description="its model", examples=["Press 40"])
    description: str = Field(default="", description="for people", examples=["Hydraulic press"])
    source: str = Field(
        default="",
        description="where the map comes from: manual, edition, page",
        examples=["Acme manual 4711, 3rd edition, p. 88"],
    )
    verified: Verified = Field(
        default=Verified.SIMULATOR, description="what it has been tried on", examples=["hardware"]
    )
    protocol: str = Field(description="the driver that reads it", examples=["modbus"])
    max_sessions: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="connections the machine takes at once; unset: as its kind does",
        examples=[1],
    )
    firmware: FirmwareRange = Field(
        default=FirmwareRange(),
        description="versions that it was made for; another one is not written to until it is accepted",
        examples=[{"min": "2.8", "max": "3.1"}],
    )
    identification: Identification[Check] = Field(
        default=Identification[Check](), description=_IDENTIFICATION, examples=[{"product": "Press 40*"}]
    )
    tags: dict[TagName, T] = Field(
        min_length=1,
        description="its values by name",
        examples=[{"state": {"address": "holding:0", "type": "uint16"}}],
    )
    waveforms: dict[TagName, T] = Field(
        default_factory=dict,
        description="its arrays that are taken as blocks; they may stand among the tags just as well",
        examples=[{"drive": {"address": "ns=1;s=Wave", "type": "int16", "waveform": {"rate": 6400}}}],
    )
    templates: dict[str, Template[T]] = Field(
        default_factory=dict,
        exclude=True,
        description="tags that repeat at several places",
        examples=[{"phase": {"at": {"l1": 0}, "tags": {}}}],
    )
    """As written. The tags that they stand for are in ``tags`` already."""
    states: dict[bool | int | str, MachineState] = Field(
        default_factory=dict,
        description="raw value (or enum word) of the tag with role state: meaning",
        examples=[{"idle": {"item_state": "not_executing"}}],
    )
    derive: dict[str, Derivation] = Field(
        default_factory=dict,
        description="state of a machine that has no state tag, from other tags",
        examples=[{"state": {"rules": [], "otherwise": "idle"}}],
    )
    writes: dict[str, WriteRule] = Field(
        default_factory=dict,
        description="tag: what may be written to it; a tag that is not here is never written",
        examples=[{"program": {"allowed": ["P1", "P2"]}}],
    )
    files: FilesAt | None = Field(default=None, description=_FILES, examples=[{"path": "/mnt/press-40/nc"}])

    @model_validator(mode="before")
    @classmethod
    def _expanded(cls, data: Any, info: ValidationInfo) -> Any:
        if mapping(info.context).get("expanded"):
            return data
        expansion = cls.expand(data)
        if expansion.findings:
            raise Findings(expansion.findings)
        return expansion.data

    @model_validator(mode="after")
    def _consistent(self) -> Profile[T]:
        findings = list(self.cross_check(self.model_dump()))
        if findings:
            raise Findings(findings)
        return self

    @classmethod
    def tag_type(cls) -> type[Tag]:
        """The kind of tags that this kind of profile has."""
        kind = typing.get_args(cls.model_fields["tags"].annotation)[1]
        return kind if isinstance(kind, type) and issubclass(kind, Tag) else Tag

    @classmethod
    def check_type(cls) -> type[Check]:
        """The kind of checks in its identification."""
        kind = cls.model_fields["identification"].annotation
        found = typing.get_args(getattr(kind, "model_fields", {})["checks"].annotation)[0]
        return found if isinstance(found, type) and issubclass(found, Check) else Check

    @classmethod
    def expand(cls, data: Any) -> Expansion:
        """Plain data with arrays and templates as tags; see :mod:`drivers.profile.expand`."""
        return expand(data, cls.tag_type())

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        """What does not belong together in a profile's plain data, whose parts may be wrong themselves."""
        whole = mapping(data)
        tags = {str(name): mapping(tag) for name, tag in mapping(whole.get("tags")).items()}
        for name, tag in tags.items():
            for finding in cls.tag_type().combinations(tag):
                yield Finding(("tags", name, *finding.location), finding.message)
        yield from check_firmware(whole, tags)
        checks = mapping(whole.get("identification")).get("checks")
        for number, check in enumerate(checks if isinstance(checks, list | tuple) else ()):
            for finding in cls.check_type().combinations(mapping(check)):
                yield Finding(("identification", "checks", number, *finding.location), finding.message)
        for name, rule in mapping(whole.get("writes")).items():
            if name not in tags:
                yield Finding(("writes", name), no_tag(name, tags))
            elif tags[name].get("access", Access.READ) == Access.READ:
                yield Finding(("writes", name), f'tag "{name}" has access read — set access: read-write')
            yield from unfit_rule(("writes", name), mapping(rule), tags)
            yield from unfit_permission(("writes", name), mapping(rule), whole, tags)
        yield from doubles(tags)
        yield from unfit_vehicle(tags, whole)
        states = mapping(whole.get("states"))
        yield from check_states(states, mapping(whole.get("derive")), tags)
        yield from check_derived(mapping(whole.get("derive")), states, tags)
        waveforms = {str(name): mapping(tag) for name, tag in mapping(whole.get("waveforms")).items()}
        for name, tag in waveforms.items():
            for finding in cls.tag_type().combinations(tag):
                yield Finding(("waveforms", name, *finding.location), finding.message)
        states_known = any(tag.get("role") == Role.STATE for tag in tags.values())
        has_state = states_known or "state" in mapping(whole.get("derive"))
        yield from check_waveforms(waveforms, tags, has_state=has_state)

    @classmethod
    def check_methods(cls, data: Any) -> Iterator[Finding]:
        """What the methods of a profile depend on and it does not have; for protocols that have methods."""
        whole = mapping(data)
        tags = {str(name): mapping(tag) for name, tag in mapping(whole.get("tags")).items()}
        for name, rule in mapping(whole.get("methods")).items():
            yield from unfit_permission(("methods", name), mapping(rule), whole, tags)

    @classmethod
    def check_effect(
        cls, where: tuple[int | str, ...], effect: Effect | None, data: Any
    ) -> Iterator[Finding]:
        """Whether something that has an effect of its own may be in a profile without more."""
        roles = {
            mapping(tag).get("role"): mapping(tag) for tag in mapping(mapping(data).get("tags")).values()
        }
        if effect is not None and effect is not Effect.PARAMETER:
            yield from unfit_effect(where, effect, roles)

    def constants(self) -> dict[str, Value]:
        """Tags that a simulator shows with one value all the time, because others depend on it."""
        return {}

    def tag_with(self, role: Role) -> str | None:
        """The name of the first tag with a role."""
        return next((name for name, tag in self.tags.items() if tag.role is role), None)

    @property
    def has_state(self) -> bool:
        """Whether the machine's state can be known: from a tag, or derived from others."""
        return self.tag_with(Role.STATE) is not None or "state" in self.derive

    @property
    def all_tags(self) -> dict[str, T]:
        """The tags and, under ``identification/0`` and so on, the checks: what a driver can read.

        Only ``tags`` are streamed.
        """
        return {**self.tags, **self.checks}

    @property
    def checks(self) -> dict[str, T]:
        """The checks of the identification as tags."""
        return {
            f"identification/{number}": typing.cast("T", check)
            for number, check in enumerate(self.identification.checks)
        }

    def state_of(self, raw: Value) -> MachineState | None:
        """What a raw value of the state tag means, by number or by its enum word; None when unlisted."""
        found = self.states.get(raw) if isinstance(raw, bool | int | str) else None
        name = self.tag_with(Role.STATE)
        if found is None and name is not None and isinstance(raw, int):
            found = self.states.get((self.tags[name].enum or {}).get(raw, ""))
        return found


AnyProfile = Profile[Tag]
"""A profile of whatever protocol."""
