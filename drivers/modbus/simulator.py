"""A Modbus profile served over any Modbus transport, on pymodbus's servers with a store of our own."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusUdpServer
from pymodbus.simulator import DataType as SimType
from pymodbus.simulator import SimData, SimDevice

from drivers.modbus.address import STANDARD, Line, Transport
from drivers.modbus.codec import BlockDecoder, Coding, encode, not_a_number
from drivers.modbus.driver import coding_of
from drivers.modbus.meaning import power_of_ten
from drivers.modbus.profile import ModbusProfile, ModbusTag, Table
from drivers.profile.profile import AnyProfile
from drivers.scaling import FLOATS
from drivers.simulator import SLOW_S, Fault, ProfileServer, recognised, zero
from protocols.values import DataType, Reason, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

# pymodbus logs a port that is taken; whoever starts the server says so.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

_SIZE = 0x10000
_UNREAD = 65_536
"""Bytes of answers that a client may leave lying before it is disconnected."""
_TABLES = {1: Table.COIL, 5: Table.COIL, 15: Table.COIL, 2: Table.DISCRETE, 4: Table.INPUT}
_FAILURES = {
    Reason.ILLEGAL_ADDRESS: ExcCodes.ILLEGAL_ADDRESS,
    Reason.TIMEOUT: ExcCodes.DEVICE_BUSY,
    Reason.NOT_CONNECTED: ExcCodes.GATEWAY_NO_RESPONSE,
}


class _Store:
    """One table: its contents, which addresses exist, and which of them refuse to be read."""

    def __init__(self, table: Table) -> None:
        self.bytes_each = 1 if table.bits else 2
        self.data = bytearray(_SIZE * self.bytes_each)
        self.exists = bytearray(_SIZE)
        self.writable = bytearray(_SIZE)
        self.failing: dict[int, ExcCodes] = {}

    def get(self, start: int, size: int) -> bytes:
        return bytes(self.data[start * self.bytes_each : (start + size) * self.bytes_each])

    def put(self, start: int, data: bytes) -> None:
        self.data[start * self.bytes_each : start * self.bytes_each + len(data)] = data


class ModbusServer(ProfileServer):
    """One unit on one port. Addresses between tags exist and read as 0, unless ``gaps`` is False.

    ``illegal`` holds more places to refuse; requests to another unit are not answered, unless it has been
    taken in with :meth:`adopt`, as behind a gateway. A serial line is ``Transport.RTU`` with its ``path``.
    """

    tells_reads = True

    def __init__(
        self,
        profile: AnyProfile,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        gaps: bool = True,
        transport: Transport = Transport.TCP,
        path: str = "",
        line: Line = STANDARD,
    ) -> None:
        super().__init__(profile, host, port)
        if not isinstance(profile, ModbusProfile):
            raise TypeError(f"a Modbus server needs a ModbusProfile, not a {type(profile).__name__}")
        self.transport, self.path, self.line = transport, path, line
        self.unit = profile.modbus.unit
        self.units = {self.unit: self}
        """Who answers on this port, by unit."""
        self.illegal: set[tuple[Table, int]] = set()
        self.requests = 0
        """How many reads and writes have been asked of it."""
        self._tags: dict[str, ModbusTag] = dict(profile.all_tags)
        self._places = {name: tag.place for name, tag in self._tags.items()}
        self._codings = {name: coding_of(profile, tag) for name, tag in self._tags.items()}
        self._decoders = {
            name: BlockDecoder([(0, coding)])
            for name, coding in self._codings.items()
            if not self._places[name].table.bits
        }
        self._stores = {table: _Store(table) for table in Table}
        self._unread: set[str] = set()
        self._server: Any = None
        self._stopping = asyncio.Event()
        for name, tag in self._tags.items():
            place, size = self._places[name], tag.registers
            store = self._stores[place.table]
            store.exists[place.offset : place.offset + size] = b"\1" * size
            if tag.writable:
                store.writable[place.offset : place.offset + size] = b"\1" * size
            if tag.type is not DataType.BOOL:
                store.put(place.offset, encode(self._codings[name], zero(tag)))
        self._waveforms = dict(profile.waveforms)
        for tag in self._waveforms.values():
            place, size = tag.place, tag.registers * (tag.waveform.length if tag.waveform else 0)
            self._stores[place.table].exists[place.offset : place.offset + size] = b"\1" * size
        self.update(profile.constants())
        self.update({name: check.equals for name, check in recognised(profile).items()})
        if gaps:
            for store in self._stores.values():
                first, last = store.exists.find(1), store.exists.rfind(1)
                if first >= 0:
                    store.exists[first : last + 1] = b"\1" * (last + 1 - first)

    @property
    def url(self) -> str:
        if self.transport is not Transport.RTU:
            return f"{self.transport}://{self.host}:{self.port}?unit={self.unit}"
        line = self.line
        settings = f"baud={line.baud}&parity={line.parity}&stop={line.stop}&bits={line.bits}"
        return f"{self.transport}://{self.path}?unit={self.unit}&{settings}"

    async def start(self) -> None:
        # pymodbus wants a device of its own model; everything is answered from our store instead.
        server = self._made(SimDevice(self.unit, [SimData(0, values=0, datatype=SimType.REGISTERS)]))
        server.context = cast("Any", _Context(self))
        try:
            await server.serve_forever(background=True)
        except RuntimeError:
            raise OSError("the port is taken, or the address is not one of this machine") from None
        self._server = server
        self._stopping.clear()
        if self.transport is Transport.UDP:
            self.port = server.transport.get_extra_info("sockname")[1]
        elif self.transport is not Transport.RTU:
            self.port = server.transport.sockets[0].getsockname()[1]

    def _made(self, device: SimDevice) -> Any:
        """pymodbus's server for the transport."""
        address = (self.host, self.port)
        match self.transport:
            case Transport.TCP:
                return ModbusTcpServer(device, address=address, ignore_missing_devices=True)
            case Transport.RTU_OVER_TCP:
                framer = FramerType.RTU
                return ModbusTcpServer(device, framer=framer, address=address, ignore_missing_devices=True)
            case Transport.UDP:
                return ModbusUdpServer(device, address=address, ignore_missing_devices=True)
            case Transport.RTU:
                return ModbusSerialServer(
                    device,
                    port=self.path,
                    baudrate=self.line.baud,
                    parity=self.line.parity,
                    stopbits=self.line.stop,
                    bytesize=self.line.bits,
                    ignore_missing_devices=True,
                )

    async def stop(self) -> None:
        server, self._server = self._server, None
        self._stopping.set()
        if server is not None:
            await cast("Any", server).shutdown()

    def adopt(self, server: ProfileServer, unit: int) -> None:
        """Answer on this port for another server that is not started itself, under its own unit."""
        if not isinstance(server, ModbusServer) or not 0 <= unit <= 255 or unit in self.units:
            raise ValueError(f"{type(server).__name__} cannot be unit {unit} here")
        server.unit = unit
        self.units[unit] = server

    def fault_changed(self, was: Fault | None) -> None:
        if self.fault is Fault.DISCONNECT:
            self.hang_up()

    async def stopped_within(self, seconds: float) -> bool:
        """Wait, but no longer than until it is stopped."""
        waiting = asyncio.ensure_future(self._stopping.wait())
        _, left = await asyncio.wait([waiting], timeout=seconds)
        for task in left:
            task.cancel()
        return not left

    def hang_up(self) -> None:
        """Close every connection."""
        if self._server is not None:
            for connection in list(cast("Any", self._server).active_connections.values()):
                connection.close()

    def drop_idlers(self) -> None:
        """Close connections whose clients ask and take no answers: what waits for them would only grow."""
        if self._server is None or self.transport not in (Transport.TCP, Transport.RTU_OVER_TCP):
            return
        for connection in list(cast("Any", self._server).active_connections.values()):
            transport = connection.transport
            if transport is not None and transport.get_write_buffer_size() > _UNREAD:
                transport.abort()

    def set(self, name: str, value: Value) -> None:
        tag, place = self._tags[name], self._places[name]
        if tag.readable:
            self._unread.add(name)
        store = self._stores[place.table]
        for address in range(place.offset, place.offset + tag.registers):
            store.failing.pop(address, None)
        if place.table.bits:
            store.put(place.offset, bytes([bool(value)]))
        elif tag.bit is not None:
            (raw,) = struct.unpack(">H", store.get(place.offset, 1))
            bit = self._codings[name].wire_bit
            raw = raw | 1 << bit if value else raw & ~(1 << bit)
            store.put(place.offset, struct.pack(">H", raw))
        else:
            store.put(place.offset, encode(self._coding(name), value))

    def set_block(self, name: str, values: NDArray[Any]) -> None:
        from drivers.modbus.blocks import encoded

        tag, profile = self._waveforms[name], cast("ModbusProfile", self.profile)
        self._stores[tag.place.table].put(tag.place.offset, encoded(values, coding_of(profile, tag)))

    def _coding(self, name: str) -> Coding:
        """A tag's coding, with the scale that stands in another tag at the moment."""
        exponent = self._tags[name].scale_exponent
        coding = self._codings[name]
        return coding if exponent is None else coding._replace(scale=power_of_ten(self.get(exponent)))

    def get(self, name: str) -> Value:
        tag, place = self._tags[name], self._places[name]
        data = self._stores[place.table].get(place.offset, tag.registers)
        if place.table.bits:
            return data[0] == 1
        if self._tags[name].scale_exponent is not None:
            return BlockDecoder([(0, self._coding(name))]).decode(data)[0][0]
        values, _ = self._decoders[name].decode(data)
        return values[0]

    def blank(self, name: str) -> None:
        if self._tags[name].type not in FLOATS:
            self.fail(name)
            return
        self.set(name, 0.0)
        place, coding = self._places[name], self._codings[name]
        self._stores[place.table].put(place.offset, not_a_number(coding))

    def unread(self, names: Collection[str]) -> bool:
        return not self._unread.isdisjoint(names)

    def fail(self, name: str, reason: Reason = Reason.SENSOR_FAILURE) -> None:
        tag, place = self._tags[name], self._places[name]
        code = _FAILURES.get(reason, ExcCodes.DEVICE_FAILURE)
        addresses = range(place.offset, place.offset + tag.registers)
        self._stores[place.table].failing.update(dict.fromkeys(addresses, code))

    def answer_read(self, unit: int, function: int, start: int, size: int) -> list[Any] | ExcCodes:
        """What a read is answered: registers, bits or an exception code."""
        table, refusal = self._admit(unit, function, start, size)
        store = self._stores[table]
        if refusal is None:
            refusal = next(
                (code for place, code in store.failing.items() if start <= place < start + size), None
            )
        if refusal is not None:
            return refusal
        if self._unread:
            self._unread -= {name for name in self._unread if self._lies_within(name, table, start, size)}
        data = store.get(start, size)
        return [bit == 1 for bit in data] if table.bits else list(struct.unpack(f">{size}H", data))

    def _lies_within(self, name: str, table: Table, start: int, size: int) -> bool:
        place = self._places[name]
        first = start <= place.offset
        return place.table is table and first and place.offset + self._tags[name].registers <= start + size

    def answer_write(self, unit: int, function: int, start: int, values: list[Any]) -> ExcCodes | None:
        """Take a write, or say with which exception code it is refused."""
        size = len(values)
        table, refusal = self._admit(unit, function, start, size)
        store = self._stores[table]
        if refusal is not None or store.writable.find(0, start, start + size) >= 0:
            return refusal or ExcCodes.ILLEGAL_ADDRESS
        store.put(start, bytes(map(bool, values)) if table.bits else struct.pack(f">{size}H", *values))
        for name, place in self._places.items():
            touched = place.offset < start + size and start < place.offset + self._tags[name].registers
            if self.on_write is not None and place.table is table and touched:
                self.on_write(name, self.get(name))
        return None

    def _admit(self, unit: int, function: int, start: int, size: int) -> tuple[Table, ExcCodes | None]:
        self.requests += 1
        if self.silent or unit != self.unit:
            # pymodbus sends nothing for a unit it is told does not exist.
            raise NoSuchIdException("no answer")
        if self.fault is Fault.ILLEGAL:
            return _TABLES.get(function, Table.HOLDING), ExcCodes.ILLEGAL_ADDRESS
        table = _TABLES.get(function, Table.HOLDING)
        missing = self._stores[table].exists.find(0, start, start + size) >= 0 or start + size > _SIZE
        forbidden = any(t is table and start <= place < start + size for t, place in self.illegal)
        return table, ExcCodes.ILLEGAL_ADDRESS if missing or forbidden else None


class _Context:
    """The store as pymodbus's server asks for it."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server

    async def async_getValues(self, unit: int, function: int, start: int, size: int = 1) -> Any:
        return (await self._unit(unit)).answer_read(unit, function, start, size)

    async def async_setValues(self, unit: int, function: int, start: int, values: Any) -> Any:
        return (await self._unit(unit)).answer_write(unit, function, start, list(values))

    async def _unit(self, unit: int) -> ModbusServer:
        """The server that answers for a unit, when it would."""
        self._server.drop_idlers()
        server = self._server.units.get(unit)
        if server is None:
            raise NoSuchIdException("no answer")
        if server.fault is Fault.SLOW and await self._server.stopped_within(SLOW_S):
            raise NoSuchIdException("stopped")
        if server.fault is Fault.DISCONNECT:
            self._server.hang_up()
            raise NoSuchIdException("hung up")
        return server

    def device_ids(self) -> list[int]:
        return list(self._server.units)
