"""The profile of a machine: what an integrator writes once per model, and what everything reads.

A profile names the tags of a machine (address, type, unit, role), what its raw states mean and which
writes are allowed. The base here is the same for every protocol; a driver brings its own subclass with
the form of its addresses and its protocol's defaults (``ModbusProfile``, ``OpcuaProfile``).
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field, SkipValidation, StringConstraints, ValidationInfo, model_validator

from drivers.profile_expand import expand
from drivers.profile_rules import (
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
    could_be,
    unfit_rule,
)
from drivers.profile_tags import (
    Access,
    Counter,
    Encoding,
    Part,
    Role,
    Scalar,
    Seconds,
    Tag,
    TagName,
    WordOrder,
    mapping,
)
from protocols.documents import Expansion, Finding, Findings, nearest, not_one_of, quoted
from protocols.values import DataType, Value

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

_ONCE = (Role.STATE, Role.PART_COUNT, Role.REMOTE_ENABLED)
"""Roles that one tag of a machine has: two would contradict each other."""

_IDENTIFICATION = "how to recognise the machine; checked at every connect"
_FILES = "where NC programs and recipes lie"

DERIVED = ("state",)
"""What can be derived from other tags."""

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
        """Plain data with arrays and templates as tags; see :mod:`drivers.profile_expand`."""
        return expand(data, cls.tag_type())

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        """What does not belong together in a profile's plain data, whose parts may be wrong themselves."""
        whole = mapping(data)
        tags = {str(name): mapping(tag) for name, tag in mapping(whole.get("tags")).items()}
        for name, tag in tags.items():
            for finding in cls.tag_type().combinations(tag):
                yield Finding(("tags", name, *finding.location), finding.message)
        yield from _check_firmware(whole, tags)
        checks = mapping(whole.get("identification")).get("checks")
        for number, check in enumerate(checks if isinstance(checks, list | tuple) else ()):
            for finding in cls.check_type().combinations(mapping(check)):
                yield Finding(("identification", "checks", number, *finding.location), finding.message)
        for name, rule in mapping(whole.get("writes")).items():
            if name not in tags:
                yield Finding(("writes", name), _no_tag(name, tags))
            elif tags[name].get("access", Access.READ) == Access.READ:
                yield Finding(("writes", name), f'tag "{name}" has access read — set access: read-write')
            yield from unfit_rule(("writes", name), mapping(rule), tags)
            yield from _unfit_permission(("writes", name), mapping(rule), whole, tags)
        yield from _doubles(tags)
        states = mapping(whole.get("states"))
        yield from _check_states(states, mapping(whole.get("derive")), tags)
        yield from _check_derived(mapping(whole.get("derive")), states, tags)

    @classmethod
    def check_methods(cls, data: Any) -> Iterator[Finding]:
        """What the methods of a profile depend on and it does not have; for protocols that have methods."""
        whole = mapping(data)
        tags = {str(name): mapping(tag) for name, tag in mapping(whole.get("tags")).items()}
        for name, rule in mapping(whole.get("methods")).items():
            yield from _unfit_permission(("methods", name), mapping(rule), whole, tags)

    @classmethod
    def check_effect(
        cls, where: tuple[int | str, ...], effect: Effect | None, data: Any
    ) -> Iterator[Finding]:
        """Whether something that has an effect of its own may be in a profile without more."""
        roles = {
            mapping(tag).get("role"): mapping(tag) for tag in mapping(mapping(data).get("tags")).values()
        }
        if effect is not None and effect is not Effect.PARAMETER:
            yield from _unfit_effect(where, effect, roles)

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


def _check_firmware(whole: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]) -> Iterator[Finding]:
    limits = mapping(whole.get("firmware"))
    low, high = limits.get("min"), limits.get("max")
    if isinstance(low, str) and isinstance(high, str) and not FirmwareRange(max=high).holds(low):
        yield Finding(("firmware", "max"), f"{quoted(high)} is below min {low}: no version could be right")
    for name, limit in (("min", low), ("max", high)):
        if isinstance(limit, str) and not any(c.isdigit() for c in limit):
            yield Finding(("firmware", name), f"{quoted(limit)} is no version: it has no number")
    wanted = mapping(whole.get("identification")).get("firmware")
    addresses = {str(tag.get("address")) for tag in tags.values()}
    if isinstance(wanted, str) and wanted not in tags and wanted not in addresses:
        yield Finding(("identification", "firmware"), _no_tag(wanted, tags))


