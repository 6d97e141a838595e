"""How much of a machine's alarms is told: every change, until there are too many of them. Pure.

A loose contact toggles for days, and a machine that loses its air pressure raises hundreds at once. Neither
may fill the ledger, which keeps alarms for years, nor hide what matters. So a device may tell ``BURST``
changes at once and then one every ``EVERY`` seconds, and no more than ``TOLD`` of its alarms stand for the
cloud at the same time, severe ones ``SEVERE_TOLD``. Everything else is kept here as it is now, and counted:
what nobody has heard of comes first when there is room again, the most severe before the others. The end of
what was told is always told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from protocols.states import AlarmChanged, Event
from protocols.values import MICROSECONDS

BURST = 100
"""Changes that a device may tell at once."""
EVERY = 5.0
"""Seconds until it may tell one more."""
TOLD = 200
SEVERE_TOLD = 300
"""Alarms of one device that stand for the cloud at the same time; the rest of the room is for severe ones."""
SEVERE = 800
"""Severity (1 to 1000) from which an alarm counts as severe."""
KNOWN = 5_000
"""Alarms of one device that are kept in mind."""


@dataclass(slots=True)
class _Known:
    """An alarm as it is, and as it was told last."""

    now: AlarmChanged
    told: AlarmChanged | None = None

    @property
    def waits(self) -> bool:
        """Whether there is something to tell of it."""
        return self.told is None or _meaning(self.told) != _meaning(self.now)

    @property
    def stands_told(self) -> bool:
        return self.told is not None and self.told.active


@dataclass(slots=True)
class AlarmFlow:
    """The alarms of one device on their way out. Times are µs UTC."""

    untold: int = field(default=0, init=False)
    """Changes since the start that nobody was told one by one."""
    standing: int = field(default=0, init=False)
    """Alarms that stand at the machine, told or not."""
    _known: dict[str, _Known] = field(default_factory=dict, init=False)
    _waiting: set[str] = field(default_factory=set, init=False)
    _told: int = field(default=0, init=False)
    """Alarms that stand for whoever was told."""
    _left: float = field(default=float(BURST), init=False)
    _counted: int = field(default=0, init=False)
    """Until when ``_left`` was counted."""

    def resume(self, stood: Mapping[str, str], device: str, now: int) -> None:
        """Alarms (id: text) that were told and had not ended when the edge went down."""
        for name, text in stood.items():
            event = AlarmChanged(now, device, name, True, text)
            self._known[name] = _Known(event, event)
        self.standing = self._told = len(self._known)

    def take_over(self, before: AlarmFlow) -> None:
        """Go on where another one of the same device was."""
        self.untold, self.standing, self._told = before.untold, before.standing, before._told
        self._left, self._counted = before._left, before._counted
        self._known, self._waiting = dict(before._known), set(before._waiting)

    def through(self, events: Iterable[Event], now: int, *, hold: bool = False) -> list[Event]:
        """The events in their order, of the alarms only what may be told now; with ``hold`` nothing may."""
        passed: list[Event] = []
        for event in events:
            if not isinstance(event, AlarmChanged):
                passed.append(event)
            elif self._take(event) and not hold and self._may_tell(event.alarm, now):
                passed.append(self._tell(event.alarm))
        return passed

    def waited(self, now: int) -> list[Event]:
        """What there is room for by now, of what had to wait."""
        if not self._waiting or not self._refilled(now):
            return []
        known = self._known
        order = sorted(
            self._waiting, key=lambda name: (known[name].told is not None, -known[name].now.severity)
        )
        return [self._tell(name) for name in order if self._left >= 1.0 and self._may_tell(name, now)]

    # --- what is known ------------------------------------------------------------------------------------

    def _take(self, event: AlarmChanged) -> bool:
        """Note how an alarm is now; whether that is to be told."""
        name = event.alarm
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= KNOWN and not self._forget_one():
                self.untold += 1
                return False
            self._known[name] = _Known(event)
            self.standing += event.active
            self._waiting.add(name)
            return True
        waited = name in self._waiting
        self.untold += waited  # what waited is overtaken
        self.standing += event.active - known.now.active
        known.now = event
        if waited and known.told is None and not event.active:
            self._drop(name)  # it came and went, and nobody heard of it
            self.untold += 1
            return False
        if not known.waits:
            self.untold += waited
            self._waiting.discard(name)
            return False
        self._waiting.add(name)
        return True

    def _forget_one(self) -> bool:
        """Make room: one that is over, and was told so."""
        over = (name for name, known in self._known.items() if not known.now.active and not known.waits)
        name = next(over, None)
        if name is not None:
            self._drop(name)
        return name is not None

    def _drop(self, name: str) -> None:
        del self._known[name]
        self._waiting.discard(name)

    # --- what may be told -----------------------------------------------------------------------------------

    def _refilled(self, now: int) -> bool:
        """Whether a change may be told by now."""
        passed = max(0, now - self._counted) / MICROSECONDS if self._counted else 0.0
        self._left = min(float(BURST), self._left + passed / EVERY)
        self._counted = now
        return self._left >= 1.0

    def _may_tell(self, name: str, now: int) -> bool:
        known = self._known[name]
        if known.stands_told and not known.now.active:
            return True
        if known.now.active and not known.stands_told:
            room = SEVERE_TOLD if known.now.severity >= SEVERE else TOLD
            if self._told >= room:
                return False
        if not self._refilled(now):
            return False
        self._left -= 1.0
        return True

    def _tell(self, name: str) -> AlarmChanged:
        known = self._known[name]
        self._told += known.now.active - known.stands_told
        known.told = known.now
        self._waiting.discard(name)
        if not known.now.active and (known.now.acknowledged or not known.now.severity):
            self._drop(name)  # nothing more can come of it
        return known.now


def _meaning(event: AlarmChanged) -> tuple[object, ...]:
    return event.active, event.acknowledged, event.severity, event.source, event.text
