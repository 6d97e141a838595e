"""OPC UA profiles: node ids by namespace URI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from pydantic import Field, field_validator

from drivers.profile.profile import (
    Check,
    Effect,
    Encoding,
    FilesAt,
    Identification,
    MethodRule,
    Part,
    Profile,
    Tag,
    mapping,
)
from protocols.documents import Finding
from protocols.values import DataType

_FORM = re.compile(r"(?:nsu=(?P<uri>.+);|ns=(?P<index>\d{1,5});)?(?P<kind>[isg])=(?P<id>.+)", re.DOTALL)
_FORMS = "write nsu=urn:acme:press;s=State, ns=1;s=State or i=2258"


_EFFECTS = {
    "start": Effect.START,
    "storeandstart": Effect.START,
    "resume": Effect.RESUME,
    "unhold": Effect.RESUME,
    "unsuspend": Effect.RESUME,
    "reset": Effect.RESET,
}
"""Methods that may move a machine at once: job control (OPC 10031-4, 6.2) and PackML (OPC 30050)."""


def effect_of_name(name: str) -> Effect | None:
    """What a method of this browse name does whatever a profile says; None when its name tells nothing."""
    return _EFFECTS.get("".join(c for c in name.casefold() if c.isalnum()))


class NodeAddress(NamedTuple):
    """A node id with its namespace either as a URI or as an index."""

    uri: str | None
    number: int
    identifier: int | str | UUID


def parse_node(text: str) -> NodeAddress:
    """``nsu=urn:acme:press;s=State``, ``ns=1;i=7`` or ``i=2258`` (OPC 10000-6, 5.3.1.10).

    Raises:
        ValueError: not such a form.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"is not an OPC UA node — {_FORMS}")
    kind, word = found["kind"], found["id"]
    identifier: int | str | UUID = word
    try:
        if kind == "i":
            identifier = int(word)
        elif kind == "g":
            identifier = UUID(word)
    except ValueError:
        raise ValueError(f"has no {'number' if kind == 'i' else 'GUID'} after {kind}= — {_FORMS}") from None
    if isinstance(identifier, int) and not 0 <= identifier < 2**32:
        raise ValueError("has a number outside 0 to 4294967295")
    return NodeAddress(found["uri"], int(found["index"] or 0), identifier)


class OpcuaTag(Tag):
    """The value of one node, one element of it, or one field of its structure."""

    index: int | None = Field(
        default=None, ge=0, description="element of a node that holds an array, from 0", examples=[2]
    )
    field: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$",
        description="field of a structured value, with dots into inner structures",
        examples=["Position.X"],
    )

    @field_validator("address")
    @classmethod
    def _is_node(cls, address: str) -> str:
        parse_node(address)
        return address

    @property
    def node(self) -> NodeAddress:
        """Where the value is."""
        return parse_node(self.address)

    @classmethod
    def combinations(cls, data: Mapping[Any, Any]) -> Iterator[Finding]:
        yield from super().combinations(data)
        if data.get("type") == DataType.STRING and data.get("encoding", Encoding.UTF_8) != Encoding.UTF_8:
            yield Finding(("encoding",), "text of OPC UA is UTF-8 always (OPC 10000-6, 5.2.2.4)")

    @classmethod
    def element(cls, data: Mapping[Any, Any], index: int) -> dict[Any, Any]:
        """``{}`` in the address becomes the number; without it the node holds an array."""
        if "{}" in str(data.get("address")):
            return super().element(data, index)
        if data.get("waveform") is not None:
            raise ValueError("several waveforms have {} in their address, where the number of each stands")
        first = data.get("index")
        return {**data, "index": (first if isinstance(first, int) else 0) + index}


class OpcuaCheck(Check, OpcuaTag):
    """A node that shows which machine this is."""


class OpcuaMethod(MethodRule):
    """A method of the server that may be called."""

    object: str = Field(description="node of the object that has the method", examples=["ns=1;i=5001"])
    method: str = Field(description="node of the method", examples=["ns=1;i=7001"])

    @field_validator("object", "method")
    @classmethod
    def _is_node(cls, address: str) -> str:
        parse_node(address)
        return address


class JobCommand(StrEnum):
    """Commands of a job order receiver (OPC 10031-4, 6.2.1)."""

    STORE = "store"
    STORE_AND_START = "store_and_start"
    UPDATE = "update"
    START = "start"
    REVOKE_START = "revoke_start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ABORT = "abort"
    CANCEL = "cancel"
    CLEAR = "clear"

    @property
    def method(self) -> str:
        """The browse name of its method."""
        return "".join(word.title() for word in self.split("_"))


_ORDERS = (JobCommand.STORE, JobCommand.STORE_AND_START, JobCommand.UPDATE)
"""Commands that give a whole job order; the others name one."""


class JobMethod(MethodRule):
    """A command of the job order receiver as a method."""

    command: str = Field(description="browse name of the method", examples=["StoreAndStart"])


