"""Between requests and consumers: planned reads, sampling classes, and what is told of faults. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from drivers.driver import Deliver
from drivers.modbus.codec import BlockDecoder, Coding, decode_bits
from drivers.modbus.planning import Request, Span
from protocols.values import Quality, Reading, Reason

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU


class Poll:
    """One planned request with its compiled decoder."""

    def __init__(self, request: Request, pdu: ModbusPDU, codings: dict[str, Coding]) -> None:
        self.request = request
        self.pdu = pdu
        self.names = [span.name for span in request.spans]
        self._offsets = [span.start - request.start for span in request.spans]
        self._decoder = None
        if not request.table.bits:
            self._decoder = BlockDecoder(
                [(n, codings[name]) for n, name in zip(self._offsets, self.names, strict=True)]
            )
        self.bytes_due = (request.size + 7) // 8 if request.table.bits else request.size * 2
        self._last: tuple[bytes, list[Reading], bool] = (b"", [], True)

    def readings(self, data: bytes) -> tuple[list[Reading], bool]:
        """Readings of a reply and whether all are good. An unchanged reply is not decoded again."""
        if data == self._last[0]:
            return self._last[1], self._last[2]
        if self._decoder is None:
            values, good = decode_bits(data, self._offsets), True
        else:
            values, good = self._decoder.decode(data)
        if good:
            # tuple.__new__ makes the named tuples without a Python call for each: this is the hot path.
            rows = zip(self.names, values, repeat(Quality.GOOD), repeat(Reason.NONE), repeat(None))
            readings: list[Reading] = list(map(tuple.__new__, repeat(Reading), rows))
        else:
            readings = [
                Reading(name, None, Quality.BAD, Reason.SENSOR_FAILURE)
                if value is None
                else Reading(name, value)
                for name, value in zip(self.names, values, strict=True)
            ]
        self._last = (data, readings, good)
        return readings, good


class SamplingClass:
    """The tags of one sampling interval and the requests that read them."""

    def __init__(self, interval: float, spans: list[Span]) -> None:
        self.interval = interval
        self.spans = spans
        self.polls: list[Poll] | None = None
        self.due = 0.0


class Teller:
    """One consumer: hands readings on and says of each fault only what is new."""

    def __init__(self, deliver: Deliver, problems: dict[str, str]) -> None:
        self._deliver = deliver
        self._problems = problems
        self._bad: dict[str, Reason] = {}

    def readings(self, readings: list[Reading], all_good: bool) -> None:
        """What a device answered."""
        if self._bad or not all_good:
            for reading in readings:
                if reading.quality is Quality.GOOD:
                    self._bad.pop(reading.path, None)
                    self._problems.pop(reading.path, None)
                else:
                    self._bad[reading.path] = reading.reason
                    self._problems[reading.path] = "the device sends no number"
        self._deliver(readings)

    def bad(self, names: Sequence[str], reason: Reason, message: str) -> None:
        """Tags that could not be read; those that are known to be bad for this reason are passed over."""
        fresh = [name for name in names if self._bad.get(name) is not reason]
        self._bad.update(dict.fromkeys(fresh, reason))
        self._problems.update(dict.fromkeys(names, message))
        if fresh:
            self._deliver([Reading(name, None, Quality.BAD, reason) for name in fresh])
