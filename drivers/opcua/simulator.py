"""An OPC UA profile served by asyncua, light enough for a dozen servers in one process."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import NodeData, NodeManagementService
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from drivers.opcua.profile import OpcuaProfile, OpcuaTag
from drivers.opcua.values import VARIANTS, raw_value
from drivers.profile.profile import AnyProfile
from drivers.scaling import scaler
from drivers.simulator import SLOW_S, Fault, ProfileServer, recognised, zero
from protocols.values import Reason, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A simulator without security warns about that at every start.
logging.getLogger("asyncua.server").setLevel(logging.ERROR)

_FAILURES = {
    Reason.ILLEGAL_ADDRESS: StatusCodes.BadNodeIdUnknown,
    Reason.TIMEOUT: StatusCodes.BadTimeout,
    Reason.NOT_CONNECTED: StatusCodes.BadNoCommunication,
    Reason.DEVICE_FAILURE: StatusCodes.BadDeviceFailure,
    Reason.OUT_OF_RANGE: StatusCodes.BadOutOfRange,
}

_HAS_PROPERTY = ua.NodeId(ua.Int32(ObjectIds.HasProperty))

_standard: dict[ua.NodeId, NodeData] = {}
"""The standard address space, built once in a process: 6,000 nodes take asyncua a second."""


class _Overlay(dict[ua.NodeId, NodeData]):
    """Nodes of one server; a standard node is copied here when it is first asked for."""

    def __missing__(self, node: ua.NodeId) -> NodeData:
        made = self[node] = copy.deepcopy(_standard[node])
        return made

    def get(self, node: ua.NodeId, default: Any = None) -> Any:
        try:
            return self[node]
        except KeyError:
            return default

    def __contains__(self, node: object) -> bool:
        return dict.__contains__(self, node) or node in _standard

    def keys(self) -> Any:
        return dict.keys(self) | _standard.keys()


def _now(_node: ua.NodeId, _attribute: AttributeIds) -> ua.DataValue:
    return ua.DataValue(ua.Variant(datetime.now(UTC), ua.VariantType.DateTime))


class _QuickNodes(NodeManagementService):
    """Adds a node in the same time whatever its folder holds.

    asyncua compares each new node with all that its parent has already, twice: 100,000 in one folder would
    take it hours. A node whose number is new cannot be among its parent's.
    """

    def _add_node(self, item: ua.AddNodesItem, user: User, check: bool = True) -> ua.AddNodesResult:
        parent = self._aspace.get(item.ParentNodeId)
        known = item.RequestedNewNodeId.has_null_identifier() or item.RequestedNewNodeId in self._aspace
        typed = item.TypeDefinition.is_null() or item.TypeDefinition in self._aspace
        is_property = item.ReferenceTypeId == _HAS_PROPERTY
        if parent is None or known or not typed or is_property or user.role != UserRole.Admin:
            return super()._add_node(item, user, check)
        node = NodeData(item.RequestedNewNodeId)
        self._add_node_attributes(node, item, add_timestamps=check)
        self._aspace[node.nodeid] = node
        stand_in = NodeData(parent.nodeid)
        self._add_ref_from_parent(node, item, stand_in)
        parent.references += stand_in.references
        self._add_ref_to_parent(node, item, parent)
        if not item.TypeDefinition.is_null():
            self._add_type_definition(node, item)
        return ua.AddNodesResult(AddedNodeId=node.nodeid)


class LightServer(InternalServer):
    """asyncua's internal server on the shared standard address space."""

    def __init__(self, user_manager: Any = None) -> None:
        super().__init__(user_manager)
        self.node_mgt_service = _QuickNodes(self.aspace)

    async def load_standard_address_space(self, shelf_file: Any = None) -> None:
        if not _standard:
            await super().load_standard_address_space(shelf_file)
            _standard.update(self.aspace._nodes)
        self.aspace._nodes = _Overlay()