class OpcuaJobs(Part):
    """The machine's receiver of job orders, and what it may be told."""

    object: str = Field(
        description="node of an ISA95JobOrderReceiverObjectType object", examples=["ns=1;i=5001"]
    )
    allow: tuple[JobCommand, ...] = Field(
        min_length=1,
        description="commands that may be given, as methods jobs/store, jobs/start, …; "
        "start, store_and_start and resume need a person at the station and remote_enabled",
        examples=[["store", "start", "abort"]],
    )
    two_people: bool = Field(
        default=False, description="a second person must confirm what starts or resumes", examples=[True]
    )

    @field_validator("object")
    @classmethod
    def _is_node(cls, address: str) -> str:
        parse_node(address)
        return address

    def methods(self) -> dict[str, JobMethod]:
        """The allowed commands as methods; what one does is the standard's word."""
        made = {}
        for command in self.allow:
            effect = effect_of_name(command) or Effect.PARAMETER
            order = {"work_master": DataType.STRING} if command in _ORDERS else {}
            made[f"jobs/{command}"] = JobMethod(
                command=command.method,
                effect=effect,
                two_people=self.two_people and effect is not Effect.PARAMETER,
                inputs={"job": DataType.STRING, **order},
                outputs={"state": DataType.STRING},
            )
        return made


class OpcuaFiles(FilesAt):
    """NC programs in a mounted folder, or in a file directory of the server (OPC 10000-20)."""

    node: str | None = Field(
        default=None, description="node of a FileDirectoryType object", examples=["ns=1;s=Programs"]
    )

    @field_validator("node")
    @classmethod
    def _is_node(cls, address: str | None) -> str | None:
        if address is not None:
            parse_node(address)
        return address


class OpcuaDefaults(Part):
    """What holds for the whole server."""

    namespaces: tuple[str, ...] = Field(
        default=(),
        description="namespace URIs; with them ns=1 in an address is the first, as in a NodeSet",
        examples=[["urn:acme:press"]],
    )


class OpcuaProfile(Profile[OpcuaTag]):
    """A machine on OPC UA."""

    protocols: ClassVar[tuple[str, ...]] = ("opcua",)

    identification: Identification[OpcuaCheck] = Field(
        default=Identification[OpcuaCheck](),
        description=Profile.model_fields["identification"].description,
        examples=[{"checks": [{"address": "ns=1;s=Model", "type": "string", "equals": "Press 40"}]}],
    )
    opcua: OpcuaDefaults = Field(
        default=OpcuaDefaults(),
        description="what holds for the whole server",
        examples=[{"namespaces": ["urn:acme:press"]}],
    )
    methods: dict[str, OpcuaMethod] = Field(
        default_factory=dict,
        description="name: a method of the server that may be called",
        examples=[{"abort": {"object": "ns=1;i=5001", "method": "ns=1;i=7001"}}],
    )
    jobs: OpcuaJobs | None = Field(
        default=None,
        description="the machine's receiver of job orders (OPC 10031-4)",
        examples=[{"object": "ns=1;i=5001", "allow": ["store", "start"]}],
    )
    files: OpcuaFiles | None = Field(
        default=None,
        description=Profile.model_fields["files"].description,
        examples=[{"node": "ns=1;s=Programs"}],
    )

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        yield from super().cross_check(data)
        namespaces = mapping(mapping(data).get("opcua")).get("namespaces")
        count = len(namespaces) if isinstance(namespaces, list | tuple) else 0
        both = [(key, mapping(mapping(data).get(key))) for key in ("tags", "waveforms")]
        for key, name, tag in [(key, name, tag) for key, tags in both for name, tag in tags.items()]:
            try:
                node = parse_node(str(mapping(tag).get("address")))
            except ValueError:
                continue  # said where the address stands
            if count and node.uri is None and node.number > count:
                message = f"ns={node.number}, but opcua.namespaces has only {count}"
                yield Finding((key, name, "address"), message)
        yield from cls.check_methods(data)
        allowed = mapping(mapping(data).get("jobs")).get("allow")
        for number, command in enumerate(allowed if isinstance(allowed, list | tuple) else ()):
            effect = effect_of_name(str(command))
            yield from cls.check_effect(("jobs", "allow", number), effect, data)
        for name, rule in mapping(mapping(data).get("methods")).items():
            if str(name).startswith("jobs/"):
                yield Finding(("methods", name), "names with jobs/ are those of the key jobs")
            yield from _understated(str(name), mapping(rule))
        files = mapping(data).get("files")
        if isinstance(files, Mapping) and files.get("path") is not None and files.get("node") is not None:
            yield Finding(("files", "node"), "either path or node, not both")
        elif isinstance(files, Mapping) and files.get("path") is None and files.get("node") is None:
            yield Finding(("files",), "needs a path or a node")

    def place(self, tag: OpcuaTag) -> NodeAddress:
        """A tag's node; ``ns=1`` becomes the first of the profile's namespaces where it lists any."""
        return self.node(tag.address)

    def node(self, address: str) -> NodeAddress:
        """A node of the profile; see :meth:`place`."""
        node = parse_node(address)
        if node.uri is None and node.number and self.opcua.namespaces:
            return node._replace(uri=self.opcua.namespaces[node.number - 1], number=0)
        return node


def _understated(name: str, rule: Mapping[Any, Any]) -> Iterator[Finding]:
    """A method that starts, resets or resumes by its name, where the profile says something else."""
    identifier = str(rule.get("method")).partition("s=")[2]
    names = (str(name), re.split(r"[./|]", identifier)[-1] if identifier else "")
    needed = next((effect for word in names if (effect := effect_of_name(word)) is not None), None)
    if needed is not None and rule.get("effect", Effect.PARAMETER) != needed:
        yield Finding(("methods", name, "effect"), f"it is a {needed} by its name — set effect: {needed}")