def _check_states(
    states: Mapping[Any, Any], derive: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    state = next((tag for tag in tags.values() if tag.get("role") == Role.STATE), None)
    if "state" in derive:
        for raw in (raw for raw in states if not isinstance(raw, str)):
            yield Finding(("states", raw), "a derived state is a word: write the word of its rule")
        return
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
            message = f'"{raw}" is no word of it: give the tag with role state an enum, or write its number'
            yield Finding(("states", raw), message)
        elif is_text and not isinstance(raw, str):
            yield Finding(("states", raw), "the state is a string: put its text in quotes")


def _check_derived(
    derive: Mapping[Any, Any], states: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    for what, derivation in derive.items():
        where = ("derive", what)
        if what not in DERIVED:
            yield Finding(where, not_one_of(what, DERIVED))
        owner = next((name for name, tag in tags.items() if tag.get("role") == what), None)
        if owner is not None:
            message = f'the tag "{owner}" has the role {what} already — derive only what no tag shows'
            yield Finding(where, message)
        rules = mapping(derivation).get("rules")
        for number, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
            at = (*where, "rules", number)
            yield from _known_word((*at, "state"), mapping(rule).get("state"), states)
            for name, condition in mapping(mapping(rule).get("when")).items():
                yield from _unfit_condition((*at, "when", name), name, condition, tags)
        yield from _known_word((*where, "otherwise"), mapping(derivation).get("otherwise"), states)


def _known_word(where: tuple[Any, ...], word: Any, states: Mapping[Any, Any]) -> Iterator[Finding]:
    if isinstance(word, str) and word not in states:
        known = [str(state) for state in states]
        hint = nearest(word, known)
        tail = f" — did you mean {hint}?" if hint else f" — add it: {word}: {{item_state: …}}"
        yield Finding(where, f"{quoted(word)} is not explained in states{tail}")


def _unfit_condition(
    where: tuple[Any, ...], name: Any, condition: Any, tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    if name not in tags:
        yield Finding(where, _no_tag(name, tags))
        return
    tag = tags[name]
    kind = tag.get("type")
    words = [str(word) for word in mapping(tag.get("enum")).values()]
    if tag.get("access") == Access.WRITE:
        yield Finding(where, f'tag "{name}" cannot be read')
    if isinstance(condition, Mapping):
        if kind in (DataType.BOOL, DataType.STRING):
            yield Finding(where, f"only a number can be compared, not a {kind}")
    elif isinstance(condition, str) and words:
        if condition not in words:
            yield Finding(where, not_one_of(condition, words))
    elif not could_be(condition, kind):
        yield Finding(where, f"{quoted(condition)} is never a {kind}: it would never be met")


def _unfit_permission(
    where: tuple[Any, ...],
    rule: Mapping[Any, Any],
    whole: Mapping[Any, Any],
    tags: Mapping[str, Mapping[Any, Any]],
) -> Iterator[Finding]:
    """What a write or call depends on and the profile does not have."""
    needed = mapping(rule.get("precondition")).get("tag")
    at = (*where, "precondition", "tag")
    if needed is not None and needed not in tags:
        yield Finding(at, _no_tag(needed, tags))
    elif needed is not None and tags[needed].get("access") == Access.WRITE:
        yield Finding(at, f'tag "{needed}" cannot be read')
    roles = {tag.get("role"): tag for tag in tags.values()}
    effect = rule.get("effect", Effect.PARAMETER)
    if effect != Effect.PARAMETER and effect in set(Effect):
        yield from _unfit_effect((*where, "effect"), effect, roles)
    if rule.get("item_states") and Role.STATE not in roles and "state" not in mapping(whole.get("derive")):
        yield Finding((*where, "item_states"), "no tag has the role state, and derive gives none either")


def _unfit_effect(
    where: tuple[Any, ...], effect: object, roles: Mapping[Any, Mapping[Any, Any]]
) -> Iterator[Finding]:
    shown = roles.get(Role.REMOTE_ENABLED)
    if shown is None:
        message = f"a {effect} needs the machine's leave: give the tag that shows it role: remote_enabled"
        yield Finding(where, message)
    elif shown.get("access") == Access.WRITE:
        yield Finding(where, "the tag with role remote_enabled cannot be read")


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
