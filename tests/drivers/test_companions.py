"""Profiles on companion specifications against the specifications themselves: an asyncua server that has
imported the OPC Foundation's NodeSets and made a machine of the specified type.

Each tag's path must lead to a node there, and the driver must read it in the profile's type.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.instantiate_util import instantiate
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds

from drivers.opcua.profile import OpcuaProfile
from drivers.opcua.values import VARIANTS
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from protocols.values import DataType, Quality, Value
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "firmware_configs" / "profiles" / "opcfoundation"
NODESETS = Path(os.environ.get("ONELOT_SHARED", ROOT.parent / "shared")) / "data" / "ua-nodesets"
MACHINE_TOOL = (
    "Opc.Ua.Di.NodeSet2.xml",
    "opc.ua.isa95-jobcontrol.nodeset2.xml",
    "Opc.Ua.Machinery.NodeSet2.xml",
    "Opc.Ua.Machinery.Jobs.Nodeset2.xml",
    "Opc.Ua.IA.NodeSet2.xml",
    "Opc.Ua.MachineTool-1.02.0.NodeSet2.xml",
)

needs_nodesets = pytest.mark.skipif(
    not (NODESETS / MACHINE_TOOL[0]).exists(),
    reason=f"no companion NodeSets in {NODESETS}: get them from github.com/OPCFoundation/UA-Nodeset, "
    "or say where they are with ONELOT_SHARED",
)

VALUES: dict[DataType, Value] = {
    DataType.BOOL: True,
    DataType.INT32: 2,
    DataType.UINT16: 7,
    DataType.UINT64: 2**40,
    DataType.FLOAT32: 0.5,
    DataType.FLOAT64: 87.25,
    DataType.STRING: "Executing",
}


@asynccontextmanager
async def serving(files: Sequence[str], kind: str) -> AsyncIterator[tuple[Server, Node]]:
    """A server with NodeSets and one machine of the type named ``kind``, every optional part included."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{free_port()}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for file in files:
        await server.import_xml(str(NODESETS / file), auto_load_definitions=False)
    await server.load_data_type_definitions()
    base = server.get_node(ObjectIds.BaseObjectType)
    found = await _subtype(base, kind)
    assert found is not None, f"no type {kind} in {files}"
    space = await server.register_namespace("urn:machine-builder:machine")
    (machine,) = (
        await instantiate(
            server.nodes.objects,
            found,
            bname=ua.QualifiedName("Machine", space),
            idx=space,
            instantiate_optional=True,
        )
    )[:1]
    async with server:
        yield server, machine


async def _subtype(parent: Node, name: str) -> Node | None:
    for child in await parent.get_children(refs=ObjectIds.HasSubtype):
        if (await child.read_browse_name()).Name == name:
            return child
        if (deeper := await _subtype(child, name)) is not None:
            return deeper
    return None


async def _follow(node: Node, path: str, space: int) -> Node:
    """The node at a path of browse names, whatever their namespaces.

    asyncua leaves out what a part's own type declares as optional; a machine that has it is made to.
    """
    above = [node]
    names = path.split("/")
    for depth, name in enumerate(names):
        found = await _child(above[-1], name)
        if found is None:
            ways = [await _declared(up, names[n : depth + 1]) for n, up in enumerate(above)]
            declared = next((way for way in ways if way is not None), None)
            assert declared is not None, f"{path}: {name} is nowhere in the specification"
            found = await _make(above[-1], declared, space)
        above.append(found)
    return above[-1]


async def _child(node: Node, name: str) -> Node | None:
    for child in await node.get_children():
        if (await child.read_browse_name()).Name == name:
            return child
    return None


async def _declared(node: Node, names: Sequence[str]) -> Node | None:
    """What the type of a node, or a type that it is derived from, declares under a path."""
    kind: Node | None = await _type_of(node)
    while kind is not None:
        found: Node | None = kind
        for name in names:
            found = None if found is None else await _child(found, name)
        if found is not None:
            return found
        above = await kind.get_references(ObjectIds.HasSubtype, ua.BrowseDirection.Inverse)
        kind = Node(node.session, above[0].NodeId) if above else None
    return None


async def _make(node: Node, declared: Node, space: int) -> Node:
    name = await declared.read_browse_name()
    if await declared.read_node_class() is ua.NodeClass.Variable:
        kind = await declared.read_data_type()
        return await node.add_variable(space, name.Name, None, datatype=kind)
    made: list[Node] = await instantiate(node, await _type_of(declared), bname=name, idx=space)
    return made[0]


async def _type_of(node: Node) -> Node:
    definition = await node.read_type_definition()
    assert definition is not None
    return Node(node.session, definition)


@needs_nodesets
@pytest.mark.parametrize(
    ("name", "files", "kind"),
    [
        ("machine-tool", MACHINE_TOOL, "MachineToolType"),
        ("packml", ("Opc.Ua.PackML.NodeSet2.xml",), "PackMLBaseObjectType"),
    ],
)
async def test_every_tag_is_where_and_what_the_specification_says(
    name: str, files: Sequence[str], kind: str
) -> None:
    profile = load_profile(PROFILES / f"{name}.yaml")
    assert isinstance(profile, OpcuaProfile)
    async with serving(files, kind) as (server, machine):
        tags = {}
        for path, tag in profile.tags.items():
            node = await _follow(machine, tag.address.removeprefix("ns=1;s="), machine.nodeid.NamespaceIndex)
            await _fill(node, VALUES[tag.type], VARIANTS[tag.type])
            uri = (await server.get_namespace_array())[node.nodeid.NamespaceIndex]
            plain = node.nodeid.to_string().partition(";")[2] or node.nodeid.to_string()
            tags[path] = tag.model_copy(update={"address": f"nsu={uri};{plain}"})
        theirs = profile.model_copy(update={"tags": tags})
        url = server.endpoint.geturl()
        async with driver_type("opcua").create(url, theirs, {"security": "none"}) as driver:
            readings = await driver.read(list(tags))
            assert {r.path: driver.problems.get(r.path) for r in readings if r.quality is Quality.BAD} == {}
            assert {r.path: r.value for r in readings} == {n: VALUES[t.type] for n, t in tags.items()}


async def _fill(node: Node, value: Value, variant: ua.VariantType) -> None:
    """Give a node a value of its own declared type, as a machine would."""
    declared = await node.read_data_type_as_variant_type()
    if declared is ua.VariantType.LocalizedText:
        await node.write_value(ua.Variant(ua.LocalizedText(str(value)), declared))
    else:
        assert declared in (variant, ua.VariantType.Variant), (
            f"{node}: the profile reads {variant}, it is {declared}"
        )
        await node.write_value(ua.Variant(value, variant))
