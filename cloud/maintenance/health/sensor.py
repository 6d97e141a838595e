"""Whether a sensor can be believed: pure, streaming, window by window.

Every fault is one row of a table: the test of a window and how often it must be seen. A fault is raised when
``seen`` of the last ``of`` windows show it and ends after ``well`` windows in a row that could have shown it
and did not. While a window shows one, its tag is *suspect* and the window is not judged.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from cloud.maintenance.health.facts import TagFacts
from cloud.maintenance.health.gathering import TagSpan


class Fault(StrEnum):
    """What can be wrong with a sensor."""

    STUCK = "stuck"
    FLAT_AFTER_RESTART = "flat_after_restart"
    GAP = "gap"
    OUT_OF_RANGE = "out_of_range"
    NAN_STORM = "nan_storm"
    CLOCK_DISORDER = "clock_disorder"
    CLOCK_SKEW = "clock_skew"
    CHANGED = "changed"
    """Another type or unit than was learned."""


WORDS: dict[Fault, str] = {
    Fault.STUCK: "shows the same value without any change while the machine works",
    Fault.FLAT_AFTER_RESTART: "shows the same value since the machine came back",
    Fault.GAP: "gives no good value while the machine is connected",
    Fault.OUT_OF_RANGE: "shows values that are physically impossible",
    Fault.NAN_STORM: "sends values that are no numbers",
    Fault.CLOCK_DISORDER: "sends values out of their order in time",
    Fault.CLOCK_SKEW: "has a clock that is far off",
    Fault.CHANGED: "has another type or unit than was learned",
}

STORM = 0.2
"""Part of a window's values that are no numbers from which on it is a storm; a single one is none."""
COVERED = 0.5
"""Part of a window for which a value must stand, or the window has a gap."""
STUCK_AT_LEAST = 10
"""Flat windows of work before a sensor is stuck, or three times the longest healthy run if that is more."""
QUIET_AT_LEAST = 20
"""Windows of work without a value of a tag that is told now and then before it has a gap, or three times the
longest healthy silence if that is more."""
FLAT_AT_LEAST = 5
"""The same right after a restart."""
SLOW = 12
"""Times as many windows for what settles: a warm oven rightly stays within its deadband for hours."""
VARIES = 0.5
"""Part of the healthy windows that must not be flat, or the tag is one that stands still by nature."""


class Rule(msgspec.Struct, frozen=True):
    """When a fault is raised and ended; in windows. ``working``: judged only while the machine works."""

    test: Callable[[TagSpan, TagFacts], bool]
    seen: int
    of: int
    well: int
    working: bool = False
    of_silence: bool = False
    """Not judged where silence proves nothing: in a hole of the live values, or when nothing came at all."""


def _gap(span: TagSpan, facts: TagFacts) -> bool:
    return facts.hold > 0 and span.covered < COVERED and not span.odd and not span.outside


def _storm(span: TagSpan, facts: TagFacts) -> bool:
    told = span.good + span.odd + span.outside
    return (span.odd >= 2 and span.odd >= STORM * told) or span.odd == told == 1


def _outside(span: TagSpan, facts: TagFacts) -> bool:
    return span.outside > 0


def _disorder(span: TagSpan, facts: TagFacts) -> bool:
    return span.disordered > 0


RULES: dict[Fault, Rule] = {
    Fault.GAP: Rule(_gap, seen=3, of=3, well=3, working=True, of_silence=True),
    Fault.OUT_OF_RANGE: Rule(_outside, seen=2, of=5, well=5),
    Fault.NAN_STORM: Rule(_storm, seen=2, of=5, well=5),
    Fault.CLOCK_DISORDER: Rule(_disorder, seen=2, of=5, well=5),
}


