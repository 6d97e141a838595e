"""The variables of a UANodeSet file (OPC 10000-6, Annex F) as tags. Pure.

Taken are variables that an instance has: those below the server's Objects folder, or below an object
whose parent stands in another NodeSet. The declarations inside types are no values of a machine.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from drivers.imports.taglist import CannotImport, Remark, TagList, tag_name, unnamed
from drivers.imports.xml import children, local, parse
from drivers.opcua.profile import OpcuaTag
from protocols.values import DataType

_BUILT_IN: Mapping[str, DataType] = {
    "i=1": DataType.BOOL,
    "i=2": DataType.INT16,
    "i=3": DataType.UINT16,
    "i=4": DataType.INT16,
    "i=5": DataType.UINT16,
    "i=6": DataType.INT32,
    "i=7": DataType.UINT32,
    "i=8": DataType.INT64,
    "i=9": DataType.UINT64,
    "i=10": DataType.FLOAT32,
    "i=11": DataType.FLOAT64,
    "i=12": DataType.STRING,
    "i=13": DataType.STRING,
    "i=20": DataType.STRING,
    "i=21": DataType.STRING,
    "i=29": DataType.INT32,
    "i=288": DataType.UINT32,
    "i=289": DataType.UINT32,
    "i=290": DataType.FLOAT64,
    "i=294": DataType.STRING,
    "i=295": DataType.STRING,
}
"""Numeric node ids of OPC 10000-6, Annex A: Boolean … String, DateTime, names and texts, Enumeration, and
the Counter, IntegerId, Duration, UtcTime and LocaleId of OPC 10000-3."""

_HIERARCHICAL = {
    "i=33",
    "i=35",
    "i=46",
    "i=47",
    "i=49",
    "HierarchicalReferences",
    "Organizes",
    "HasProperty",
    "HasComponent",
    "HasOrderedComponent",
}
_HAS_SUBTYPE = ("i=45", "HasSubtype")
_TYPES = ("UAObjectType", "UAVariableType", "UADataType", "UAReferenceType")
_KINDS = ("UAVariable", "UAObject", "UAMethod", *_TYPES)
_OBJECTS = "i=85"
_DEPTH = 40


@dataclass(slots=True)
class _Nodes:
    elements: dict[str, Element] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    supertypes: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def import_nodeset(data: bytes) -> TagList:
    """The variables of every instance in a file.

    Raises:
        CannotImport: no UANodeSet, or one that declares types only.
    """
    root = parse(data)
    if local(root) != "UANodeSet":
        raise CannotImport(f"is no UANodeSet: its root is <{local(root)}>")
    uris = [(uri.text or "").strip() for box in children(root, "NamespaceUris") for uri in box]
    nodes = _read(root)
    found = TagList("opcua", f"UANodeSet, {len(nodes.elements)} nodes", counted="node")
    if uris:
        found.defaults["opcua"] = {"namespaces": uris}
    declared: Counter[str] = Counter()
    taken = 0
    for line, (node, element) in enumerate(nodes.elements.items(), 1):
        if local(element) != "UAVariable":
            continue
        path = _path(node, nodes)
        if path is None:
            declared["declared by a type"] += 1
            continue
        taken += 1
        _take(found, line, node, element, path, nodes)
    if not taken:
        raise CannotImport(
            f"declares types, but no machine: its {declared.total()} variables belong to types — give the "
            "NodeSet of the machine itself, or browse its server"
        )
    if declared:
        found.about += f"; {declared.total()} variables declared by types are passed over"
    return found


def _read(root: Element) -> _Nodes:
    nodes = _Nodes()
    for box in children(root, "Aliases"):
        for alias in children(box, "Alias"):
            nodes.aliases[alias.get("Alias", "")] = (alias.text or "").strip()
    for element in root:
        if local(element) in _KINDS:
            nodes.elements[element.get("NodeId", "")] = element
    for node, element in nodes.elements.items():
        if parent := element.get("ParentNodeId"):
            nodes.parents[node] = nodes.aliases.get(parent, parent)
        for box in children(element, "References"):
            for reference in children(box, "Reference"):
                _refer(nodes, node, reference)
    return nodes


def _refer(nodes: _Nodes, node: str, reference: Element) -> None:
    kind = reference.get("ReferenceType", "")
    kind = nodes.aliases.get(kind, kind)
    target = (reference.text or "").strip()
    target = nodes.aliases.get(target, target)
    forward = reference.get("IsForward", "true") != "false"
    source, end = (node, target) if forward else (target, node)
    if kind in _HAS_SUBTYPE:
        nodes.supertypes.setdefault(end, source)
    elif kind in _HIERARCHICAL:
        nodes.parents.setdefault(end, source)


def _path(node: str, nodes: _Nodes) -> list[str] | None:
    """Browse names from the top of an instance down to a node; None when it belongs to a type."""
    names: list[str] = []
    for _ in range(_DEPTH):
        element = nodes.elements.get(node)
        if element is None:
            # Objects, or a node of another NodeSet: an instance either way when it is no type of ours.
            return names[::-1] if node == _OBJECTS or not node.startswith("i=") else None
        if local(element) in (*_TYPES, "UAMethod"):
            return None
        names.append(element.get("BrowseName", "").rpartition(":")[2])
        if node not in nodes.parents:
            return None
        node = nodes.parents[node]
    return None


def _type(text: str, nodes: _Nodes) -> DataType | None:
    node = nodes.aliases.get(text, text)
    for _ in range(_DEPTH):
        if node in _BUILT_IN:
            return _BUILT_IN[node]
        if node not in nodes.supertypes:
            return None
        node = nodes.supertypes[node]
    return None


def _take(found: TagList, line: int, node: str, element: Element, path: list[str], nodes: _Nodes) -> None:
    shown = "/".join(path)
    if int(element.get("ValueRank", "-1")) >= 0:
        found.rejected.append(Remark(line, shown, "is an array — take its elements by hand (count)"))
        return
    declared = element.get("DataType", "i=24")
    kind = _type(declared, nodes)
    if kind is None:
        found.rejected.append(Remark(line, shown, f"has the type {declared}, which is no single value"))
        return
    tag: dict[str, Any] = {"address": node, "type": str(kind)}
    if int(element.get("AccessLevel", "1")) & 2:
        tag["access"] = "read-write"
    text = next((e.text or "" for e in children(element, "Description")), "").strip()
    tag["description"] = re.sub(r"\s+", " ", text)[:300]
    name, renamed = tag_name(shown, unnamed(node))
    if renamed:
        found.notes.append(Remark(line, shown, f"is named {name}: tag names are ASCII"))
    found.add(line, name, tag, OpcuaTag)
