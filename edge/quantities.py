"""Numbers as people type them and as they are shown. Decimal throughout: nothing is rounded on the way."""

from __future__ import annotations

from decimal import Decimal

from edge.refusals import Refusal

PIECE = "C62"
"""Rec 20 code of things that are counted."""


def shown(value: Decimal) -> str:
    """A quantity without trailing zeros or an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def measured(value: str) -> Decimal:
    """A measurement as typed (a comma is a point); raises Refusal."""
    try:
        number = Decimal(value.strip().replace(",", "."))
    except ArithmeticError:
        raise Refusal("not-a-number", value=value) from None
    if not number.is_finite():
        raise Refusal("not-a-number", value=value)
    return number
