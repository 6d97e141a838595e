"""The payload of Sparkplug B: metrics in Google's Protocol Buffers (Sparkplug 3.0, chapter 6.4).

The message types are described here as a table and made by the protobuf library at the first use: there is
no generated code, and the library is loaded by who speaks Sparkplug only. Times are ms UTC on the wire.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

from protocols.packing import UndecodableError
from protocols.values import DataType, Quality, Value

MAX_PAYLOAD = 2 * 1024 * 1024
"""Bytes of the largest payload that is read."""
MAX_METRICS = 20_000
"""Metrics one payload may hold."""


class SparkplugType(IntEnum):
    """Data types of metrics (6.4.16); arrays, data sets, templates, bytes and files are not listed."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15


@dataclass(frozen=True, slots=True)
class _Coding:
    """Which field of a metric holds a type, how wide a whole number is, and which of our types takes it."""

    field: str
    type: DataType
    bits: int = 0
    signed: bool = False


_CODINGS: dict[int, _Coding] = {
    SparkplugType.INT8: _Coding("int_value", DataType.INT16, 8, signed=True),
    SparkplugType.INT16: _Coding("int_value", DataType.INT16, 16, signed=True),
    SparkplugType.INT32: _Coding("int_value", DataType.INT32, 32, signed=True),
    SparkplugType.INT64: _Coding("long_value", DataType.INT64, 64, signed=True),
    SparkplugType.UINT8: _Coding("int_value", DataType.UINT16, 8),
    SparkplugType.UINT16: _Coding("int_value", DataType.UINT16, 16),
    SparkplugType.UINT32: _Coding("int_value", DataType.UINT32, 32),
    SparkplugType.UINT64: _Coding("long_value", DataType.UINT64, 64),
    SparkplugType.FLOAT: _Coding("float_value", DataType.FLOAT32),
    SparkplugType.DOUBLE: _Coding("double_value", DataType.FLOAT64),
    SparkplugType.BOOLEAN: _Coding("boolean_value", DataType.BOOL),
    SparkplugType.STRING: _Coding("string_value", DataType.STRING),
    SparkplugType.DATETIME: _Coding("long_value", DataType.INT64, 64),
    SparkplugType.TEXT: _Coding("string_value", DataType.STRING),
    SparkplugType.UUID: _Coding("string_value", DataType.STRING),
}
_OURS = {
    DataType.BOOL: SparkplugType.BOOLEAN,
    DataType.INT16: SparkplugType.INT16,
    DataType.UINT16: SparkplugType.UINT16,
    DataType.INT32: SparkplugType.INT32,
    DataType.UINT32: SparkplugType.UINT32,
    DataType.INT64: SparkplugType.INT64,
    DataType.UINT64: SparkplugType.UINT64,
    DataType.FLOAT32: SparkplugType.FLOAT,
    DataType.FLOAT64: SparkplugType.DOUBLE,
    DataType.STRING: SparkplugType.STRING,
}

_QUALITIES = {Quality.GOOD: 192, Quality.UNCERTAIN: 500, Quality.BAD: 0}
"""Values of the property ``Quality`` (6.4.12): GOOD, STALE, BAD."""
QUALITY, UNIT = "Quality", "engUnit"
"""Properties of a metric that are written and read."""


def sparkplug_type(kind: DataType) -> SparkplugType:
    """The type that carries values of one of ours."""
    return _OURS[kind]


def value_type(datatype: int) -> DataType | None:
    """Our type for a metric's; None for one that is no scalar."""
    coding = _CODINGS.get(datatype)
    return None if coding is None else coding.type


@dataclass(frozen=True, slots=True)
class Metric:
    """One value. ``name`` may be empty where an ``alias`` stands for it; ``timestamp`` in ms UTC.

    ``value`` is None for a metric that has none, whatever its type, and for types that are no scalars.
    """

    name: str
    value: Value = None
    datatype: int = 0
    alias: int | None = None
    timestamp: int = 0
    historical: bool = False
    quality: Quality = Quality.GOOD
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """A message: when it was made (ms UTC), its metrics, and its seq (0–255; None in a death)."""

    timestamp: int
    metrics: tuple[Metric, ...]
    seq: int | None = None


def encode(payload: Payload) -> bytes:
    """Bytes of a payload; ValueError names a metric whose value does not fit its type."""
    message = _types()["Payload"](timestamp=payload.timestamp)
    if payload.seq is not None:
        message.seq = payload.seq
    for metric in payload.metrics:
        _write(message.metrics.add(), metric)
    encoded: bytes = message.SerializeToString()
    return encoded


def _write(row: Any, metric: Metric) -> None:
    if metric.name:
        row.name = metric.name
    if metric.alias is not None:
        row.alias = metric.alias
    if metric.timestamp:
        row.timestamp = metric.timestamp
    if metric.historical:
        row.is_historical = True
    row.datatype = metric.datatype
    coding = _CODINGS[metric.datatype]
    if metric.value is None:
        row.is_null = True
    else:
        value = metric.value
        if coding.bits:
            value = int(value) & ((1 << coding.bits if coding.bits == 64 else 1 << 32) - 1)
        try:
            setattr(row, coding.field, value)
        except (TypeError, ValueError) as error:
            kind = SparkplugType(metric.datatype).name
            raise ValueError(f'metric "{metric.name}": {metric.value!r} is no {kind}: {error}') from None
    if metric.quality is not Quality.GOOD:
        row.properties.keys.append(QUALITY)
        row.properties.values.add(type=SparkplugType.INT32, int_value=_QUALITIES[metric.quality])
    if metric.unit:
        row.properties.keys.append(UNIT)
        row.properties.values.add(type=SparkplugType.STRING, string_value=metric.unit)


