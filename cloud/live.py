"""The newest value of every tag, fed from the ledger's commits: what the page and the API show as *now*."""

from __future__ import annotations

from typing import NamedTuple

from cloud.hub import Hub, SamplesLedgered
from protocols.values import MICROSECONDS, Quality, Value

_QUALITIES = tuple(Quality)
"""By number: looking one up costs a tenth of making it, and this is done for every sample."""


class LiveValue(NamedTuple):
    """The newest value of a tag. ``ts`` in µs UTC is the edge's time of it."""

    ts: int
    value: Value
    quality: Quality

    def age(self, now: int) -> float:
        """Seconds since the value was taken, never negative."""
        return max(0, now - self.ts) / MICROSECONDS


class LiveValues:
    """Newest value by tag id. Lives on the event loop; starts empty: :mod:`cloud.recall` fills it."""

    def __init__(self) -> None:
        self._values: dict[int, LiveValue] = {}

    def get(self, tag: int) -> LiveValue | None:
        """The newest value, or None when none is known."""
        return self._values.get(tag)

    def take(self, event: SamplesLedgered) -> None:
        """Apply one ledgered batch; an older value never replaces a newer one."""
        values = self._values
        for tag, ts, value, quality in zip(
            event.tags, event.times, event.values, event.qualities, strict=True
        ):
            known = values.get(tag)
            if known is None or ts >= known.ts:
                values[tag] = LiveValue(ts, value, _QUALITIES[quality])

    def put(self, tag: int, value: LiveValue) -> None:
        """Apply one value; an older one never replaces a newer one."""
        known = self._values.get(tag)
        if known is None or value.ts >= known.ts:
            self._values[tag] = value

    async def run(self, hub: Hub) -> None:
        """Follow the hub until cancelled."""
        async with hub.subscribe({SamplesLedgered}) as events:
            while True:
                for event in await events.get_all():
                    if isinstance(event, SamplesLedgered):
                        self.take(event)
