"""Raw values to engineering units and back. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

from protocols.values import DataType

FLOATS = (DataType.FLOAT32, DataType.FLOAT64)


def scaler(scale: float, offset: float) -> Callable[[float], float]:
    """``raw × scale + offset``; a scale such as 0.1 divides by 10, so that 413 becomes 41.3 exactly."""
    inverse = 1 / scale
    if abs(inverse) > 1.5 and math.isclose(inverse, round(inverse), rel_tol=1e-12):
        divisor = round(inverse)
        return (lambda raw: raw / divisor + offset) if offset else (lambda raw: raw / divisor)
    return (lambda raw: raw * scale + offset) if offset else (lambda raw: raw * scale)


def raw_number(kind: DataType, value: object, scale: float = 1.0, offset: float = 0.0) -> int | float:
    """A number as the machine holds it: scaling undone, rounded for a whole-number type.

    Raises:
        ValueError: not a finite number, or outside the type's range (says the limits).
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    scaled = scale != 1.0 or offset != 0.0
    raw: int | float = (value - offset) / scale if scaled else value
    if kind in FLOATS:
        return float(raw)
    if not scaled and raw != int(raw):
        raise ValueError(f"{value} is not a whole number, as a {kind} must be")
    raw = round(raw)
    low, high = whole_range(kind)
    if not low <= raw <= high:
        where = f" (raw {raw})" if scaled else ""
        raise ValueError(f"{value}{where} does not fit a {kind}: {low} to {high}")
    return raw


def whole_range(kind: DataType) -> tuple[int, int]:
    """The lowest and highest value of a whole-number type."""
    bits = int(kind.removeprefix("u").removeprefix("int"))
    return (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
