"""What passes between a driver and its machine, for people who look for a fault.

A driver whose :attr:`drivers.driver.Driver.trace` is set before it connects tells each frame, message or
call; without it nothing of this costs anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Traffic(NamedTuple):
    """One frame or message."""

    sent: bool
    """By us; else it came from the machine."""
    what: str
    """Function or service in words, and what is wrong with it."""
    data: bytes = b""
    """Its bytes: a Modbus frame as on the wire, an OPC UA message as it is inside the secure channel. Empty
    where there are none (nothing came), or where they hold a login."""
    part: str = ""
    """Which machine on the connection: the unit on a bus."""
    failed: bool = False
    took: float | None = None
    """Seconds since what it answers was sent."""


Tap = Callable[[Traffic], None]
"""Takes what passes, on the event loop; returns at once."""
