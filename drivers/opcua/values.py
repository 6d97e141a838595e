"""OPC UA values, times and status codes as ours. Imported only together with asyncua."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from drivers.opcua.profile import OpcuaTag
from drivers.profile.profile import Tag
from drivers.scaling import FLOATS, raw_number, scaler, whole_range
from protocols.values import DataType, Reason, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARIANTS = {
    DataType.BOOL: ua.VariantType.Boolean,
    DataType.INT16: ua.VariantType.Int16,
    DataType.UINT16: ua.VariantType.UInt16,
    DataType.INT32: ua.VariantType.Int32,
    DataType.UINT32: ua.VariantType.UInt32,
    DataType.INT64: ua.VariantType.Int64,
    DataType.UINT64: ua.VariantType.UInt64,
    DataType.FLOAT32: ua.VariantType.Float,
    DataType.FLOAT64: ua.VariantType.Double,
    DataType.STRING: ua.VariantType.String,
}

_REASONS = {
    StatusCodes.BadNodeIdUnknown: Reason.ILLEGAL_ADDRESS,
    StatusCodes.BadNodeIdInvalid: Reason.ILLEGAL_ADDRESS,
    StatusCodes.BadAttributeIdInvalid: Reason.ILLEGAL_ADDRESS,
    StatusCodes.BadNotConnected: Reason.NOT_CONNECTED,
    StatusCodes.BadNoCommunication: Reason.NOT_CONNECTED,
    StatusCodes.BadCommunicationError: Reason.NOT_CONNECTED,
    StatusCodes.BadTimeout: Reason.TIMEOUT,
    StatusCodes.BadDeviceFailure: Reason.DEVICE_FAILURE,
    StatusCodes.BadSensorFailure: Reason.SENSOR_FAILURE,
    StatusCodes.BadOutOfRange: Reason.OUT_OF_RANGE,
    StatusCodes.BadConfigurationError: Reason.CONFIGURATION,
    StatusCodes.BadTypeMismatch: Reason.TYPE_MISMATCH,
    StatusCodes.BadWaitingForInitialData: Reason.STALE,
    StatusCodes.UncertainLastUsableValue: Reason.STALE,
    StatusCodes.UncertainNoCommunicationLastUsableValue: Reason.STALE,
    StatusCodes.BadDataUnavailable: Reason.STALE,
    StatusCodes.BadNoData: Reason.STALE,
    StatusCodes.BadServerNotConnected: Reason.NOT_CONNECTED,
    StatusCodes.BadOutOfService: Reason.NOT_CONNECTED,
    StatusCodes.BadIndexRangeInvalid: Reason.ILLEGAL_ADDRESS,
    StatusCodes.BadIndexRangeNoData: Reason.ILLEGAL_ADDRESS,
    StatusCodes.BadUserAccessDenied: Reason.CONFIGURATION,
    StatusCodes.BadNotReadable: Reason.CONFIGURATION,
    StatusCodes.UncertainInitialValue: Reason.STALE,
    StatusCodes.UncertainSubstituteValue: Reason.STALE,
    StatusCodes.UncertainDataSubNormal: Reason.STALE,
    StatusCodes.UncertainSubNormal: Reason.SENSOR_FAILURE,
    StatusCodes.UncertainSensorNotAccurate: Reason.SENSOR_FAILURE,
    StatusCodes.UncertainSensorCalibration: Reason.SENSOR_FAILURE,
    StatusCodes.UncertainEngineeringUnitsExceeded: Reason.OUT_OF_RANGE,
    StatusCodes.UncertainConfigurationError: Reason.CONFIGURATION,
}


def reason_of(code: int) -> Reason:
    """What a bad or uncertain status code means. Its low half holds flags (OPC 10000-4, 7.39.1)."""
    return _REASONS.get(code & 0xFFFF0000, Reason.OTHER)


Field = Callable[[Any, tuple[str, ...]], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - asyncua's times without a zone are UTC


class Mismatch(Exception):
    """A value that is not of its tag's type; says more where it is more than that."""