class SensorWatch(msgspec.Struct):
    """One sensor over time; serialisable. ``faults`` says since when (µs UTC) each lasts."""

    faults: dict[Fault, int] = {}
    shown: dict[Fault, list[bool]] = {}
    last: float | None = None
    flat: int = 0
    """Windows of work in a row without any change."""
    longest: int = 0
    """The longest such run while it was learned."""
    learned: int = 0
    varied: int = 0
    quiet: int = 0
    """Windows of work in a row without any value."""
    quietest: int = 0
    """The longest such run while it was learned."""
    restarted: bool = False
    """No change since the asset was silent."""
    told: bool = False
    """Whether the last window had a value of its own."""

    def take(
        self, span: TagSpan, facts: TagFacts, end: int, *, working: bool, broken: bool, heard: bool = True
    ) -> bool:
        """Apply a window that ended at ``end``; whether the tag may be judged in it. ``heard``: something of
        the asset came in it, so that silence of this tag means something.
        """
        suspect = False
        silent = span.blind or not heard
        for fault, rule in RULES.items():
            if (rule.working and not working) or (rule.of_silence and silent):
                continue
            bad = rule.test(span, facts)
            suspect = suspect or bad
            if bad or fault in self.shown:
                self._debounce(fault, rule, bad, end)
        self._flatness(span, facts, end, working=working, broken=broken)
        if working and not silent and not facts.hold:
            self._quietness(span, end)
        return not suspect and not self.faults

    def learn(self) -> None:
        """The window just taken was one of the healthy time."""
        self.quietest = max(self.quietest, self.quiet)
        if not self.told:
            return
        self.learned += 1
        self.varied += self.flat == 0
        self.longest = max(self.longest, self.flat)

    def _debounce(self, fault: Fault, rule: Rule, bad: bool, end: int) -> None:
        shown = self.shown[fault] = [*self.shown.get(fault, ()), bad][-max(rule.of, rule.well) :]
        if fault not in self.faults:
            if sum(shown[-rule.of :]) >= rule.seen:
                self.faults[fault] = end
            elif not any(shown):
                del self.shown[fault]
        elif not any(shown[-rule.well :]) and len(shown) >= rule.well:
            del self.faults[fault], self.shown[fault]

    def _flatness(self, span: TagSpan, facts: TagFacts, end: int, *, working: bool, broken: bool) -> None:
        """Only values that were told count: one that holds may stand for a sensor that nobody has read."""
        self.told = span.good > 0
        if broken:
            self.restarted = True
        if broken or span.blind:
            self.flat, self.last = 0, None
        if not self.told or not working:
            return
        if span.low == span.high and self.last in (None, span.low):
            self.flat += 1
        else:
            if Fault.STUCK not in self.faults and Fault.FLAT_AFTER_RESTART not in self.faults:
                self.longest = max(self.longest, self.flat)  # it moved by itself: that run was a healthy one
            self.flat = 0
            self.restarted = False
            self.faults.pop(Fault.STUCK, None)
            self.faults.pop(Fault.FLAT_AFTER_RESTART, None)
        self.last = span.high
        if not self.learned or self.varied < VARIES * self.learned:
            return
        slow = SLOW if facts.sign is not None and facts.sign.settles else 1
        if self.restarted and self.flat >= max(FLAT_AT_LEAST * slow, self.longest + 1):
            self.faults.setdefault(Fault.FLAT_AFTER_RESTART, end)
        elif self.flat >= max(STUCK_AT_LEAST * slow, 3 * self.longest):
            self.faults.setdefault(Fault.STUCK, end)

    def _quietness(self, span: TagSpan, end: int) -> None:
        self.quiet = 0 if span.good else self.quiet + 1
        if not self.quiet:
            self.faults.pop(Fault.GAP, None)
        elif self.learned and self.quiet >= max(QUIET_AT_LEAST, 3 * self.quietest):
            self.faults.setdefault(Fault.GAP, end)


class ClockWatch(msgspec.Struct):
    """Whether the times of an asset's live samples agree with those of their arrival, both in µs UTC.

    A sample from the future would close windows that have not been, so it is left out, as is one that is
    called live and is much too old. ``run`` counts such samples in a row, negative the good ones since.
    """

    since: int = 0
    """When the clock was found to be off; 0 while it is well."""
    run: int = 0
    worst: int = 0
    """µs by which the last such sample was ahead (positive) or behind."""

    def take(self, ts: int, received: int, ahead: int, behind: int) -> bool:
        """Whether the sample may be used; ``ahead`` and ``behind`` are what is tolerated."""
        if -behind <= ts - received <= ahead:
            if self.run > 0 or self.since:
                self.run = min(self.run, 0) - 1
                if self.run <= -SKEWED_SAMPLES:
                    self.since = self.run = self.worst = 0
            return True
        self.worst = ts - received
        self.run = max(self.run, 0) + 1
        if self.run >= SKEWED_SAMPLES and not self.since:
            self.since = received
        return False


SKEWED_SAMPLES = 20
"""Samples in a row with a wrong time before a clock is off, or with a right one before it is well."""
