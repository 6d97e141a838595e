"""Spans of time as people write and read them: ``2h``, ``1d 6h``, ``30min``."""

from __future__ import annotations

import re

UNITS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
"""Seconds of each unit, the longest first."""

OTHER_NAMES = {"m": "min", "sec": "s", "hour": "h", "hours": "h", "day": "d", "days": "d"}

_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)")


def parse(text: str) -> int:
    """Seconds of ``text``, such as ``90min``, ``1d6h`` or ``1.5h``.

    Raises ValueError with what is allowed when it is no duration.
    """
    at, seconds = 0, 0.0
    lower = text.strip().lower()
    while at < len(lower):
        part = _PART.match(lower, at)
        unit = OTHER_NAMES.get(part.group(2), part.group(2)) if part else ""
        if part is None or unit not in UNITS:
            raise ValueError(f'"{text}" is not a duration such as 2h, 30min, 1d or 1h30min')
        seconds += float(part.group(1)) * UNITS[unit]
        at = part.end()
    if not lower:
        raise ValueError("a duration is missing, such as 2h, 30min, 1d or 1h30min")
    return round(seconds)


def words(seconds: int) -> str:
    """At most two units, the smaller one rounded: ``2 h 30 min``, ``3 d 4 h``, ``45 s``."""
    rest = abs(seconds)
    units = list(UNITS.items())
    largest = next((n for n, (_, length) in enumerate(units) if rest >= length), len(units) - 1)
    smaller = units[min(largest + 1, len(units) - 1)][1]
    rest = (rest + smaller // 2) // smaller * smaller
    parts = []
    for unit, length in units[: largest + 2]:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return ("−" if seconds < 0 else "") + (" ".join(parts[:2]) or "0 s")
