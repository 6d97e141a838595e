"""What a machine says: typed values with a quality and a time.

Time everywhere is UTC microseconds since 1970-01-01 in an ``int`` that fits in an int64.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple

Value = bool | int | float | str | None
"""A scalar as it travels: ``None`` only together with a bad quality."""

MICROSECONDS = 1_000_000
"""Microseconds in a second."""


class DataType(StrEnum):
    """Scalar types of a tag, named as in a profile."""

    BOOL = "bool"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"


class Quality(IntEnum):
    """How far a value can be trusted, after OPC UA Part 8: the two severity bits of a status code."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(IntEnum):
    """Why a value is not good. One byte on the wire; new reasons are appended, never renumbered."""

    NONE = 0
    NOT_CONNECTED = 1
    TIMEOUT = 2
    ILLEGAL_ADDRESS = 3
    DEVICE_FAILURE = 4
    OUT_OF_RANGE = 5
    CLOCK_UNCERTAIN = 6
    SENSOR_FAILURE = 7
    CONFIGURATION = 8
    STALE = 9
    TYPE_MISMATCH = 10
    OTHER = 255

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        """A reason that a newer sender knows is *other* to an older receiver."""
        return cls.OTHER if isinstance(value, int) else None


class Reading(NamedTuple):
    """One value of one tag as a driver delivers it.

    ``source_time`` is the device's own time in µs where it has one, else ``None``.
    """

    path: str
    value: Value
    quality: Quality = Quality.GOOD
    reason: Reason = Reason.NONE
    source_time: int | None = None


class Sample(NamedTuple):
    """One value of one numbered tag as it is stored and sent; ``ts`` in µs UTC.

    Identity is ``(tag, ts)``; the first write of an identity wins.
    """

    tag: int
    ts: int
    value: Value
    quality: Quality = Quality.GOOD
    reason: Reason = Reason.NONE
