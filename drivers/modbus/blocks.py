"""A waveform in registers: more of them than one request reads, and the device may fill them meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.driver import Captured, ReadFailed
from drivers.modbus.codec import Coding, swap_bytes
from drivers.modbus.grid import Piece
from drivers.modbus.planning import Limits
from drivers.modbus.profile import ModbusTag, Table

ATTEMPTS = 3
"""Times that a block is read which the device goes on filling."""

Read = Callable[[Table, Piece], Awaitable[bytes]]
"""Reads some registers; raises ReadFailed, DeviceLost."""


def pieces(start: int, registers: int, limits: Limits, table: Table) -> list[Piece]:
    """The requests that read so many registers, in their order."""
    most = limits.most(table)
    return [Piece(at, min(most, start + registers - at)) for at in range(start, start + registers, most)]


async def captured(name: str, tag: ModbusTag, coding: Coding, limits: Limits, read: Read) -> Captured:
    """All registers of a waveform, of one and the same block.

    What takes several requests may be of two blocks. So the first of them is read again at the end: when it
    has changed, the device has filled its registers meanwhile, and everything is read once more.

    Raises:
        ReadFailed: it cannot be read, or not between two blocks of the device.
        DeviceLost: the connection is gone, or nothing has been answered for long.
    """
    if tag.waveform is None:
        raise ReadFailed(f'"{name}" is no waveform')
    table, start = tag.place
    size = coding.registers * tag.waveform.length
    parts = pieces(start, size, limits, table)
    for _ in range(ATTEMPTS):
        found = [await _whole(name, table, piece, read) for piece in parts]
        if len(parts) == 1 or await _whole(name, table, parts[0], read) == found[0]:
            return Captured(decoded(b"".join(found), coding))
    raise ReadFailed(
        f'"{name}": the device fills it anew while its {len(parts)} requests are read: take it by a trigger'
    )


async def _whole(name: str, table: Table, piece: Piece, read: Read) -> bytes:
    try:
        data = await read(table, piece)
    except ReadFailed as error:
        raise ReadFailed(f'"{name}", {table}:{piece.start}: {error}') from error
    if len(data) != 2 * piece.size:
        raise ReadFailed(f'"{name}": {table}:{piece.start} answered {len(data)} bytes, not {2 * piece.size}')
    return data


def decoded(data: bytes, coding: Coding) -> NDArray[Any]:
    """Samples of one type that lie behind one another in registers, not scaled."""
    swapped, endian = coding.view
    there = np.frombuffer(swap_bytes(data) if swapped else data, dtype=f"{endian}{coding.format}")
    return there.astype(coding.type)


def encoded(values: NDArray[Any], coding: Coding) -> bytes:
    """The registers of some samples, the opposite of :func:`decoded`."""
    swapped, endian = coding.view
    data = values.astype(f"{endian}{coding.format}").tobytes()
    return swap_bytes(data) if swapped else data
