"""What passed between a driver and its machine, as far as it is kept. Pure: the caller brings the time."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from drivers.trace import Traffic
from protocols.values import MICROSECONDS

KEPT = 2000
"""Frames that are kept, the newest."""
BYTES = 1024
"""Bytes of each that are kept: all of a Modbus frame, the beginning of a large OPC UA message."""


class Entry(NamedTuple):
    """One frame. ``time`` in µs UTC; ``size`` counts the bytes that it had."""

    time: int
    traffic: Traffic
    size: int

    @property
    def clock(self) -> str:
        """The time of day, with milliseconds."""
        moment = datetime.fromtimestamp(self.time / MICROSECONDS, UTC)
        return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"

    @property
    def direction(self) -> str:
        """As seen from here."""
        return "tx" if self.traffic.sent else "rx"

    @property
    def took(self) -> str:
        """Milliseconds from question to answer."""
        return "" if self.traffic.took is None else f"{self.traffic.took * 1000:.0f} ms"

    @property
    def hex(self) -> str:
        """What is kept of its bytes."""
        return self.traffic.data.hex(" ").upper()

    def fits(self, pattern: str) -> bool:
        """Whether a filter finds it: in direction, unit (``unit 7``), words or bytes."""
        unit = f"unit {self.traffic.part} " if self.traffic.part else ""
        return pattern.casefold() in f"{self.direction} {unit}{self.traffic.what} {self.hex}".casefold()


@dataclass(slots=True)
class TrafficLog:
    """The newest frames. ``now`` gives µs UTC."""

    now: Callable[[], int]
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    total: int = 0
    failed: int = 0

    def add(self, traffic: Traffic) -> None:
        """Keep a frame; the oldest goes when there are too many."""
        size = len(traffic.data)
        kept = traffic if size <= BYTES else traffic._replace(data=traffic.data[:BYTES])
        self.entries.append(Entry(self.now(), kept, size))
        self.total += 1
        self.failed += traffic.failed

    def picked(self, pattern: str, *, errors_only: bool) -> list[Entry]:
        """Those that a filter leaves, the newest last."""
        return picked(self.entries, pattern, errors_only=errors_only)


def picked(entries: Sequence[Entry] | deque[Entry], pattern: str, *, errors_only: bool) -> list[Entry]:
    """Those that a filter leaves, in their order."""
    return [
        entry
        for entry in entries
        if (entry.traffic.failed or not errors_only) and (not pattern or entry.fits(pattern))
    ]


def as_text(entry: Entry) -> str:
    """A frame as one line for people."""
    traffic = entry.traffic
    unit = f"unit {traffic.part}" if traffic.part else ""
    took = f"({entry.took})" if entry.took else ""
    cut = f"… {entry.size} bytes" if entry.size > len(traffic.data) else ""
    return "  ".join(filter(None, (entry.direction, unit, traffic.what, took, f"{entry.hex}{cut}")))


def as_json(entry: Entry, time: str) -> str:
    """A frame as one JSON object for programs."""
    traffic = entry.traffic
    return json.dumps(
        {
            "time": time,
            "frame": entry.direction,
            "unit": traffic.part,
            "what": traffic.what,
            "failed": traffic.failed,
            "took": None if traffic.took is None else round(traffic.took, 6),
            "size": entry.size,
            "hex": traffic.data.hex(),
        },
        ensure_ascii=False,
    )