class OutsideRange(Mismatch):
    """A whole number that its tag's type does not hold."""


def _boolean(value: Any) -> Value:
    if isinstance(value, bool):
        return value
    raise Mismatch


def _whole(kind: DataType) -> Callable[[Any], Value]:
    low, high = whole_range(kind)

    def convert(value: Any) -> Value:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Mismatch
        if not low <= value <= high:
            raise OutsideRange(f"the server sends {value}, a {kind} holds {low} to {high}")
        return int(value)

    return convert


def _real(value: Any) -> Value:
    if value.__class__ is float:  # nearly always
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise Mismatch


def _text(value: Any) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, ua.LocalizedText):
        return value.Text or ""
    if isinstance(value, ua.QualifiedName):
        return value.Name or ""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, ua.XmlElement):
        return value.Value or ""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, ua.NodeId):
        return value.to_string()
    if isinstance(value, ua.StatusCode):
        return value.name
    raise Mismatch


def _element(value: Any, index: int) -> Any:
    """One element of an array; of several dimensions, counted row by row."""
    if not isinstance(value, list):
        raise Mismatch("the server sends no array, the profile asks for an element of one")
    flat = value
    while flat and isinstance(flat[0], list):
        flat = [each for row in flat for each in row]
    if index >= len(flat):
        raise Mismatch(f"the array has {len(flat)} elements, there is no element {index}")
    return flat[index]


def converter(tag: OpcuaTag, field: Field) -> Callable[[Any], Value]:
    """Turns what the server sends into the tag's value, scaled; raises :class:`Mismatch`.

    ``field`` takes a field out of a structure, by its path.
    """
    convert = plain_converter(tag)
    index, path = tag.index, tuple(tag.field.split(".")) if tag.field else ()
    if path and index is not None:
        return lambda value: convert(field(_element(value, index), path))
    if path:
        return lambda value: convert(field(value, path))
    if index is not None:
        return lambda value: convert(_element(value, index))
    return convert


def plain_converter(tag: Tag) -> Callable[[Any], Value]:
    """The same of a value that is the whole of its node, or an argument."""
    if tag.type is DataType.STRING:
        return _text
    if tag.type is DataType.BOOL:
        return _boolean
    plain = _real if tag.type in FLOATS else _whole(tag.type)
    if not tag.scaled:
        return plain
    scale = scaler(tag.scale, tag.offset)
    return lambda value: scale(plain(value))  # type: ignore[arg-type]


def microseconds(time: datetime | None) -> int | None:
    """A time as µs since 1970, exactly."""
    if time is None:
        return None
    since = time - (_NAIVE_EPOCH if time.tzinfo is None else _EPOCH)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def raw_value(tag: Tag, value: Value) -> Value:
    """A tag's value as the server holds it.

    Raises:
        ValueError: it does not fit the tag's type.
    """
    if tag.type is DataType.STRING:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not text")
        return value
    if tag.type is DataType.BOOL:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not true or false")
        return value
    return raw_number(tag.type, value, tag.scale, tag.offset)


def block_of(tag: OpcuaTag, value: Any, length: int) -> NDArray[Any]:
    """An array of a server as the samples of a waveform; raises :class:`Mismatch`."""
    import numpy as np

    if not isinstance(value, list):
        raise Mismatch("the server sends no array, the profile says that it is a waveform")
    if len(value) != length:
        raise Mismatch(f"the server sends {len(value)} samples, waveform.length says {length}")
    found = np.asarray(value)
    if found.ndim != 1 or found.dtype.kind not in ("f" + "iu" if tag.type in FLOATS else "iu"):
        kinds = ", ".join(sorted({type(each).__name__ for each in value[:100]}))
        raise Mismatch(f"the server sends an array of {kinds}, the profile says {tag.type}")
    if tag.type not in FLOATS:
        low, high = whole_range(tag.type)
        if found.min() < low or found.max() > high:
            raise OutsideRange(
                f"the server sends {found.min()} to {found.max()}, a {tag.type} holds {low} to {high}"
            )
    return found.astype(tag.type)
