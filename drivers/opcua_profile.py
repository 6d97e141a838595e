"""OPC UA profiles: node ids by namespace URI."""

from __future__ import annotations

import re
from typing import ClassVar, NamedTuple
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from drivers.profile import Part, Profile, Tag
from protocols.documents import Finding, Findings

_FORM = re.compile(r"(?:nsu=(?P<uri>.+);|ns=(?P<index>\d{1,5});)?(?P<kind>[isg])=(?P<id>.+)", re.DOTALL)
_FORMS = "write nsu=urn:acme:press;s=State, ns=1;s=State or i=2258"


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
    """The value of one node."""

    @field_validator("address")
    @classmethod
    def _is_node(cls, address: str) -> str:
        parse_node(address)
        return address

    @property
    def node(self) -> NodeAddress:
        """Where the value is."""
        return parse_node(self.address)


class OpcuaDefaults(Part):
    """What holds for the whole server."""

    namespaces: tuple[str, ...] = Field(
        default=(), description="namespace URIs; with them ns=1 in an address is the first, as in a NodeSet"
    )


class OpcuaProfile(Profile[OpcuaTag]):
    """A machine on OPC UA."""

    protocols: ClassVar[tuple[str, ...]] = ("opcua",)

    opcua: OpcuaDefaults = OpcuaDefaults()

    @model_validator(mode="after")
    def _namespaces_exist(self) -> OpcuaProfile:
        count = len(self.opcua.namespaces)
        findings = [
            Finding(("tags", name, "address"), f"ns={tag.node.number}, but opcua.namespaces has only {count}")
            for name, tag in self.tags.items()
            if count and tag.node.uri is None and tag.node.number > count
        ]
        if findings:
            raise Findings(findings)
        return self

    def place(self, tag: OpcuaTag) -> NodeAddress:
        """A tag's node; ``ns=1`` becomes the first of the profile's namespaces where it lists any."""
        node = tag.node
        if node.uri is None and node.number and self.opcua.namespaces:
            return node._replace(uri=self.opcua.namespaces[node.number - 1], number=0)
        return node
