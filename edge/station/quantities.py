"""Numbers as people type them and as they are shown. Decimal throughout: nothing is rounded on the way."""

from __future__ import annotations

import re
from decimal import Decimal

from edge.station.refusals import Refusal

PIECE = "C62"
"""Rec 20 code of things that are counted."""


def shown(value: Decimal) -> str:
    """A quantity without trailing zeros or an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


NUMBER = re.compile(r"[+-]?(?:[0-9]{1,9}(?:[.,][0-9]{0,6})?|[.,][0-9]{1,6})")
"""What a gauge or a person gives. Codes look like numbers too: ``1E99999`` on a label would be a billion
digits, and the thirteen digits below a barcode are no length in millimetres."""


def measured(value: str) -> Decimal:
    """A measurement as typed (a comma is a point); raises Refusal."""
    text = value.strip()
    if NUMBER.fullmatch(text) is None:
        raise Refusal("not-a-number", value=text[:40])
    return Decimal(text.replace(",", "."))
