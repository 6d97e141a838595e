"""What a machine does, from the tags whose roles say so: state, alarms, parts, stops. Pure: no I/O, no clock.

Raw values mean what the profile says (``states``). A *stop* is a machine that stands while it should work:
it is out of service, or it does not execute in processing mode and either the profile gives that state a
reason or a run is in hand at its workcell. Shorter than the workcell's micro-stop threshold it is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

import msgspec

from drivers.counting import Count, count, rule_of
from drivers.derive import DerivedState, Since
from drivers.profile.profile import AnyProfile, Role, Tag
from protocols.states import (
    AlarmChanged,
    Event,
    ItemState,
    MachineStateChanged,
    OperationMode,
    StopClosed,
    StopOpened,
)
from protocols.values import MICROSECONDS, Value

WATCHED = frozenset({Role.STATE, Role.ALARM, Role.PART_COUNT})
"""Roles that a machine's watch looks at."""


def watched_tags(profile: AnyProfile) -> frozenset[str]:
    """The tags that a machine's watch looks at: by their role, and what its state is derived from."""
    inputs = {name for derived in profile.derive.values() for rule in derived.rules for name in rule.when}
    return frozenset(inputs | {name for name, tag in profile.tags.items() if tag.role in WATCHED})


@dataclass(frozen=True, slots=True)
class OpenStop:
    """A stop that was reported and has not ended. ``since`` in µs UTC."""

    stop: str
    since: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a machine does since ``since`` (µs UTC), in its own ``word``."""

    item_state: ItemState = ItemState.NOT_AVAILABLE
    mode: OperationMode = OperationMode.NONE
    word: str = ""
    hint: str = ""
    since: int = 0


@dataclass(slots=True)
class MachineWatch:
    """Follows one device. Events come out in order, with the time of what caused them.

    ``workcells`` are the places the machine works for, with their micro-stop thresholds in seconds;
    ``is_busy`` tells whether a run is in hand at one. ``stops`` are those still open from before a restart.
    """

    device: str
    profile: AnyProfile
    workcells: Mapping[str, float]
    new_id: Callable[[], str]
    is_busy: Callable[[str], bool] = lambda _workcell: False
    stops: dict[str, OpenStop] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen, init=False)
    count: Count | None = None
    """The machine's part counter as last read, from before a restart where it is known."""
    connected: bool = field(default=False, init=False)
    _alarms: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)
    _counter_away: int | None = field(default=None, init=False)
    """Since when the counter has not been read (µs UTC); None while it is."""
    _derived: DerivedState | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.count is not None:
            self._counter_away = self.count.at or None
        self._derive_anew()

    def _derive_anew(self) -> None:
        """Nothing is known of the inputs of a derived state."""
        if (derivation := self.profile.derive.get("state")) is not None:
            self._derived = DerivedState(derivation, self.profile.tags)

    @property
    def parts(self) -> int | None:
        """Parts the machine has made, counted on through wraps and resets; None while it was never read."""
        return None if self.count is None else self.count.total

    def value(self, tag: str, value: Value, ts: int, trouble: str = "") -> list[Event]:
        """A watched tag changed; ``trouble`` says why it has no good value."""
        events: list[Event] = []
        if self._derived is not None and tag in self._derived.inputs:
            for change in self._derived.value(tag, value, ts, good=not trouble):
                events += self._worded(change, trouble)
        return events + self._by_role(tag, value, ts, trouble)

    def _by_role(self, tag: str, value: Value, ts: int, trouble: str) -> list[Event]:
        match self.profile.tags[tag].role:
            case Role.STATE:
                return self._state(tag, value, ts, trouble)
            case Role.ALARM if not trouble:
                return self._alarm(tag, value, ts)
            case Role.PART_COUNT if isinstance(value, int | float) and isfinite(value) and not trouble:
                self._counted(self.profile.tags[tag], int(value), ts)
            case Role.PART_COUNT if self._counter_away is None:
                self._counter_away = ts
        return []

    def _counted(self, tag: Tag, raw: int, ts: int) -> None:
        away, self._counter_away = self._counter_away, None
        gone = 0.0 if away is None else max(0, ts - away) / MICROSECONDS
        counted = count(self.count, raw, gone + 2 * tag.sampling, rule_of(tag))
        self.count = msgspec.structs.replace(counted, at=ts)

    def connection(self, *, connected: bool, ts: int) -> list[Event]:
        """The device came or went. What it does while it is gone is unknown; a stop stays open."""
        self.connected = connected
        if not connected and self._counter_away is None:
            self._counter_away = ts
        if not connected:
            self._derive_anew()
        if connected or not self.profile.has_state:
            return []
        if self.seen.since and self.seen.mode is OperationMode.NONE:
            return []  # it was unknown before: the bad reading of its state came first
        return self._become(Seen(word="no connection", since=ts))

    def tick(self, now: int) -> list[Event]:
        """What time brings: a derived state that has lasted, stops longer than a micro-stop by now."""
        events: list[Event] = []
        for change in self._derived.tick(now) if self._derived is not None else ():
            events += self._worded(change, "")
        if not self.connected or not self._stands():
            return events
        for workcell, threshold in self.workcells.items():
            due = self.seen.since + int(threshold * MICROSECONDS)
            if workcell in self.stops or now < due:
                continue
            if not (self._stands_for_sure() or self.is_busy(workcell)):
                continue
            stop = self.stops[workcell] = OpenStop(self.new_id(), self.seen.since)
            events.append(StopOpened(stop.since, stop.stop, self.device, workcell, self.seen.hint))
        return events

    def resume(self, before: MachineWatch, now: int) -> list[Event]:
        """Go on where another watch of the same device was: its profile or its places changed at ``now``.

        A stop at a place it no longer works for ends; so does an alarm of a tag it no longer has.
        """
        self.stops.clear()
        self._alarms.clear()
        self._derive_anew()
        self.seen, self.connected = before.seen, before.connected
        self.count, self._counter_away = before.count, before._counter_away
        events: list[Event] = []
        for workcell, stop in before.stops.items():
            if workcell in self.workcells:
                self.stops[workcell] = stop
            else:
                events.append(StopClosed(now, stop.stop))
        for tag, (alarm, text) in before._alarms.items():
            known = self.profile.tags.get(tag)
            if known is not None and known.role is Role.ALARM:
                self._alarms[tag] = (alarm, text)
            else:
                events.append(AlarmChanged(now, self.device, alarm, False, text))
        return events

    def retire(self, now: int) -> list[Event]:
        """The device is none of this edge any more: what stood or was alarmed ends at ``now``."""
        events: list[Event] = [StopClosed(now, stop.stop) for stop in self.stops.values()]
        events += [
            AlarmChanged(now, self.device, alarm, False, text) for alarm, text in self._alarms.values()
        ]
        self.stops.clear()
        self._alarms.clear()
        return events

    def stood(self, alarms: Mapping[str, str]) -> dict[str, str]:
        """Alarms (id: text) that stood before a restart: takes those of its tags, gives back the others."""
        rest = {}
        for alarm, text in alarms.items():
            tag = next((name for name in self.profile.tags if alarm.partition(":")[0] == name), None)
            if tag is not None and self.profile.tags[tag].role is Role.ALARM:
                self._alarms[tag] = (alarm, text)
            else:
                rest[alarm] = text
        return rest

    # --- state ----------------------------------------------------------------------------------------

    def _state(self, tag: str, value: Value, ts: int, trouble: str) -> list[Event]:
        if trouble:
            return self._become(Seen(word=trouble, since=ts))
        word = _word(self.profile.tags[tag].enum, value)
        meaning = self.profile.state_of(value)
        if meaning is None:
            return self._become(Seen(word=f"state {word} is not in the profile", since=ts))
        item_state, mode = meaning.item_state, meaning.mode
        return self._become(Seen(item_state, mode, word, meaning.reason or "", ts))

    def _worded(self, change: Since, trouble: str) -> list[Event]:
        """A derived state began."""
        if change.word is None:
            why = trouble or "no value yet"
            return self._become(Seen(word=f"{change.missing}: {why}", since=change.since))
        meaning = self.profile.states[change.word.state]
        hint = change.word.reason or meaning.reason or ""
        return self._become(Seen(meaning.item_state, meaning.mode, change.word.state, hint, change.since))

    def _become(self, seen: Seen) -> list[Event]:
        before, self.seen = self.seen, seen
        same = (before.item_state, before.mode, before.hint) == (seen.item_state, seen.mode, seen.hint)
        if same and before.since:
            # Another word for the same state: it goes on since it began.
            self.seen = Seen(seen.item_state, seen.mode, seen.word, seen.hint, before.since)
        events: list[Event] = []
        if not same or before.word != seen.word or not before.since:
            events.append(MachineStateChanged(seen.since, self.device, seen.item_state, seen.mode, seen.word))
        if self._works():
            events += [StopClosed(seen.since, stop.stop) for stop in self.stops.values()]
            self.stops.clear()
        return events

    def _works(self) -> bool:
        """Whether what the machine does ends a stop: it executes, or somebody sets it up or repairs it."""
        planned = self.seen.mode in (OperationMode.SETUP, OperationMode.MAINTENANCE)
        return planned or self.seen.item_state is ItemState.EXECUTING

    def _stands(self) -> bool:
        halted = (ItemState.NOT_EXECUTING, ItemState.OUT_OF_SERVICE)
        return self.seen.item_state in halted and not self._works()

    def _stands_for_sure(self) -> bool:
        """Whether it is a stop whatever the work in hand."""
        return self.seen.item_state is ItemState.OUT_OF_SERVICE or bool(self.seen.hint)

    # --- alarms ---------------------------------------------------------------------------------------

    def _alarm(self, tag: str, value: Value, ts: int) -> list[Event]:
        """An alarm tag shows one alarm at a time: a number, a text or a flag; nothing, 0 or "" is none."""
        events: list[Event] = []
        before = self._alarms.pop(tag, None)
        now = None
        if value:
            word = _word(self.profile.tags[tag].enum, value)
            text = tag if value is True else word
            now = self._alarms[tag] = (tag if value is True else f"{tag}:{word}", text)
        if before is not None and before != now:
            events.append(AlarmChanged(ts, self.device, before[0], False, before[1]))
        if now is not None and before != now:
            events.append(AlarmChanged(ts, self.device, now[0], True, now[1]))
        return events


def _word(words: Mapping[int, str] | None, value: Value) -> str:
    if words and isinstance(value, int) and value in words:
        return words[value]
    return str(value)


def open_stops(rows: Sequence[tuple[str, str, str, int]], device: str) -> dict[str, OpenStop]:
    """The stops of a device by workcell, from stored rows (stop, device, workcell, since)."""
    return {workcell: OpenStop(stop, since) for stop, of, workcell, since in rows if of == device}
