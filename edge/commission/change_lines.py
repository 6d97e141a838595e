"""What changes at a machine, a line for each change: for people without a screen, and for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from drivers.profile.profile import AnyProfile
from drivers.trace import Traffic
from edge.commission.reading import row
from edge.commission.traffic_log import Entry, as_json, as_text
from protocols.documents import nearest
from protocols.values import MICROSECONDS, Quality, Reading, Reason, Value

Say = Callable[[str], None]


@dataclass(slots=True)
class ChangeLines:
    """One machine. ``now`` gives µs UTC, ``say`` takes each line."""

    profile: AnyProfile
    names: Collection[str]
    now: Callable[[], int]
    say: Say
    as_json: bool = False
    problems: Mapping[str, str] = field(default_factory=dict)
    _last: dict[str, tuple[Value, Quality, Reason]] = field(default_factory=dict, init=False)
    _why: str = field(default="", init=False)

    def deliver(self, readings: Sequence[Reading]) -> None:
        """Say what differs from what was said last."""
        for reading in readings:
            seen = (reading.value, reading.quality, reading.reason)
            if reading.path in self.names and self._last.get(reading.path) != seen:
                self._last[reading.path] = seen
                self.say(self._change(reading))

    def event(self, event: str, text: str) -> None:
        """Something else happened; the same reason for not being connected is said once."""
        if (event, text) == ("lost", self._why):
            return
        self._why = text if event == "lost" else ""
        time = stamp(self.now())
        shown = json.dumps({"time": time, "event": event, "text": text}, ensure_ascii=False)
        self.say(shown if self.as_json else f"{time}  {event}: {text}")

    def frame(self, traffic: Traffic) -> None:
        """Say what passed between here and the machine."""
        entry = Entry(self.now(), traffic, len(traffic.data))
        time = stamp(entry.time)
        self.say(as_json(entry, time) if self.as_json else f"{time}  {as_text(entry)}")

    def _change(self, reading: Reading) -> str:
        time, problem = stamp(self.now()), ""
        if reading.quality is Quality.BAD:
            problem = self.problems.get(reading.path, "")
        if self.as_json:
            return json.dumps(
                {
                    "time": time,
                    "tag": reading.path,
                    "value": reading.value,
                    "unit": self.profile.tags[reading.path].unit,
                    "quality": reading.quality.name.lower(),
                    "reason": reading.reason.name.lower(),
                    "problem": problem,
                },
                ensure_ascii=False,
            )
        _, value, word = row(reading, self.profile, self.problems)
        return "  ".join(part for part in (time, reading.path, value or '""', word.rstrip(": ")) if part)


def stamp(microseconds: int) -> str:
    """A time in µs UTC as ISO 8601 with milliseconds."""
    moment = datetime.fromtimestamp(microseconds / MICROSECONDS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def chosen(profile: AnyProfile, wanted: Sequence[str]) -> Iterator[str]:
    """Readable tags by name or pattern, in the order of the profile; all of them when none are wanted.

    Raises:
        KeyError: a name that is no readable tag; says the nearest one.
    """
    readable = [name for name, tag in profile.tags.items() if tag.readable]
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in readable):
            hint = nearest(pattern, readable)
            more = f"there are {', '.join(readable[:8])}{', …' if len(readable) > 8 else ''}"
            tail = f"did you mean {hint}?" if hint else more
            raise KeyError(f'no readable tag "{pattern}" in the profile — {tail}')
    yield from (
        name for name in readable if not wanted or any(fnmatchcase(name, pattern) for pattern in wanted)
    )
