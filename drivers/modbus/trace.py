"""Modbus frames in words. Pure.

Modbus Application Protocol V1.1b3, 6 and 7; the numbered frames of TCP and UDP begin with seven bytes of
which the last is the unit, serial ones with the unit and end with two bytes of checksum.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

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
_FUNCTIONS = {
    1: "read coil",
    2: "read discrete",
    3: "read holding",
    4: "read input",
    5: "write coil",
    6: "write holding",
    15: "write coil",
    16: "write holding",
    17: "report server id",
    22: "mask holding",
    43: "read device identification",
}
_RANGES = (1, 2, 3, 4, 15, 16)
_SINGLE = (5, 6, 22)
_FAILED = 0x80


class Words(NamedTuple):
    """What a frame is; ``unit`` is empty where it is too short to say."""

    unit: str
    what: str
    failed: bool = False


def words(frame: bytes, *, sent: bool, serial: bool) -> Words:
    """A frame in words. ``serial``: as on a serial line, wherever it travels."""
    body = frame[:-2] if serial else frame[6:]
    if len(body) < 2:
        return Words("", f"{len(frame)} bytes that are no frame", failed=True)
    unit, code = body[0], body[1]
    number, pdu = code & ~_FAILED, body[2:]
    name = f"{number:02} {_FUNCTIONS.get(number, 'function')}"
    if code & _FAILED:
        reason = pdu[0] if pdu else 0
        told = f"{name}: exception {reason} {EXCEPTIONS.get(reason, 'of the device')}"
        return Words(str(unit), told.rstrip(), failed=True)
    return Words(str(unit), f"{name}{_detail(number, pdu, sent=sent)}")


def _detail(number: int, pdu: bytes, *, sent: bool) -> str:
    """Addresses of a request, or how much an answer carries."""
    if not sent and number in (1, 2, 3, 4):
        return f", {pdu[0]} bytes" if pdu else ""
    if number in _RANGES and len(pdu) >= 4:
        start, count = struct.unpack(">HH", pdu[:4])
        return f" {start}" + (f"–{start + count - 1}" if count > 1 else "")
    if number in _SINGLE and len(pdu) >= 2:
        return f" {int.from_bytes(pdu[:2], 'big')}"
    return ""
