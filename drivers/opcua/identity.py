"""What an OPC UA server says it is: Machinery identification, DI nameplate, and the server's own build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from drivers.driver import Identity
from drivers.opcua.browse import References, children, text_of
from drivers.opcua.session import Session

MACHINERY = "http://opcfoundation.org/UA/Machinery/"
DI = "http://opcfoundation.org/UA/DI/"
_MACHINES = 1001
"""The folder Machines of OPC 40001-1, 8.1, in its namespace."""
_DEVICE_SET = 5001
"""DeviceSet of OPC 10000-100, 5.5.1, in its namespace."""
MAX_LOOKED_AT = 50
"""Machines or devices below such a folder that are looked at: the first that says who it is, is it."""

_BUILD = {
    "Manufacturer": ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    "Model": ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    "SoftwareRevision": ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion,
    "ProductUri": ObjectIds.Server_ServerStatus_BuildInfo_ProductUri,
    "BuildNumber": ObjectIds.Server_ServerStatus_BuildInfo_BuildNumber,
}


async def identify(session: Session) -> Identity:
    """Ask a server what machine it is.

    The first that answers is believed: ``Machines/<machine>/Identification`` (OPC 40001-1, 8), the nameplate
    of a device in ``DeviceSet`` (OPC 10000-100, 4.5), else ``ServerStatus.BuildInfo`` (OPC 10000-5, 12.4).
    What the build says stands in ``more`` where it is not the machine.
    """
    build = await _build(session)
    nameplate = await _nameplate(session)
    more = {f"server {_spaced(name)}": text for name, text in build.items() if text}
    if not nameplate:
        return Identity(
            build["Manufacturer"],
            build["Model"],
            firmware=build["SoftwareRevision"],
            more={name: text for name, text in more.items() if "uri" in name or "number" in name},
        )
    main = ("Manufacturer", "Model", "SerialNumber", "SoftwareRevision", "DeviceRevision")
    more |= {_spaced(name): text for name, text in nameplate.items() if name not in main and text}
    return Identity(
        nameplate.get("Manufacturer") or build["Manufacturer"],
        nameplate.get("Model") or build["Model"],
        nameplate.get("SerialNumber", ""),
        nameplate.get("SoftwareRevision") or nameplate.get("DeviceRevision") or build["SoftwareRevision"],
        more,
    )


async def _build(session: Session) -> dict[str, str]:
    nodes = [ua.NodeId(ua.Int32(number)) for number in _BUILD.values()]
    values = await session.services.read_attributes(nodes, AttributeIds.Value)
    return dict(zip(_BUILD, map(_text, values), strict=True))


async def _nameplate(session: Session) -> Mapping[str, str]:
    """The properties of the first machine or device that has a manufacturer or a model."""
    for uri, folder, inner in _places(session):
        found = await children(session, ua.NodeId(ua.Int32(folder), ua.Int16(uri)), MAX_LOOKED_AT)
        for each in found:
            holder = each.NodeId
            if inner:
                parts = await children(session, holder, MAX_LOOKED_AT)
                holder = next((p.NodeId for p in parts if p.BrowseName.Name == inner), None)
            if holder is None or holder.NamespaceIndex == 0:
                continue  # DeviceSet holds features of the server too
            plate = await _properties(session, await children(session, holder, 200))
            if plate.get("Manufacturer") or plate.get("Model"):
                return plate
    return {}


def _places(session: Session) -> Iterator[tuple[int, int, str]]:
    for uri, folder, inner in ((MACHINERY, _MACHINES, "Identification"), (DI, _DEVICE_SET, "")):
        if uri in session.uris:
            yield session.uris.index(uri), folder, inner


async def _properties(session: Session, references: References) -> dict[str, str]:
    wanted = {
        each.BrowseName.Name: each.NodeId for each in references if each.NodeClass == ua.NodeClass.Variable
    }
    found: dict[str, str] = {}
    names = list(wanted)
    for start in range(0, len(names), session.limits.nodes):
        batch = names[start : start + session.limits.nodes]
        values = await session.services.read_attributes([wanted[n] for n in batch], AttributeIds.Value)
        found |= {name: _text(value) for name, value in zip(batch, values, strict=True) if name}
    return found


def _text(data: ua.DataValue) -> str:
    value: Any = data.Value.Value if data.Value is not None else None
    return "" if value is None else text_of(value)[:200]


def _spaced(name: str) -> str:
    """``ProductInstanceUri`` as ``product instance uri``."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
