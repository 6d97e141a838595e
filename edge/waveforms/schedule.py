"""When a block is taken: by period, by a trigger's rise, while the machine runs. Pure: no clock of its
own."""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.profile.waveform import Waveform, When
from protocols.states import ItemState
from protocols.values import Value


@dataclass(slots=True)
class Schedule:
    """One waveform. Times are seconds that only grow."""

    waveform: Waveform
    _last: float = field(default=float("-inf"), init=False)
    """When the last block was taken, or was tried to be."""
    _level: bool | None = field(default=None, init=False)
    """What the trigger showed last; None while it is not known."""
    _risen: bool = field(default=False, init=False)

    def notice(self, tag: str, value: Value, *, good: bool) -> bool:
        """A tag changed; whether that calls for a block. A trigger that comes up as true has not risen."""
        if tag != self.waveform.trigger:
            return False
        before, self._level = self._level, bool(value) if good else None
        if before is False and self._level is True:
            self._risen = True
        return self._risen

    def due_in(self, now: float, state: ItemState) -> float | None:
        """Seconds until a block is to be taken, 0 for now; None while nothing of time alone brings it."""
        if self.waveform.when is When.RUNNING and state is not ItemState.EXECUTING:
            self._risen = False  # what rose while nothing was to be taken calls for nothing later
            return None
        if self.waveform.trigger is not None and not self._risen:
            return None
        return max(0.0, self._last + self.waveform.every - now)

    def taken(self, now: float) -> None:
        """A block was taken, or could not be: the next one is due after the period."""
        self._last, self._risen = now, False
