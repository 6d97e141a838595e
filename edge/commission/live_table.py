"""What is known of a machine's tags at a moment: last value, age, rate, and what is wrong. Pure: the caller
brings the time, in seconds of any clock that only grows.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from drivers.profile.profile import AnyProfile, Tag
from edge.commission.acceptance import ON_TIME, spoken_rate
from edge.commission.reading import row
from protocols.values import Quality, Reading, Reason

KEPT = 32
"""Times of arrival that are kept of each tag: enough for a steady rate, and bounded."""
OVERDUE = 3
"""Sampling intervals without a reading after which a polled tag is late ..."""
GRACE = 1.0
"""... and seconds on top, for a machine that answers slowly."""
_NO_ANSWER = (Reason.NOT_CONNECTED, Reason.TIMEOUT)


class Level(IntEnum):
    """How much a row asks for attention; always said by a word and a shape, too."""

    NOTHING = 0
    """It was not read yet."""
    WELL = 1
    ODD = 2
    """Uncertain, slow, late."""
    BAD = 3


_MARKS = {
    Quality.GOOD: ("● good", Level.WELL),
    Quality.UNCERTAIN: ("◐ uncertain", Level.ODD),
    Quality.BAD: ("✕ bad", Level.BAD),
}


class Marked(NamedTuple):
    """A row as far as it takes to pick it."""

    tag: str
    level: Level


@dataclass(frozen=True, slots=True)
class Shown:
    """One row as it is shown."""

    tag: str
    value: str
    word: str
    quality: str
    age: str
    rate: str
    problem: str
    level: Level


@dataclass(slots=True)
class Live:
    """One tag."""

    tag: Tag
    reading: Reading | None = None
    problem: str = ""
    came: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    """When readings that were not bad came."""
    last: float = 0.0
    """When anything came."""

    def rate(self, now: float) -> float | None:
        """Readings a second; None before there are two. It falls when none come any more."""
        if len(self.came) < 2:
            return None
        first, last = self.came[0], self.came[-1]
        gaps = len(self.came) - 1
        mean = (last - first) / gaps
        if mean <= 0:
            return None
        return 1 / mean if now - last <= 2 * mean else gaps / (now - first)


@dataclass(frozen=True, slots=True)
class Connection:
    """Whether the machine is there, since when, and if not, why. ``answers`` once a value came."""

    connected: bool
    since: float
    answers: bool = False
    why: str = ""
    next_try: float = 0.0


@dataclass(slots=True)
class LiveTable:
    """All tags that are shown of one machine."""

    profile: AnyProfile
    names: Sequence[str]
    started: float
    subscribes: bool = False
    """Whether only changes come, so that silence means nothing."""
    differs: str = ""
    """What is not as the profile says, as people are told it."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """The connected driver's own words for what is bad, by tag."""
    connection: Connection = field(init=False)
    rows: dict[str, Live] = field(init=False)
    losses: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.connection = Connection(False, self.started, why="connecting")
        self.rows = {name: Live(self.profile.tags[name]) for name in self.names}

    # --- what happens -----------------------------------------------------------------------------------

    def reached(self, now: float, problems: Mapping[str, str], *, subscribes: bool) -> None:
        """A connection stands; the machine is there once it answers."""
        before = self.connection
        # What accepts connections and says nothing is lost as it was before, and for the same reason.
        since, why = (before.since, before.why) if before.next_try else (now, "")
        self.connection = Connection(True, since, why=why)
        self.problems, self.subscribes = problems, subscribes

    def lost(self, now: float, why: str, wait: float) -> None:
        """The machine is not there (any more), and is tried again in ``wait`` seconds."""
        before = self.connection
        if before.connected and before.answers:
            self.losses += 1
        since = before.since if before.why and before.why != "connecting" else now
        self.connection = Connection(False, since, why=why, next_try=now + wait)
        for live in self.rows.values():
            live.came.clear()
            if live.reading is not None and live.reading.quality is not Quality.BAD:
                name = live.reading.path
                live.reading, live.last = Reading(name, None, Quality.BAD, Reason.NOT_CONNECTED), now

    def deliver(self, readings: Sequence[Reading], now: float) -> None:
        """What the driver read."""
        rows = self.rows
        heard = False
        for reading in readings:
            if reading.quality is not Quality.BAD or reading.reason not in _NO_ANSWER:
                heard = True
            live = rows.get(reading.path)
            if live is None:
                continue
            live.reading, live.last = reading, now
            if reading.quality is Quality.BAD:
                live.came.clear()
                live.problem = self.problems.get(reading.path, "")
            else:
                live.came.append(now)
        if heard and self.connection.connected and not self.connection.answers:
            self.connection = Connection(True, now, answers=True)

    # --- what is shown ----------------------------------------------------------------------------------

    def marked(self, now: float) -> list[Marked]:
        """Every row, in the order of the profile, without the words: that is cheap for thousands of tags."""
        return [Marked(name, self._level(live, now)) for name, live in self.rows.items()]

    def shown(self, now: float) -> list[Shown]:
        """Every row in full."""
        return [self.row(name, now) for name in self.rows]

    def row(self, name: str, now: float) -> Shown:
        """One row in full."""
        return self._shown(name, self.rows[name], now)

    def _level(self, live: Live, now: float) -> Level:
        if live.reading is None:
            return Level.NOTHING
        _, level = _MARKS[live.reading.quality]
        return Level.ODD if level is Level.WELL and any(self._behind(live, now)) else level

    def _shown(self, name: str, live: Live, now: float) -> Shown:
        reading = live.reading
        if reading is None:
            return Shown(name, "", "", "○ not yet", "", "", "", Level.NOTHING)
        quality, level = _MARKS[reading.quality]
        _, value, word = row(reading, self.profile)
        rated = "" if (rate := live.rate(now)) is None else spoken_rate(rate)
        if reading.quality is Quality.BAD:
            reason = reading.reason.name.lower().replace("_", " ")
            # The driver hears of a tag's trouble again and again, and says it only when it changes.
            said = self.problems.get(name) or live.problem
            problem = f"{reason}: {said}" if said else reason
            return Shown(name, value, "", quality, spoken_age(now - live.last), "", problem, level)
        problem = "" if reading.quality is Quality.GOOD else reading.reason.name.lower().replace("_", " ")
        word = "" if problem else word
        late, slow = self._behind(live, now)
        if late or slow:
            level = max(level, Level.ODD)
            wanted = spoken_rate(1 / live.tag.sampling)
            behind = f"▼ late: wanted {wanted}" if late else f"▼ slow: {wanted} wanted"
            problem = "; ".join(text for text in (problem, behind) if text)
        return Shown(name, value or '""', word, quality, spoken_age(now - live.last), rated, problem, level)

    def _behind(self, live: Live, now: float) -> tuple[bool, bool]:
        """Whether a tag's next value is late, and whether its values come too slowly."""
        if self.subscribes or not self.connection.connected:
            return False, False
        sampling = live.tag.sampling
        late = now - live.last > OVERDUE * sampling + GRACE
        # Two or three arrivals say nothing yet of how often a value comes.
        slow = len(live.came) > 3 and (live.rate(now) or 0.0) < ON_TIME / sampling
        return late, slow


def counts(rows: Iterable[Marked | Shown]) -> Counter[Level]:
    """How many rows there are of each level."""
    return Counter(row.level for row in rows)


def picked(rows: Sequence[Marked | Shown], pattern: str, *, errors_only: bool) -> Sequence[Marked | Shown]:
    """The rows that are asked for: by a part of the name, or a pattern with ``*``."""
    if errors_only:
        rows = [row for row in rows if row.level >= Level.ODD]
    if pattern:
        wanted = matcher(pattern)
        rows = [row for row in rows if wanted(row.tag)]
    return rows


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a tag's name fits what a person typed, in whatever case."""
    folded = pattern.casefold()
    if any(sign in folded for sign in "*?["):
        return lambda name: fnmatchcase(name.casefold(), folded)
    return lambda name: folded in name.casefold()


def spoken_age(seconds: float) -> str:
    """``0.3 s``, ``12 s``, ``4 min``, ``3 h``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
