"""The one MetaData that every area declares its tables on, and the column types they share.

An area's tables stand in its own ``tables.py``; the migrations are made from this metadata.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, MetaData, TypeDecorator

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

RowId = BigInteger().with_variant(Integer, "sqlite")
"""Type of autoincrementing ids. Give the table ``sqlite_autoincrement=True`` where ids must not come back."""

Time = BigInteger
"""Type of times: µs UTC."""

QUANTITY_DIGITS = 6
_SCALE = 10**QUANTITY_DIGITS


class Quantity(TypeDecorator[Decimal]):
    """An exact decimal with six places, stored as millionths in a 64-bit integer, so that both databases
    can compare and sum it. Raises ValueError for a value with more places or out of range.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:
        """Millionths of ``value``."""
        if value is None:
            return None
        scaled = Decimal(value) * _SCALE
        if scaled != scaled.to_integral_value():
            raise ValueError(
                f"quantity {value} has more than {QUANTITY_DIGITS} decimal places: round it first"
            )
        if abs(scaled) >= 2**63:
            raise ValueError(f"quantity {value} is over the limit of {2**63 // _SCALE}")
        return int(scaled)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """The decimal of stored millionths, without trailing zeros."""
        if value is None:
            return None
        whole, rest = divmod(int(value), _SCALE)
        if not rest:
            return Decimal(whole)  # nearly all of them, and in no time
        quantity = Decimal(int(value)).scaleb(-QUANTITY_DIGITS).normalize()
        exponent = quantity.as_tuple().exponent
        return quantity.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else quantity
