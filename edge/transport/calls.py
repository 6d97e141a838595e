"""Calls for a person that transport makes at workcells: each once, and none lost while another one stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

import structlog

from edge.station.commands import RaiseAndon
from edge.station.refusals import Refusal
from edge.station.stations import Stations
from protocols.lifecycle import IllegalTransitionError

log = structlog.get_logger(__name__)

ACTOR = "transport"
"""Who acts, in journals: nobody in person."""
MOST = 100
"""Calls that wait for a topic which is called already; older ones are given up."""
NOTE = 200
"""Characters of a note."""


@dataclass(frozen=True, slots=True)
class _Call:
    workcell: str
    note: str
    holds: Callable[[], bool]


def _always() -> bool:
    return True


@dataclass(slots=True)
class Calls:
    """``topic`` is the andon topic; empty when the site has none, and then nobody can be called."""

    stations: Stations
    topic: str = ""
    _waiting: dict[str, _Call] = field(default_factory=dict, init=False)

    def call(self, workcell: str, about: str, note: str, holds: Callable[[], bool] = _always) -> None:
        """Call with the next :meth:`step`; one ``about`` is one call, made while it still holds."""
        if not self.topic:
            log.warning("transport.nobody_called", about=about, reason="the site has no andon topics")
            return
        self._waiting[about] = _Call(workcell, note[:NOTE], holds)
        while len(self._waiting) > MOST:
            gone = next(iter(self._waiting))
            log.error("transport.nobody_called", about=gone, note=self._waiting.pop(gone).note)

    async def step(self) -> None:
        """Make the calls that can be made now. A topic that is called already at a workcell is called again
        when somebody has cleared it."""
        for about, call in list(self._waiting.items()):
            if not call.holds():
                del self._waiting[about]
                continue
            name = f"transport-{blake2b(about.encode(), digest_size=12).hexdigest()}"
            command = RaiseAndon(id=name, actor=ACTOR, topic=self.topic, note=call.note)
            try:
                await self.stations.perform(call.workcell, command)
            except Refusal as refusal:
                if refusal.code == "andon-open":
                    continue
                log.warning("transport.nobody_called", about=about, reason=str(refusal))
            except (IllegalTransitionError, KeyError) as error:
                log.warning("transport.nobody_called", about=about, reason=str(error))
            self._waiting.pop(about, None)
