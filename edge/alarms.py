"""The alarms and conditions a machine tells of itself, and which of them stand. Pure.

After a reconnect the machine lists what stands: what stood before and is not in that list ended meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.driver import Alarm
from protocols.states import AlarmChanged, Event

MOST = 5_000
"""Alarms of one device that are followed at once. How many of them are told: :mod:`edge.alarm_flow`."""
MAX_ID, MAX_TEXT = 128, 500
"""Characters of what goes on the wire."""


class Stood(NamedTuple):
    """An alarm as it was told last."""

    active: bool
    acknowledged: bool
    severity: int
    text: str
    source: str = ""


@dataclass(slots=True)
class Standing:
    """The alarms of one device."""

    device: str
    _told: dict[str, Stood] = field(default_factory=dict, init=False)
    """What stands, and what is over but not acknowledged."""

    @property
    def active(self) -> list[str]:
        """Ids of the alarms that stand."""
        return [name for name, stood in self._told.items() if stood.active]

    def resume(self, stored: Mapping[str, str]) -> None:
        """Alarms (id: text) that stood when the edge went down."""
        for name, text in stored.items():
            self._told[name] = Stood(True, False, 0, text)

    def take_over(self, before: Standing) -> None:
        """Go on where another one of the same device was."""
        self._told = dict(before._told)

    def seen(self, alarms: Iterable[Alarm], now: int, *, are_all: bool = False) -> list[Event]:
        """What changed at ``now`` (µs UTC); ``are_all``: whatever is not among them has ended."""
        events: list[Event] = []
        listed = set()
        for alarm in alarms:
            name = _id(alarm.id)
            listed.add(name)
            events += self._change(name, alarm, now)
        if are_all:
            for name in [name for name in self._told if name not in listed]:
                stood = self._told.pop(name)
                if stood.active:
                    events.append(_event(self.device, name, stood._replace(active=False), now))
        return events

    def _change(self, name: str, alarm: Alarm, now: int) -> list[Event]:
        before = self._told.get(name)
        severity = min(max(alarm.severity, 0), 1000)
        after = Stood(
            alarm.active,
            alarm.acknowledged,
            severity,
            _fitted(alarm.text, MAX_TEXT),
            _fitted(alarm.source, MAX_ID),
        )
        if after == before or (before is None and (not alarm.active or len(self._told) >= MOST)):
            return []
        if alarm.active or not alarm.acknowledged:
            self._told[name] = after
        else:
            self._told.pop(name, None)
        return [_event(self.device, name, after, now)]

    def end(self, now: int) -> list[Event]:
        """Nobody tells of this device's alarms any more."""
        return self.seen([], now, are_all=True)


def _event(device: str, name: str, stood: Stood, now: int) -> AlarmChanged:
    return AlarmChanged(
        now, device, name, stood.active, stood.text, stood.severity, stood.acknowledged, stood.source
    )


def _fitted(text: str, limit: int) -> str:
    return text.encode("utf-8", "replace").decode()[:limit]


def _id(name: str) -> str:
    """An alarm's id as it fits on the wire: a long one keeps its beginning and stays its own."""
    if len(name) <= MAX_ID:
        return name
    tail = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{name[: MAX_ID - 17]}~{tail}"
