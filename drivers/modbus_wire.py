"""One ordered lane to one Modbus TCP server, on pymodbus. Imported only when a connection is made.

pymodbus turns every register of a reply into a Python object; here the replies to reads keep the bytes
they came in, which a compiled decoder reads at once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.driver import ConnectError, DriverError, Identity, unreachable
from drivers.modbus_profile import Table

# pymodbus logs every late or missing reply; the driver says so in readings and errors.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

_BUFFER = 4096
"""Bytes kept while a frame is incomplete. pymodbus keeps one frame's worth, so that a late reply and the
right one arriving together would both be thrown away."""


class Silence(DriverError):
    """No reply within the timeout."""


class Hangup(DriverError):
    """The connection was closed by the other side."""


class Refused(DriverError):
    """The device answered with an exception code (Modbus Application Protocol V1.1b3, 7)."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}: {EXCEPTIONS.get(code, 'unknown')}")


EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not respond",
}


class _RawReply(ModbusPDU):
    """The reply to a read, as the bytes it carries."""

    rtu_byte_count_pos = 2
    payload = b""

    def decode(self, data: bytes) -> None:
        self.payload = data[1 : 1 + data[0]]

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


class Lane:
    """A connection on which one request is answered before the next is sent.

    A reply is matched by its transaction number: what arrives after its timeout is thrown away.

    Args:
        host: name or address.
        port: TCP port.
        timeout: seconds to wait for a connection and for each reply.
    """

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._where = f"modbus://{host}:{port}"
        self._host, self._port = host, port
        self._timeout = timeout
        self._client = AsyncModbusTcpClient(
            host, port=port, timeout=timeout, retries=0, reconnect_delay=0, trace_connect=self._connected
        )
        self._client.ctx.max_buffer_size = _BUFFER
        for reply in (_RawCoils, _RawDiscretes, _RawHolding, _RawInput):
            self._client.register(reply)
        self._waiting = False
        self._up = False

    async def connect(self) -> None:
        """Open the TCP connection.

        Raises:
            ConnectError: refused, unreachable or too slow.
        """
        if not await self._client.connect():
            raise await self._diagnosis()

    async def _diagnosis(self) -> ConnectError:
        """Why no connection came about: pymodbus does not say, so one more attempt is made to find out."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                transport, _ = await loop.create_connection(asyncio.Protocol, self._host, self._port)
        except OSError as error:
            return unreachable(self._where, error, self._timeout)
        transport.close()
        return ConnectError(self._where, "connected only at the second attempt", "try again")

    def close(self) -> None:
        """Close it; harmless when it is closed already."""
        self._client.close()

    def _connected(self, up: bool) -> None:
        self._up = up
        reply = self._client.ctx.response_future
        if not up and self._waiting and not reply.done():
            # Without this a request in flight would wait for its timeout although nobody can answer.
            reply.set_exception(ConnectionResetError("closed by the device"))

    async def ask(self, request: ModbusPDU) -> ModbusPDU:
        """Send a request and wait for its reply.

        Raises:
            Silence: no reply in time.
            Hangup: the connection is gone.
            Refused: the device answered with an exception.
        """
        if not self._up:
            raise Hangup("the connection is closed")
        self._waiting = True
        try:
            reply: ModbusPDU = await self._client.execute(False, request)
        except ModbusException as error:
            if not self._up:
                raise Hangup("the device closed the connection") from None
            raise Silence(f"no reply within {self._timeout:g} s") from error
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
        if reply.isError():
            raise Refused(reply.exception_code)
        return reply

    async def read(self, request: ModbusPDU) -> bytes:
        """The bytes that answer a read; see :meth:`ask`."""
        reply = await self.ask(request)
        payload: bytes = getattr(reply, "payload", b"")
        return payload

    async def write_registers(self, unit: int, start: int, data: bytes) -> None:
        """Write registers from ``start``; one register by function 6, several by function 16."""
        registers = [int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data), 2)]
        await self.ask(_write_request(unit, start, registers))

    async def write_coil(self, unit: int, start: int, value: bool) -> None:
        """Write one coil by function 5."""
        from pymodbus.pdu.bit_message import WriteSingleCoilRequest

        await self.ask(WriteSingleCoilRequest(address=start, bits=[value], dev_id=unit))

    async def identify(self, unit: int) -> Identity:
        """Basic device identification (function 43/14); empty when the device does not know it."""
        from pymodbus.pdu.mei_message import ReadDeviceInformationRequest

        try:
            reply: Any = await self.ask(ReadDeviceInformationRequest(read_code=1, object_id=0, dev_id=unit))
        except Refused:
            return Identity()
        texts = {
            number: bytes(text).decode("utf-8", "replace")
            for number, text in reply.information.items()
            if isinstance(text, bytes | bytearray)
        }
        return Identity(vendor=texts.get(0, ""), product=texts.get(1, ""), firmware=texts.get(2, ""))


def _write_request(unit: int, start: int, registers: list[int]) -> ModbusPDU:
    from pymodbus.pdu.register_message import WriteMultipleRegistersRequest, WriteSingleRegisterRequest

    if len(registers) == 1:
        return WriteSingleRegisterRequest(address=start, registers=registers, dev_id=unit)
    return WriteMultipleRegistersRequest(address=start, registers=registers, dev_id=unit)


async def settle(lane: Lane) -> None:
    """Let a closing transport finish, so that nothing of it outlives the loop."""
    lane.close()
    await asyncio.sleep(0)
