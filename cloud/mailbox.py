"""The bounded queue between paho's thread and the ingest's."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

MAX_BYTES = 64 * 1024 * 1024
"""Bytes that may wait; about what all edges together may have under way."""

TELEMETRY_PART = 0.75
"""Part of it that telemetry and bulk may fill: what people did always finds room."""

OVERHEAD = 200
"""Bytes a waiting message costs beside its payload, about."""


class Message(NamedTuple):
    """A message as it came; ``received`` in µs UTC."""

    topic: str
    payload: bytes
    received: int


class Mailbox:
    """When it is full the newest message is dropped and counted: the link sends it again."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0
        """Messages dropped since the start."""
        self._max_bytes = max_bytes
        self._condition = threading.Condition()
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return self._bytes

    def put(self, message: Message) -> bool:
        """Add a message; False when there was no room. Never waits."""
        size = len(message.payload) + OVERHEAD
        urgent = not message.topic.endswith(("/telemetry", "/bulk"))
        limit = self._max_bytes if urgent else int(self._max_bytes * TELEMETRY_PART)
        with self._condition:
            if self._bytes + size > limit or self._closed:
                self.dropped += 1
                return False
            self._messages.append(message)
            self._bytes += size
            self._condition.notify()
        return True

    def take(self, max_messages: int, max_bytes: int, timeout: float) -> list[Message]:
        """What waits, in order of arrival and at least one if there is any; waits up to ``timeout`` s."""
        taken: list[Message] = []
        size = 0
        with self._condition:
            if not self._messages and timeout > 0 and not self._closed:
                self._condition.wait(timeout)
            while self._messages and len(taken) < max_messages and size < max_bytes:
                message = self._messages.popleft()
                taken.append(message)
                size += len(message.payload) + OVERHEAD
            self._bytes -= size
        return taken

    def close(self) -> None:
        """Take no more messages and wake who waits."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