class _Valve:
    """A transport that swallows, delays or cuts off what its server sends, as its fault says."""

    def __init__(self, transport: asyncio.Transport, owner: ProfileServer) -> None:
        self._transport = transport
        self._owner = owner
        self._free_at = 0.0

    def write(self, data: bytes) -> None:
        loop, fault = asyncio.get_running_loop(), self._owner.fault
        if fault is Fault.SILENT:
            return
        if fault is Fault.DISCONNECT:
            self._transport.abort()
            return
        due = loop.time() + (SLOW_S if fault is Fault.SLOW else 0.0)
        if due <= loop.time() > self._free_at:
            self._transport.write(data)
            return
        # Never before what was delayed already; equal times would not keep their order.
        self._free_at = max(due, self._free_at + 1e-4)
        loop.call_at(self._free_at, self._transport.write, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Listener(BinaryServer):
    """asyncua's listener, with a valve on every connection."""

    owner: ProfileServer

    def _make_protocol(self) -> OPCUAProtocol:
        protocol = super()._make_protocol()
        made = protocol.connection_made

        def connection_made(transport: asyncio.BaseTransport) -> None:
            made(cast("asyncio.BaseTransport", _Valve(cast("asyncio.Transport", transport), self.owner)))

        protocol.connection_made = connection_made  # type: ignore[method-assign]
        return protocol


class _LightFront(Server):
    """asyncua's server in front of the internal one, on our listener."""

    owner: ProfileServer

    async def start(self) -> None:
        await self._setup_server_nodes()
        await self.iserver.start()
        host, port = self._get_bind_socket_info()
        self.bserver = _Listener(self.iserver, cast("str", host), cast("int", port), self.limits)
        self.bserver.owner = self.owner
        self.bserver.set_policies(self._policies)
        try:
            await self.bserver.start()
        except BaseException:
            self.bserver = None
            await self.iserver.stop()
            raise


class OpcuaServer(ProfileServer):
    """One OPC UA server without security, with the profile's tags below Objects.

    A tag on a node of the standard namespace (``i=2258``, the server's clock) shows what asyncua's server
    says there; setting it does nothing.
    """

    def __init__(self, profile: AnyProfile, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(profile, host, port)
        if not isinstance(profile, OpcuaProfile):
            raise TypeError(f"an OPC UA server needs an OpcuaProfile, not a {type(profile).__name__}")
        checks = recognised(profile)
        self._tags: dict[str, OpcuaTag] = {**profile.tags, **cast("dict[str, OpcuaTag]", checks)}
        self._waveforms = dict(profile.waveforms)
        self._places = {name: profile.place(t) for name, t in {**self._tags, **self._waveforms}.items()}
        self._blocks: dict[str, list[Any]] = {
            name: [0] * tag.waveform.length for name, tag in self._waveforms.items() if tag.waveform
        }
        """Blocks of waveforms as they are shown."""
        self._values: dict[str, Value] = {name: zero(tag) for name, tag in self._tags.items()}
        self._values |= {name: check.equals for name, check in checks.items()}
        self._nodes: dict[str, ua.NodeId] = {}
        self._server: Server | None = None
        self._pending: deque[tuple[str, ua.DataValue]] = deque()
        self._work = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._own_write = False

    @property
    def url(self) -> str:
        return f"opc.tcp://{self.host}:{self.port}"

    async def start(self) -> None:
        server = _LightFront(LightServer())
        server.owner = self
        server.name = f"{self.profile.vendor} {self.profile.model}"
        server.manufacturer_name = self.profile.vendor
        server.product_uri = "urn:onelot:simulator"
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        server.disable_clock()
        server.iserver.bind_condition_methods = True  # whoever shows alarms can be asked for them
        await server.init()
        server.set_endpoint(self.url)
        built = dict(self._values)
        await self._build(server)
        # asyncua's clock writes every second in every server; this one is read when somebody asks.
        clock = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_CurrentTime))
        server.iserver.aspace.set_attribute_value_callback(clock, AttributeIds.Value, _now)
        await server.start()
        self._server = server
        self.port = cast("_Listener", server.bserver).port
        for name, value in self._values.items():  # set while it started
            if value != built[name]:
                self.set(name, value)
        self._flusher = asyncio.create_task(self._flush(), name=f"{server.name} values")

    async def _build(self, server: Server) -> None:
        uris = dict.fromkeys(place.uri for place in self._places.values() if place.uri)
        numbers = {uri: await server.register_namespace(uri) for uri in uris}
        self._nodes.clear()
        for name, block in self._blocks.items():
            place = self._places[name]
            number = numbers[place.uri] if place.uri else place.number
            self._nodes[name] = ua.NodeId(place.identifier, number)  # type: ignore[arg-type]
            shown = ua.Variant(block, VARIANTS[self._waveforms[name].type])
            await server.nodes.objects.add_variable(self._nodes[name], ua.QualifiedName(name, number), shown)
        for name, tag in self._tags.items():
            place = self._places[name]
            number = numbers[place.uri] if place.uri else place.number
            node = ua.NodeId(place.identifier, number)  # type: ignore[arg-type]
            self._nodes[name] = node
            if self._is_standard(name):
                continue
            variable = await server.nodes.objects.add_variable(
                node, ua.QualifiedName(name, number), self._variant(tag, self._values[name])
            )
            if tag.writable:
                await variable.set_writable()
            server.iserver.aspace.set_attribute_value_setter(
                node,
                AttributeIds.Value,
                cast("Any", lambda data, attr, value, name=name: self._stored(name, data, attr, value)),
            )

    def _is_standard(self, name: str) -> bool:
        return self._places[name].uri is None and self._places[name].number == 0

    def _variant(self, tag: OpcuaTag, value: Value) -> ua.Variant:
        return ua.Variant(raw_value(tag, value), VARIANTS[tag.type])

    async def stop(self) -> None:
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            flusher.cancel()
            await asyncio.wait([flusher])
        server, self._server = self._server, None
        self._pending.clear()  # the next start shows the newest values, not these
        if server is not None:
            # asyncua keeps sessions and their subscriptions running when the server stops.
            for session in list(server.iserver._external_sessions.values()):
                await session.close_session(True)
            await server.stop()

    def set(self, name: str, value: Value) -> None:
        variant = self._variant(self._tags[name], value)
        if self._is_standard(name):
            return
        self._values[name] = value
        if self.fault is not Fault.ILLEGAL:
            self._queue(name, ua.DataValue(variant, SourceTimestamp=datetime.now(UTC)))  # type: ignore[arg-type]

    def set_block(self, name: str, values: NDArray[Any]) -> None:
        self._blocks[name] = values.tolist()
        if self.fault is not Fault.ILLEGAL:
            variant = ua.Variant(self._blocks[name], VARIANTS[self._waveforms[name].type])
            self._queue(name, ua.DataValue(variant, SourceTimestamp=datetime.now(UTC)))  # type: ignore[arg-type]

    def get(self, name: str) -> Value:
        return self._values[name]

    def fail(self, name: str, reason: Reason = Reason.SENSOR_FAILURE) -> None:
        status = ua.StatusCode(ua.UInt32(_FAILURES.get(reason, StatusCodes.BadSensorFailure)))
        self._queue(name, ua.DataValue(StatusCode=status, SourceTimestamp=datetime.now(UTC)))  # type: ignore[arg-type]

    def fault_changed(self, was: Fault | None) -> None:
        if self.fault is Fault.ILLEGAL:
            for name in self._nodes:
                if not self._is_standard(name):
                    self.fail(name, Reason.ILLEGAL_ADDRESS)
        elif was is Fault.ILLEGAL:
            for name, value in self._values.items():
                self.set(name, value)
            for name, block in self._blocks.items():
                variant = ua.Variant(block, VARIANTS[self._waveforms[name].type])
                self._queue(name, ua.DataValue(variant, SourceTimestamp=datetime.now(UTC)))  # type: ignore[arg-type]

    def nodes_held(self) -> int:
        """Nodes in memory for this server alone, beside the standard ones that all share."""
        return 0 if self._server is None else dict.__len__(self._server.iserver.aspace._nodes)

    def _queue(self, name: str, data: ua.DataValue) -> None:
        if self._server is not None:
            self._pending.append((name, data))
            self._work.set()

    async def _flush(self) -> None:
        """Show what was set, in its order; asyncua can only be written to by a coroutine."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._pending and self._server is not None:
                name, data = self._pending.popleft()
                self._own_write = True
                await self._server.iserver.aspace.write_attribute_value(
                    self._nodes[name], AttributeIds.Value, data
                )
                self._own_write = False

    def _stored(self, name: str, node: NodeData, attribute: AttributeIds, data: ua.DataValue) -> None:
        node.attributes[attribute].value = data
        if self._own_write or data.Value is None or data.Value.Value is None:
            return
        tag = self._tags[name]
        value = data.Value.Value
        self._values[name] = scaler(tag.scale, tag.offset)(value) if tag.scaled else value
        if self.on_write is not None:
            self.on_write(name, self._values[name])
