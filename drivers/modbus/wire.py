"""One connection to one Modbus bus, on pymodbus. Imported only when a connection is made.

pymodbus turns every register of a reply into a Python object; here the replies to reads keep the bytes
they came in, which a compiled decoder reads at once.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusUdpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.driver import ConnectError, DriverError, Identity, unreachable
from drivers.modbus.address import Bus, Transport
from drivers.modbus.profile import Table
from drivers.modbus.trace import EXCEPTIONS, words
from drivers.trace import Tap, Traffic

# pymodbus logs every late or missing reply; the driver says so in readings and errors.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

LATE = 0.5
"""Seconds that a late reply on a serial line is waited for before the next request, at most."""
_BUFFER = {False: 4096, True: 520}
"""Bytes kept while a frame is incomplete, numbered frames and serial ones. pymodbus keeps one frame's worth,
so that a late reply and the right one arriving together would both be thrown away; serial frames have no
length, and each byte that comes has all that are kept searched for one."""
_FLOOD = 65_536
"""Bytes between two requests after which the other side is not talking Modbus: the connection is closed."""


class Silence(DriverError):
    """No reply within the timeout."""


class Garbled(Silence):
    """What came is no answer: no frame, or one to another question."""


class Hangup(DriverError):
    """The connection was closed by the other side."""


class Refused(DriverError):
    """The device answered with an exception code (Modbus Application Protocol V1.1b3, 7)."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}: {EXCEPTIONS.get(code, 'unknown')}")


ILLEGAL_FUNCTION = 1


class _RawReply(ModbusPDU):
    """The reply to a read, as the bytes it carries."""

    rtu_byte_count_pos = 2
    payload = b""

    def decode(self, data: bytes) -> None:
        self.payload = data[1 : 1 + data[0]]
        if len(self.payload) != data[0]:
            raise ValueError(f"{data[0]} bytes announced, {len(self.payload)} sent")

    def __str__(self) -> str:
        return f"{type(self).__name__}({len(self.payload)} bytes)"


class _RawCoils(_RawReply):
    function_code = 1


class _RawDiscretes(_RawReply):
    function_code = 2


class _RawHolding(_RawReply):
    function_code = 3


class _RawInput(_RawReply):
    function_code = 4


_READS: dict[Table, type[ModbusPDU]] = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}


def read_request(table: Table, start: int, size: int, unit: int) -> ModbusPDU:
    """A request that can be sent again and again; the lane numbers it each time."""
    return _READS[table](address=start, count=size, dev_id=unit)


class Asks(ABC):
    """What can be asked over a connection."""

    @abstractmethod
    async def ask(self, request: ModbusPDU, *, urgent: bool = False) -> ModbusPDU:
        """Send a request and wait for its reply; an urgent one goes ahead of those that wait.

        Raises:
            Silence: no reply in time.
            Hangup: the connection is gone.
            Refused: the device answered with an exception.
        """

    async def read(self, request: ModbusPDU) -> bytes:
        """The bytes that answer a read; see :meth:`ask`."""
        reply = await self.ask(request)
        payload: bytes = getattr(reply, "payload", b"")
        return payload

    async def write_registers(self, unit: int, start: int, data: bytes, *, single: int = 6) -> None:
        """Write registers from ``start``; one register by function ``single``, several by function 16."""
        registers = [int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data), 2)]
        await self._write(_write_request(unit, start, registers, single))

    async def mask_register(self, unit: int, start: int, bit: int, value: bool) -> None:
        """Set one bit of a holding register by function 22; the device leaves the others alone."""
        from pymodbus.pdu.register_message import MaskWriteRegisterRequest

        mask = 0xFFFF & ~(1 << bit)
        await self._write(
            MaskWriteRegisterRequest(address=start, and_mask=mask, or_mask=value << bit, dev_id=unit)
        )

    async def write_coil(self, unit: int, start: int, value: bool) -> None:
        """Write one coil by function 5."""
        from pymodbus.pdu.bit_message import WriteSingleCoilRequest

        await self._write(WriteSingleCoilRequest(address=start, bits=[value], dev_id=unit))

    async def _write(self, request: ModbusPDU) -> None:
        check_echo(request, await self.ask(request, urgent=True))

    async def identify(self, unit: int) -> Identity | None:
        """Basic device identification (function 43/14), empty when the device refuses it.

        None when it does not know the function: then :meth:`report` may.
        """
        from pymodbus.pdu.mei_message import ReadDeviceInformationRequest

        try:
            reply: Any = await self.ask(ReadDeviceInformationRequest(read_code=1, object_id=0, dev_id=unit))
        except Refused as refusal:
            return None if refusal.code == ILLEGAL_FUNCTION else Identity()
        texts = {
            number: shown(bytes(text))
            for number, text in reply.information.items()
            if isinstance(text, bytes | bytearray)
        }
        return Identity(vendor=texts.get(0, ""), product=texts.get(1, ""), firmware=texts.get(2, ""))

    async def report(self, unit: int) -> Identity:
        """What an old device says of itself (function 17, report server id): its text as the product.

        The form is the vendor's own (6.13): of the bytes only what is readable text is taken.
        """
        from pymodbus.pdu.other_message import ReportDeviceIdRequest

        try:
            reply: Any = await self.ask(ReportDeviceIdRequest(dev_id=unit))
        except Refused:
            return Identity()
        text = bytes(reply.identifier).decode("ascii", "ignore")
        return Identity(product=shown(text.encode()))


