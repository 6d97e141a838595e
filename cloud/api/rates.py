"""How many requests one address may make: enough for any screen, too few to keep the service busy."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from protocols.clock import Clock

PER_SECOND = 50.0
BURST = 500
"""Requests an address may make at once after a pause; then :data:`PER_SECOND`."""

MAX_ADDRESSES = 10_000
"""Addresses remembered; the one unheard for longest is forgotten first."""


@dataclass(slots=True)
class Rates:
    """One token bucket an address. Lives on the event loop."""

    clock: Clock
    per_second: float = PER_SECOND
    burst: int = BURST
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict, init=False)

    def wait(self, address: str) -> float:
        """Count a request: 0.0 when it may go on, else the seconds until the next one may."""
        now = self.clock.monotonic()
        left, since = self._buckets.pop(address, (float(self.burst), now))
        left = min(float(self.burst), left + (now - since) * self.per_second)
        allowed = left >= 1.0
        self._buckets[address] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self.per_second
