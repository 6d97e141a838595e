"""Job orders of a machine's receiver (ISA95JobOrderReceiverObjectType, OPC 10031-4): given and read back.

A profile names the receiver and which commands may be given; each becomes a method ``jobs/store`` and so on
that goes through the gate like any other. What a command does is the standard's word, not the profile's.
Imported only together with asyncua.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.ua.uaerrors import UaError

from drivers.driver import WriteFailed, WriteRefused
from drivers.opcua.methods import call, node_id
from drivers.opcua.profile import JobMethod, OpcuaProfile
from protocols.values import Value

_STATUS = {
    1: "the job order is unknown",
    2: "the command cannot be executed",
    3: "the job order's state does not allow it",
    4: "the job order cannot be accepted",
    32: "the request is invalid",
}
"""Bits of a return status (OPC 10031-4, annex B.2); bit 0 is success."""

SPACE = "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/"


@dataclass(frozen=True, slots=True)
class Job:
    """A job order at the machine and its state, outermost first: ``AllowedToStart``, ``Running``, …"""

    id: str
    states: tuple[str, ...]

    @property
    def state(self) -> str:
        """The state with its inner ones."""
        return "/".join(self.states)


async def command(
    client: Client, profile: OpcuaProfile, name: str, rule: JobMethod, arguments: Mapping[str, Value]
) -> dict[str, Value]:
    """Give one command; the state of its job order afterwards, empty when it is gone.

    Goes through no gate: only ``Driver.call`` may use it.

    Raises:
        WriteRefused: the machine has no such receiver or command; nothing was sent.
        WriteFailed: the machine did not accept it (its own reasons in words).
        WriteUnknown: no answer.
    """
    what, job = f'"{name}"', str(arguments["job"])
    try:
        receiver = await _receiver(client, profile)
        method = await _method(receiver, rule.command)
        first = _text(job)
        if "work_master" in rule.inputs:
            await client.load_data_type_definitions()
            first = ua.Variant(_order(job, str(arguments["work_master"])))
    except (TimeoutError, OSError, UaError) as error:
        raise WriteRefused(f"{what}: {str(error) or 'no answer'}; nothing was sent") from error
    comment = ua.Variant([], ua.VariantType.LocalizedText, is_array=True)
    results = await call(client, what, receiver.nodeid, method, [first, comment], uncertain=True)
    status = results[0].Value if results else None
    if status != 1:
        raise WriteFailed(f"{what}: {_words(status)}")
    try:
        found = next((each for each in await jobs(client, profile) if each.id == job), None)
    except (TimeoutError, OSError, UaError) as error:
        # It was accepted: that its state cannot be read now does not undo it.
        return {"state": f"accepted; {str(error) or 'its state was not answered'}"}
    return {"state": found.state if found is not None else ""}


async def jobs(client: Client, profile: OpcuaProfile) -> list[Job]:
    """The job orders that the machine has, as its receiver lists them.

    Raises:
        UaError: the receiver has no list, or it cannot be read.
    """
    await client.load_data_type_definitions()
    receiver = await _receiver(client, profile)
    found = await _child(receiver, "JobOrderList", ua.NodeClass.Variable)
    if found is None:
        raise UaError("the receiver has no JobOrderList")
    listed = await client.get_node(found).read_value() or []
    return [_job(entry) for entry in listed]


def _job(entry: Any) -> Job:
    return Job(str(entry.JobOrder.JobOrderID), tuple(str(s.StateText.Text or "") for s in entry.State or ()))


def _order(job: str, work_master: str) -> Any:
    """An ISA95JobOrderDataType; its class comes from the server."""
    order = ua.ISA95JobOrderDataType()  # type: ignore[attr-defined]
    order.JobOrderID = job
    if work_master:
        master = ua.ISA95WorkMasterDataType()  # type: ignore[attr-defined]
        master.ID = work_master
        order.WorkMasterID = [master]
    return order


async def _receiver(client: Client, profile: OpcuaProfile) -> Node:
    assert profile.jobs is not None  # noqa: S101 - without it there are no such methods
    place = profile.node(profile.jobs.object)
    node = node_id(place, await client.get_namespace_array())
    if node is None:
        raise WriteRefused(f'the server has no namespace "{place.uri}", where the job orders should go')
    return client.get_node(node)


async def _method(receiver: Node, name: str) -> ua.NodeId:
    found = await _child(receiver, name, ua.NodeClass.Method)
    if found is None:
        raise WriteRefused(f"the machine's job order receiver has no {name}; nothing was sent")
    return found


async def _child(parent: Node, name: str, kind: ua.NodeClass) -> ua.NodeId | None:
    """The node below of a browse name, whatever its namespace."""
    children = await parent.get_children_descriptions(nodeclassmask=kind)
    return next((child.NodeId for child in children if child.BrowseName.Name == name), None)


def _words(status: object) -> str:
    """What a return status says."""
    if not isinstance(status, int):
        return "the machine answered no return status"
    known = [words for bit, words in _STATUS.items() if status >> bit & 1]
    return f"the machine answers: {', '.join(known) or 'no reason'} (return status {status:#x})"


def _text(value: str) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.String)