def check_echo(request: ModbusPDU, reply: ModbusPDU) -> None:
    """The answer to a write repeats its address (Modbus Application Protocol V1.1b3, 6.5 to 6.16).

    Raises:
        Garbled: it repeats another one.
    """
    if reply.address != request.address:
        raise Garbled(f"answered for address {reply.address} to a write of {request.address}")


def _client(bus: Bus, timeout: float, connected: Callable[[bool], None]) -> Any:
    """pymodbus's client for a transport."""
    more: dict[str, Any] = {
        "timeout": timeout,
        "retries": 0,
        "reconnect_delay": 0,
        "trace_connect": connected,
    }
    match bus.transport:
        case Transport.TCP:
            return AsyncModbusTcpClient(bus.host, port=bus.port, **more)
        case Transport.UDP:
            return AsyncModbusUdpClient(bus.host, port=bus.port, **more)
        case Transport.RTU_OVER_TCP:
            return AsyncModbusTcpClient(bus.host, port=bus.port, framer=FramerType.RTU, **more)
        case Transport.RTU:
            line = bus.line
            return AsyncModbusSerialClient(
                bus.path,
                baudrate=line.baud,
                bytesize=line.bits,
                parity=line.parity,
                stopbits=line.stop,
                **more,
            )


class Lane(Asks):
    """A connection on which one request is answered before the next is sent; whoever uses it sees to that.

    A reply is matched by its transaction number: what arrives after its timeout is thrown away. Serial frames
    have none: there a late reply is waited out before the next request.

    Args:
        bus: where.
        timeout: seconds to wait for a connection.
    """

    def __init__(self, bus: Bus, timeout: float) -> None:
        self._bus = bus
        self._timeout = timeout
        self._client = _client(bus, timeout, self._connected)
        self._client.ctx.max_buffer_size = _BUFFER[bus.transport.is_rtu]
        self._take = self._client.ctx.callback_data
        self._client.ctx.callback_data = self._received
        self._unasked = 0
        """Bytes that came since the last request."""
        # How often a unit may be silent is the driver's to say: other units may share the connection.
        self._client.ctx.max_until_disconnect = self._client.ctx.count_until_disconnect = 1 << 62
        for reply in (_RawCoils, _RawDiscretes, _RawHolding, _RawInput):
            self._client.register(reply)
        self._gap = bus.line.gap if bus.transport is Transport.RTU else 0.0
        self.tap: Tap | None = None
        """Is told of every frame."""
        self._client.ctx.trace_packet = self._packet
        self._sent = 0.0
        self._waiting = False
        self._up = False
        self._late = False
        """A reply is missing that may still come."""

    @property
    def up(self) -> bool:
        """Whether the connection stands."""
        return self._up

    async def connect(self) -> None:
        """Open the connection.

        Raises:
            ConnectError: refused, unreachable or too slow; no such serial port.
        """
        if not await self._client.connect():
            raise await self._diagnosis()

    async def _diagnosis(self) -> ConnectError:
        """Why no connection came about: pymodbus does not say, so one more attempt is made to find out."""
        where, loop = str(self._bus), asyncio.get_running_loop()
        if self._bus.transport is Transport.RTU:
            return await asyncio.to_thread(_serial_trouble, self._bus)
        try:
            async with asyncio.timeout(self._timeout):
                transport, _ = await loop.create_connection(asyncio.Protocol, self._bus.host, self._bus.port)
        except OSError as error:
            return unreachable(where, error, self._timeout)
        transport.close()
        return ConnectError(where, "connected only at the second attempt", "try again")

    def close(self) -> None:
        """Close it; harmless when it is closed already. What is in flight is not waited for any more."""
        self._client.close()
        self._up = False
        self._hang_up("closed in the middle of a request")

    def _connected(self, up: bool) -> None:
        self._up = up
        if not up:
            self._hang_up("closed by the device")

    def _hang_up(self, cause: str) -> None:
        """End a request in flight, which would wait for its timeout although nobody can answer."""
        reply = self._client.ctx.response_future
        if self._waiting and not reply.done():
            reply.set_exception(ConnectionResetError(cause))

    def _packet(self, sending: bool, data: bytes) -> bytes:
        """pymodbus is about to send a frame, or to look at all that has come and is not taken yet."""
        if sending and self.tap is not None:
            self._sent = asyncio.get_running_loop().time()
            unit, what, _ = words(data, sent=True, serial=self._bus.transport.is_rtu)
            self.tap(Traffic(True, what, data, unit))
        return data

    def _told(self, data: bytes, trouble: str = "") -> None:
        """Tell of what came, be it nothing."""
        if self.tap is None or not (data or trouble):
            return
        unit, what, failed = words(data, sent=False, serial=self._bus.transport.is_rtu)
        took = asyncio.get_running_loop().time() - self._sent
        self.tap(Traffic(False, trouble or what, data, unit, failed or bool(trouble), took))

    def _received(self, data: bytes, addr: Any = None) -> int:
        """All that is not taken yet; returns how many bytes of it are.

        pymodbus raises through asyncio what it cannot decode, which logs a traceback and ends the connection.
        """
        self._unasked += len(data)
        if self._unasked > _FLOOD:
            if self._client.ctx.transport is not None:
                self._client.ctx.transport.abort()
            return len(data)
        try:
            used: int = self._take(data, addr)
        except (ModbusException, ValueError, LookupError, struct.error) as error:
            reply = self._client.ctx.response_future
            if self._waiting and not reply.done():
                reply.set_exception(Garbled(f"the answer is no Modbus reply ({error})"))
            self._told(data, f"no Modbus reply: {error}")
            return len(data)
        self._told(data[:used])
        return used

    async def ask(
        self, request: ModbusPDU, *, urgent: bool = False, timeout: float | None = None
    ) -> ModbusPDU:
        """See :meth:`Asks.ask`. ``timeout`` in seconds, that of the connection unless given."""
        if not self._up:
            raise Hangup("the connection is closed")
        limit = timeout or self._timeout
        self._client.ctx.comm_params.timeout_connect = limit
        if self._bus.transport.is_rtu:
            await asyncio.sleep(min(limit, LATE) if self._late else self._gap)
            self._late = False
        self._waiting, self._unasked = True, 0
        try:
            reply: ModbusPDU = await self._client.execute(False, request)
        except Garbled:
            self._late = True
            raise
        except ModbusException as error:
            self._late = True
            if not self.up:
                self._told(b"", "the device closed the connection")
                raise Hangup("the device closed the connection") from None
            self._told(bytes(self._client.ctx.recv_buffer), f"no reply within {limit:g} s")
            raise Silence(f"no reply within {limit:g} s") from error
        except (OSError, AttributeError) as error:
            # pymodbus drops its transport between the check and the write: an attribute of None.
            raise Hangup(f"the connection was lost ({error})") from None
        finally:
            self._waiting = False
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # pymodbus waits with asyncio.wait_for, which before Python 3.12 swallows a cancellation that
            # comes together with the reply; the stream would then never end.
            raise asyncio.CancelledError
        if reply.function_code & 0x7F != request.function_code:
            self._late = True
            raise Garbled(f"answered function {reply.function_code} to function {request.function_code}")
        if request.transaction_id and not reply.transaction_id and self._late:
            # Some devices number every reply 0. That may only be trusted while none is missing.
            raise Garbled("answered without the number of the request, after a reply was missing")
        if reply.isError():
            raise Refused(reply.exception_code)
        return reply


