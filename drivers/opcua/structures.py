"""Structured values, read by the definitions that the server gives (OPC 10000-3, 8.48; 10000-6, 5.2.6).

asyncua keeps the types it has loaded in tables of the whole process, by a namespace *index*, which is another
one on every server. Here each connection has its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import Primitives, unpack_uatype
from asyncua.ua.uaerrors._base import UaError

from drivers.opcua.values import Mismatch
from protocols.documents import nearest

MAX_TYPES = 500
"""Types learned of one server."""
MAX_DEPTH = 20
"""Structures in structures, and steps from a type to the built-in one it stands for."""
_BUILT_IN = 25


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structure: its type is a node of the server until it is looked up."""

    name: str
    type: ua.NodeId
    array: bool
    optional: bool
    wrapped: bool
    """It may hold subtypes, so that each value says its own type."""


@dataclass(frozen=True, slots=True)
class Structure:
    """How a structure lies in bytes."""

    kind: ua.StructureType
    fields: tuple[Field, ...]


Type = Structure | ua.VariantType


class Structures:
    """The types of one server's structured values."""

    def __init__(self) -> None:
        self.unknown: set[ua.NodeId] = set()
        """Encodings that have come and are not known: :meth:`learn` asks for them."""
        self._types: dict[ua.NodeId, Type] = {}
        self._encodings: dict[ua.NodeId, ua.NodeId] = {}
        self._last: tuple[Any, Mapping[str, Any]] = (None, {})

    def field(self, value: Any, path: tuple[str, ...]) -> Any:
        """The field at a path of names.

        Raises:
            Mismatch: the value is no structure, has no such field, or is of a type that nobody knows.
        """
        at = value
        for depth, name in enumerate(path):
            known = self._fields(at, ".".join(path[:depth]))
            if name not in known:
                hint = nearest(name, known)
                there = ", ".join(sorted(known)[:12]) or "none"
                tail = f" — did you mean {hint}?" if hint else f"; it has {there}"
                raise Mismatch(f'the structure has no field "{name}"{tail}')
            at = known[name]
        return at

    def _fields(self, value: Any, where: str) -> Mapping[str, Any]:
        if isinstance(value, ua.ExtensionObject):
            if value is not self._last[0]:
                self._last = (value, self._decoded(value))
            return self._last[1]
        if isinstance(value, dict):
            return value
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        if value is None:
            raise Mismatch(f"{where or 'the value'} is empty")
        raise Mismatch(f"{where or 'the value'} is a {type(value).__name__} and no structure")

    def _decoded(self, value: ua.ExtensionObject) -> Mapping[str, Any]:
        found = self._types.get(self._encodings.get(value.TypeId, ua.NodeId()))
        if not isinstance(found, Structure):
            self.unknown.add(value.TypeId)
            shown = value.TypeId.to_string()
            raise Mismatch(f"a structure of a type that the server does not describe ({shown})")
        try:
            return self._read(found, Buffer(bytes(value.Body or b"")), 0)
        except (UaError, KeyError, ValueError, IndexError, TypeError) as error:
            raise Mismatch(f"a structure that is not as the server describes it: {error}") from None

    def _read(self, structure: Structure, data: Buffer, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise ValueError("structures in structures without end")
        if structure.kind in (ua.StructureType.Union, ua.StructureType.UnionWithSubtypedValues):
            number = Primitives.UInt32.unpack(data)
            chosen = structure.fields[number - 1 : number] if number else ()
            return {each.name: self._value(each, data, depth) for each in chosen}
        mask = 0
        if structure.kind == ua.StructureType.StructureWithOptionalFields:
            mask = Primitives.UInt32.unpack(data)
        found: dict[str, Any] = {}
        bit = 0
        for each in structure.fields:
            if each.optional:
                bit += 1
                if not mask >> (bit - 1) & 1:
                    found[each.name] = None
                    continue
            found[each.name] = self._value(each, data, depth)
        return found

    def _value(self, each: Field, data: Buffer, depth: int) -> Any:
        if not each.array:
            return self._one(each, data, depth)
        size = Primitives.Int32.unpack(data)
        if size > len(data):
            raise ValueError(f"{each.name} has {size} elements in {len(data)} bytes")
        return [self._one(each, data, depth) for _ in range(max(size, 0))]

    def _one(self, each: Field, data: Buffer, depth: int) -> Any:
        if each.wrapped:
            return unpack_uatype(ua.VariantType.ExtensionObject, data)
        found = self._types[each.type]
        if isinstance(found, Structure):
            return self._read(found, data, depth + 1)
        return unpack_uatype(found, data)

    async def learn(self, session: UaSession) -> bool:
        """Ask the server for the types that have come and are not known; whether any is known now."""
        learned = False
        for encoding in sorted(self.unknown, key=str)[:MAX_TYPES]:
            try:
                data_type = await _referring(session, encoding, ObjectIds.HasEncoding)
                if data_type is None or not isinstance(await self._look_up(session, data_type, 0), Structure):
                    continue
            except UaError:
                continue  # asked again with the next retry; until then the tag says what it is
            self._encodings[encoding] = data_type
            learned = True
        self.unknown -= self._encodings.keys()
        return learned

    async def _look_up(self, session: UaSession, data_type: ua.NodeId, depth: int) -> Type:
        if data_type in self._types:
            return self._types[data_type]
        if data_type.NamespaceIndex == 0 and isinstance(data_type.Identifier, int):
            if data_type.Identifier <= _BUILT_IN:
                return self._keep(data_type, ua.VariantType(data_type.Identifier))
            if data_type.Identifier == ObjectIds.Enumeration:
                return self._keep(data_type, ua.VariantType.Int32)
        if depth > MAX_DEPTH or len(self._types) >= MAX_TYPES:
            raise UaError("too many types")
        (data,) = await session.read_attributes([data_type], AttributeIds.DataTypeDefinition)
        definition = data.Value.Value if data.Value is not None else None
        if isinstance(definition, ua.EnumDefinition):
            return self._keep(data_type, ua.VariantType.Int32)
        if isinstance(definition, ua.StructureDefinition):
            made = _structure(definition)
            self._types[data_type] = made  # before its fields: one of them may be of this type again
            try:
                for each in made.fields:
                    if not each.wrapped:
                        await self._look_up(session, each.type, depth + 1)
            except UaError:
                del self._types[data_type]
                raise
            return made
        parent = await _referring(session, data_type, ObjectIds.HasSubtype)
        if parent is None:
            raise UaError(f"{data_type.to_string()} is not described")
        return self._keep(data_type, await self._look_up(session, parent, depth + 1))

    def _keep(self, data_type: ua.NodeId, found: Type) -> Type:
        self._types[data_type] = found
        return found


def _structure(definition: ua.StructureDefinition) -> Structure:
    kind = ua.StructureType(definition.StructureType)
    subtyped = kind in (
        ua.StructureType.StructureWithSubtypedValues,
        ua.StructureType.UnionWithSubtypedValues,
    )
    optional = kind == ua.StructureType.StructureWithOptionalFields
    return Structure(
        kind,
        tuple(
            Field(
                each.Name or "",
                each.DataType,
                (each.ValueRank or -1) >= 1,
                optional and bool(each.IsOptional),
                # With subtyped values the flag says that subtypes may come (OPC 10000-3, 8.51).
                subtyped and bool(each.IsOptional),
            )
            for each in definition.Fields or ()
        ),
    )


async def _referring(session: UaSession, node: ua.NodeId, reference: int) -> ua.NodeId | None:
    """The node that refers to this one."""
    wanted = ua.BrowseDescription()
    wanted.NodeId = node
    wanted.BrowseDirection = ua.BrowseDirection.Inverse
    wanted.ReferenceTypeId = ua.NodeId(ua.Int32(reference))
    wanted.IncludeSubtypes = True
    wanted.ResultMask = ua.BrowseResultMask.None_
    parameters = ua.BrowseParameters()
    parameters.RequestedMaxReferencesPerNode = 1
    parameters.NodesToBrowse = [wanted]
    (found,) = await session.browse(parameters)
    return found.References[0].NodeId if found.References else None