def decode(data: bytes) -> Payload:
    """A payload; raises UndecodableError for bytes that are none, are too long, or hold too many metrics."""
    if len(data) > MAX_PAYLOAD:
        raise UndecodableError(f"payload of {len(data)} bytes, the limit is {MAX_PAYLOAD}")
    from google.protobuf.message import DecodeError

    try:
        message = _types()["Payload"].FromString(data)
    except (DecodeError, RecursionError) as error:
        raise UndecodableError(f"not a Sparkplug payload: {error}") from None
    if len(message.metrics) > MAX_METRICS:
        raise UndecodableError(f"payload of {len(message.metrics)} metrics, the limit is {MAX_METRICS}")
    seq = message.seq if message.HasField("seq") else None
    return Payload(message.timestamp, tuple(_read(row) for row in message.metrics), seq)


def _read(row: Any) -> Metric:
    quality, unit = Quality.GOOD, ""
    for key, found in zip(row.properties.keys, row.properties.values, strict=False):
        if key == QUALITY:
            quality = {192: Quality.GOOD, 0: Quality.BAD}.get(found.int_value, Quality.UNCERTAIN)
        elif key == UNIT:
            unit = found.string_value
    return Metric(
        row.name,
        None if row.is_null else _value(row, row.datatype),
        row.datatype,
        row.alias if row.HasField("alias") else None,
        row.timestamp,
        row.is_historical,
        quality,
        unit,
    )


def typed(metric: Metric, datatype: int) -> Metric:
    """A metric sent without its type (allowed after a birth), read again as the birth said it was."""
    value = metric.value
    coding = _CODINGS.get(datatype)
    if coding is not None and coding.bits and isinstance(value, int):
        value = _whole(value, coding)
    return Metric(
        metric.name,
        value,
        datatype,
        metric.alias,
        metric.timestamp,
        metric.historical,
        metric.quality,
        metric.unit,
    )


_SCALARS = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value")


def _value(row: Any, datatype: int) -> Value:
    """The value of a metric: by its type, or as it lies there when the type was left out."""
    coding = _CODINGS.get(datatype)
    field = row.WhichOneof("value")
    if field not in _SCALARS or (datatype and coding is None):
        return None
    value: Value = getattr(row, field)
    if coding is not None and coding.bits and isinstance(value, int) and not isinstance(value, bool):
        return _whole(value, coding)
    return value


def _whole(raw: int, coding: _Coding) -> int:
    """A whole number out of its unsigned 32 or 64 bits (two's complement, 6.4.17)."""
    wide = "q" if coding.bits == 64 else "i"
    if not coding.signed:
        return raw
    width: int = struct.unpack(f"<{wide}", struct.pack(f"<{wide.upper()}", raw))[0]
    if coding.bits < 32:  # some write an int8 as 255 and some as 4294967295
        half = 1 << (coding.bits - 1)
        return ((raw & (2 * half - 1)) ^ half) - half
    return width


# --- the message types ----------------------------------------------------------------------------------

_FIELDS: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    "PropertyValue": (
        ("type", 1, "UINT32", ""),
        ("is_null", 2, "BOOL", ""),
        ("int_value", 3, "UINT32", "value"),
        ("long_value", 4, "UINT64", "value"),
        ("float_value", 5, "FLOAT", "value"),
        ("double_value", 6, "DOUBLE", "value"),
        ("boolean_value", 7, "BOOL", "value"),
        ("string_value", 8, "STRING", "value"),
    ),
    "PropertySet": (("keys", 1, "STRING", "*"), ("values", 2, "PropertyValue", "*")),
    "Metric": (
        ("name", 1, "STRING", ""),
        ("alias", 2, "UINT64", ""),
        ("timestamp", 3, "UINT64", ""),
        ("datatype", 4, "UINT32", ""),
        ("is_historical", 5, "BOOL", ""),
        ("is_transient", 6, "BOOL", ""),
        ("is_null", 7, "BOOL", ""),
        ("properties", 9, "PropertySet", ""),
        ("int_value", 10, "UINT32", "value"),
        ("long_value", 11, "UINT64", "value"),
        ("float_value", 12, "FLOAT", "value"),
        ("double_value", 13, "DOUBLE", "value"),
        ("boolean_value", 14, "BOOL", "value"),
        ("string_value", 15, "STRING", "value"),
    ),
    "Payload": (
        ("timestamp", 1, "UINT64", ""),
        ("metrics", 2, "Metric", "*"),
        ("seq", 3, "UINT64", ""),
    ),
}
"""Of each message: field, number, type, and ``*`` where it repeats or the name of its choice of one.

Fields that are not listed (metadata, data sets, templates, bytes) are skipped as unknown ones are.
"""


@cache
def _types() -> dict[str, Any]:
    """Classes of the messages by name."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    package = "onelot.sparkplug"
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b", package=package, syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, group in fields:
            added = message.field.add(
                name=field,
                number=number,
                label=kinds.LABEL_REPEATED if group == "*" else kinds.LABEL_OPTIONAL,
            )
            if kind in _FIELDS:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = kinds.Type.Value(f"TYPE_{kind}")
            if group not in ("", "*"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name=group)
                added.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in _FIELDS
    }