def shown(text: bytes) -> str:
    """What a device says of itself, without what would disturb a screen: padding and control characters."""
    return "".join(filter(str.isprintable, text.decode("utf-8", "replace"))).strip()


def _serial_trouble(bus: Bus) -> ConnectError:
    """Why a serial port cannot be opened. Blocks for a moment."""
    import serial
    from serial.tools.list_ports import comports

    try:
        serial.Serial(bus.path, bus.line.baud, timeout=0).close()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        ports = ", ".join(sorted(port.device for port in comports())) or "none found"
        return ConnectError(str(bus), cause, f"check the port (there are: {ports}) and who else uses it")
    return ConnectError(str(bus), "opened only at the second attempt", "try again")


def _write_request(unit: int, start: int, registers: list[int], single: int = 6) -> ModbusPDU:
    from pymodbus.pdu.register_message import WriteMultipleRegistersRequest, WriteSingleRegisterRequest

    if len(registers) == 1 and single == 6:
        return WriteSingleRegisterRequest(address=start, registers=registers, dev_id=unit)
    return WriteMultipleRegistersRequest(address=start, registers=registers, dev_id=unit)


def register_write(unit: int, start: int, register: int, single: int) -> ModbusPDU:
    """The request that writes one register by function ``single``."""
    return _write_request(unit, start, [register], single)
