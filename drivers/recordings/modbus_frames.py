"""Modbus TCP frames out of a stream, and the answer that a recording has for a request. Pure.

MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3: transaction, protocol 0, length, unit, PDU.
"""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from drivers.recordings.tape import Frame

_LONGEST = 254
"""Unit and PDU."""


class Adu(NamedTuple):
    """One frame: its transaction, and unit and PDU as they lie in it."""

    transaction: int
    body: bytes

    def wire(self) -> bytes:
        """The frame as it is sent."""
        return struct.pack(">HHH", self.transaction, 0, len(self.body)) + self.body


class Frames:
    """Cuts a stream into frames. What is none ends the cutting: ``broken`` is then True."""

    def __init__(self) -> None:
        self.broken = False
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Adu]:
        """The frames that are complete with these bytes."""
        self._buffer += data
        while len(self._buffer) >= 7 and not self.broken:
            transaction, protocol, length = struct.unpack(">HHH", self._buffer[:6])
            if protocol != 0 or not 2 <= length <= _LONGEST:
                self.broken = True
                return
            if len(self._buffer) < 6 + length:
                return
            body, self._buffer = self._buffer[6 : 6 + length], self._buffer[6 + length :]
            yield Adu(transaction, body)


class Answer(NamedTuple):
    """What comes back: nothing when the device was silent; ``after`` seconds."""

    body: bytes | None
    after: float


class Answers:
    """The recorded answers, each request's in their order; the last of them again and again.

    A request that is not in the recording (another version plans its reads in another way) is answered
    from all that was read: what the device refused is refused, what it never showed is not answered.
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._recorded: dict[bytes, deque[Answer]] = defaultdict(deque)
        self._seen: dict[tuple[int, int, int], bytes] = {}
        self._refused: set[tuple[int, int, int]] = set()
        for frame in frames:
            body = None if frame.answer is None else bytes.fromhex(frame.answer)
            ask = bytes.fromhex(frame.ask)
            self._recorded[ask].append(Answer(body, frame.after))
            if body is not None:
                self._learn(ask, body)

    def _learn(self, ask: bytes, answer: bytes) -> None:
        if len(ask) != 6 or ask[1] not in (1, 2, 3, 4):
            return
        unit, function, start, size = struct.unpack(">BBHH", ask)
        if answer[1] == function | 0x80:
            if size <= 4 and answer[2:3] == b"\x02":  # one value; of many it may have been any
                self._refused.update((unit, function, start + n) for n in range(size))
            return
        data = answer[3:]
        for number in range(size):
            bit = bytes([data[number // 8] >> number % 8 & 1]) if number // 8 < len(data) else b"\0"
            cell = bit if function < 3 else data[number * 2 : number * 2 + 2]
            self._seen.setdefault((unit, function, start + number), cell)

    def answer(self, ask: bytes) -> Answer:
        """What the device said to this request."""
        queue = self._recorded.get(ask)
        if queue:
            return queue.popleft() if len(queue) > 1 else queue[0]
        if len(ask) != 6 or ask[1] not in (1, 2, 3, 4):
            return Answer(None, 0.0)
        unit, function, start, size = struct.unpack(">BBHH", ask)
        places = [(unit, function, start + n) for n in range(size)]
        if any(place in self._refused for place in places):
            return Answer(bytes([unit, function | 0x80, 2]), 0.0)
        if not all(place in self._seen for place in places):
            return Answer(None, 0.0)
        data = b"".join(self._seen[place] for place in places)
        if function < 3:
            bits = sum(bit << n for n, bit in enumerate(data))
            data = bits.to_bytes((size + 7) // 8, "little")
        return Answer(bytes([unit, function, len(data)]) + data, 0.0)
