"""Health of one asset over time: learning, watching, frozen. Pure: windows in, health out; serialisable.

The same state and the same windows give the same scores, bit for bit: nothing here asks for a time, a random
number or another library's arithmetic (thresholds are computed once and kept).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from cloud.maintenance.health import baseline, regimes, trend
from cloud.maintenance.health.baseline import Learned, Normals
from cloud.maintenance.health.evidence import Evidence, evidence
from cloud.maintenance.health.facts import REGIME_ROLES, Side, TagFacts
from cloud.maintenance.health.gathering import Window
from cloud.maintenance.health.limits import Limits
from cloud.maintenance.health.regimes import Point, Regimes
from cloud.maintenance.health.sensor import ClockWatch, Fault, SensorWatch
from cloud.maintenance.health.threshold import Thresholds, thresholds
from cloud.maintenance.health.trend import Trend
from protocols.values import MICROSECONDS

DAY = 86_400 * MICROSECONDS
COVERED = 0.5
"""Part of a window for which a value must stand to be judged."""
PRESENT = 0.5
"""Part of the known steady tags that a judged window must have."""
PATIENCE = 2
"""Times ``learn`` windows within which a machine must have settled: then it is learned as it is."""
ENOUGH = 5
"""Windows of each regime that learning waits for."""
EPISODES = 20
"""Alarms remembered."""
JUMP_WITHIN = 10
"""Judged windows after a silence within which a deviation belongs to it: something was changed meanwhile."""
CLOCK = "clock"
"""Where a fault of the clock is listed among the faults of sensors."""


class State(StrEnum):
    """What the service does with an asset."""

    LEARNING = "learning"
    WATCHING = "watching"
    FROZEN = "frozen"
    """A sensor cannot be believed: nothing is learned and nothing judged."""


class Episode(msgspec.Struct, array_like=True):
    """One alarm: from ``opened`` to ``ended`` (µs UTC, 0 while it lasts); ``peak`` in multiples of the
    threshold before any factor.
    """

    opened: int
    ended: int = 0
    peak: float = 0.0


class AssetHealth(msgspec.Struct):
    """All that is known about one asset; what ended before ``since`` belongs to it before its repair.

    ``factor`` multiplies the thresholds: a person confirmed it (``confirmed_by`` at ``confirmed``).
    """

    since: int = 0
    updated: int = 0
    judged: int = 0
    learning: list[Learned] = []
    offered: int = 0
    """Windows that could be learned from, the thinned-out ones too."""
    regimes: Regimes = msgspec.field(default_factory=Regimes)
    normals: Normals = {}
    thresholds: Thresholds | None = None
    factor: float = 1.0
    confirmed: int = 0
    confirmed_by: str = ""
    smoothed: dict[str, float] = {}
    current: dict[str, float] = {}
    score: float = 0.0
    """Deviation in multiples of the alarm threshold."""
    bad: list[bool] = []
    low: int = 0
    """Judged windows in a row that were low enough to end an alarm."""
    alarmed: bool = False
    episodes: list[Episode] = []
    regime: str = ""
    """Of the last window of work; "" where it is unknown."""
    strange: list[Learned] = []
    """Windows in unknown regimes, the newest."""
    sensors: dict[str, SensorWatch] = {}
    clock: ClockWatch = msgspec.field(default_factory=ClockWatch)
    identities: dict[str, str] = {}
    """Type and unit of the tags as they were learned."""
    trend: Trend = msgspec.field(default_factory=Trend)
    silence: int = JUMP_WITHIN + 1
    """Judged windows since the asset was silent."""
    before: float = 0.0
    """Score before that."""
    late: int = 0
    """Samples that came too late to be judged."""
    predecessor: str = ""
    """The asset that stood at its place before."""

    # --- windows in ---------------------------------------------------------------------------------

    def take(self, window: Window, facts: Mapping[str, TagFacts], limits: Limits, span: int) -> None:
        """Apply one window of ``span`` µs; windows must come in order, one that came before is ignored."""
        if window.end - span < self.since or window.end <= self.updated:
            return
        self.updated = window.end
        if window.broken and self.thresholds is not None:
            self.silence, self.before = 0, self.score
        believed = self._believe(window, facts)
        if not window.mode or not believed or self.clock.since:
            return
        means = {
            name: each.mean
            for name, each in window.tags.items()
            if each.mean is not None and each.covered >= COVERED and name in facts
        }
        given = [name for name, each in facts.items() if each.role in REGIME_ROLES and name in means]
        loads = [name for name, each in facts.items() if each.tells_load and name in means]
        point = Point(window.mode, window.program, regimes.variables(means, {*given, *loads}))
        signs = {name: mean for name, mean in means.items() if facts[name].sign is not None}
        learned = Learned(window.end, point, signs)
        if self.thresholds is None:
            self._learn(learned, facts, limits, span)
            return
        regime = self.regimes.name(point)
        self.regime = regime if regime in self.normals else ""
        if self.regime:
            self._judge(learned, facts, limits)
        else:
            self._meet(learned, facts, limits)

    def _believe(self, window: Window, facts: Mapping[str, TagFacts]) -> bool:
        """Let every sensor of the asset be examined; whether all of them can be believed in this window."""
        believed = True
        for name, span in window.tags.items():
            known = facts.get(name)
            if known is None:
                continue
            watch = self.sensors.setdefault(name, SensorWatch())
            fine = watch.take(
                span,
                known,
                window.end,
                working=bool(window.mode),
                broken=window.broken,
                heard=window.heard,
            )
            if self.identities.get(name, known.identity) != known.identity:
                watch.faults.setdefault(Fault.CHANGED, window.end)
                fine = False
            else:
                watch.faults.pop(Fault.CHANGED, None)
            believed = believed and fine
        return believed

    def _learn(self, row: Learned, facts: Mapping[str, TagFacts], limits: Limits, span: int) -> None:
        for watch in self.sensors.values():
            watch.learn()
        self.offered += 1
        wanted = limits.learn * span
        stride = max(1, int(limits.learn_days * DAY / wanted / 4)) if limits.learn_days else 1
        if (self.offered - 1) % stride:
            return
        self.learning.append(row)
        lasted = self.learning[-1].end - self.learning[0].end + span
        if len(self.learning) < limits.learn or lasted < limits.learn_days * DAY:
            if len(self.learning) > 8 * limits.learn:
                self.learning = self.learning[1::2]
            return
        warm = [name for name in row.means if (sign := facts[name].sign) is not None and sign.settles]
        if self.offered < PATIENCE * limits.learn * stride:
            if baseline.settling(self.learning, warm):
                self.learning = self.learning[max(1, limits.learn // 8) :]
                return
            if self._thin(facts):
                return
        self._known(facts, limits, span)

    def _thin(self, facts: Mapping[str, TagFacts]) -> bool:
        """Whether a regime was seen, but not yet often enough to be judged by."""
        found = self._found(facts)
        counted = Counter(found.name(row.point) for row in self.learning)
        return any(count < ENOUGH for count in counted.values())

    def _found(self, facts: Mapping[str, TagFacts]) -> Regimes:
        """The regimes in the windows that were learned from."""
        points = [row.point for row in self.learning]
        given = {name for name, each in facts.items() if each.role in REGIME_ROLES - {"program"}}
        given = {name for name in given if any(name in point.variables for point in points)}
        loads = {name for name, each in facts.items() if each.tells_load}
        return regimes.found(points, given, loads)

    def _known(self, facts: Mapping[str, TagFacts], limits: Limits, span: int) -> None:
        """Enough is learned: regimes, what is normal in each, thresholds."""
        rows = self.learning
        self.regimes = self._found(facts)
        named = [(self.regimes.name(row.point), row) for row in rows]
        named = [(regime, row) for regime, row in named if regime]
        self.normals = baseline.normals(named, limits.smallest_spread)
        if not self.normals:  # every window a regime of its own: learned on
            self.learning = self.learning[limits.learn // 2 :]
            return
        residuals = [
            _varying(self.normals, regime, baseline.deviations(self.normals[regime], row.means))
            for regime, row in named
            if regime in self.normals
        ]
        windows_a_month = limits.month_hours * 3600 * MICROSECONDS / span
        self.thresholds = thresholds(residuals, windows_a_month, limits, len(self.normals))
        self.identities = {name: facts[name].identity for row in rows for name in row.means}
        self.regime = named[-1][0] if named[-1][0] in self.normals else ""
        self.current = {name: mean for row in rows for name, mean in row.means.items()}
        self.learning = []

    def _meet(self, row: Learned, facts: Mapping[str, TagFacts], limits: Limits) -> None:
        """A window in an unknown regime: learned when enough like it have come, and never an alarm."""
        self.strange = [*self.strange, row][-4 * limits.learn :]
        if len(self.strange) < limits.learn:
            return
        wider = regimes.extended(self.regimes, [each.point for each in self.strange])
        named = [(wider.name(each.point), each) for each in self.strange]
        counted: dict[str, int] = {}
        for regime, _ in named:
            counted[regime] = counted.get(regime, 0) + 1
        fresh = {regime for regime, count in counted.items() if regime and count >= limits.learn // 2}
        fresh -= self.normals.keys()
        if not fresh:
            return
        learned = [(regime, each) for regime, each in named if regime in fresh]
        self.normals = {**self.normals, **baseline.normals(learned, limits.smallest_spread)}
        self.regimes = wider
        self.strange = [each for regime, each in named if regime not in fresh]

    def _judge(self, row: Learned, facts: Mapping[str, TagFacts], limits: Limits) -> None:
        normal = self.normals[self.regime]
        off = baseline.deviations(normal, row.means)
        steady = [name for name in normal if name in facts and facts[name].hold]
        if not off or sum(name in off for name in steady) < PRESENT * len(steady):
            return
        for name, value in off.items():
            before = self.smoothed.get(name, 0.0)
            self.smoothed[name] = before + limits.smoothing * (value - before)
        self.current.update(row.means)
        self.judged = row.end
        self.score = self._deviation(facts)
        self.silence += 1
        self._debounce(row.end, limits)
        rounded = {name: float(f"{mean:.6g}") for name, mean in row.means.items()}
        self.trend.add(trend.Point(row.end, round(self.score, 4), self.regime, rounded))

    def _deviation(self, facts: Mapping[str, TagFacts]) -> float:
        """The larger of the joint and the single deviation, each in multiples of its threshold."""
        limit = self.thresholds
        bad = self._bad_side(facts)
        if limit is None or not bad:
            return 0.0
        normal = self.normals[self.regime]
        varying = [value for name, value in bad.items() if not normal[name].constant]
        joint = math.fsum(abs(value) for value in varying) / len(varying) if varying else 0.0
        single = max(abs(value) for value in bad.values())
        return max(joint / limit.joint, single / limit.single) / self.factor

    def _bad_side(self, facts: Mapping[str, TagFacts]) -> dict[str, float]:
        """Smoothed deviations of the present regime's tags, 0 where they are to the good side."""
        found = {}
        for name in self.normals.get(self.regime, ()):
            value, known = self.smoothed.get(name), facts.get(name)
            if value is None or known is None or known.sign is None:
                continue
            found[name] = value if known.sign.side is Side.BOTH else max(0.0, value)
        return found

    def _debounce(self, end: int, limits: Limits) -> None:
        self.bad = [*self.bad, self.score > 1.0][-limits.of_windows :]
        self.low = self.low + 1 if self.score < limits.clear_below else 0
        if not self.alarmed:
            if sum(self.bad) >= limits.alarm_windows:
                self.alarmed = True
                self.episodes = [*self.episodes, Episode(end)][-EPISODES:]
        elif self.low >= limits.of_windows:
            self.alarmed = False
            if self.episodes:
                self.episodes[-1].ended = end
        if self.alarmed and self.episodes:
            self.episodes[-1].peak = max(self.episodes[-1].peak, self.score * self.factor)

    # --- health out ---------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What is done with the asset now."""
        if self.faults():
            return State.FROZEN
        return State.LEARNING if self.thresholds is None else State.WATCHING

    def faults(self) -> list[tuple[str, Fault, int]]:
        """Tag, fault and since when (µs UTC), the oldest first."""
        found = [
            (name, fault, since)
            for name, watch in self.sensors.items()
            for fault, since in watch.faults.items()
        ]
        if self.clock.since:
            found.append((CLOCK, Fault.CLOCK_SKEW, self.clock.since))
        return sorted(found, key=lambda item: (item[2], item[0], item[1]))

    def health(self, limits: Limits) -> float | None:
        """0 (failed) to 100 (as learned); the last one while it is frozen; None before anything is judged."""
        if self.thresholds is None:
            return None
        return limits.health(self.score)

    def progress(self, limits: Limits) -> float:
        """How far learning is, 0…1."""
        if self.thresholds is not None:
            return 1.0
        part = len(self.learning) / limits.learn
        if limits.learn_days and self.learning:
            part = min(part, (self.learning[-1].end - self.learning[0].end) / (limits.learn_days * DAY))
        return min(1.0, part)

    def evidence(self, facts: Mapping[str, TagFacts], most: int = 3) -> list[Evidence]:
        """The tags with the largest share of the deviation in the present regime."""
        normal = self.normals.get(self.regime, {})
        return evidence(self.regime, normal, self.smoothed, self._bad_side(facts), self.current)[:most]

    @property
    def jumped(self) -> bool:
        """The deviation began right after the asset was silent: something may have been changed meanwhile."""
        return self.alarmed and self.silence <= JUMP_WITHIN and self.before < 1.0

    # --- what people decide -------------------------------------------------------------------------

    def reset(self, since: int) -> None:
        """Forget what was normal: from ``since`` (µs UTC) on the machine is learned anew."""
        kept = AssetHealth(
            since=since,
            updated=self.updated,
            late=self.late,
            episodes=self.episodes,
            factor=self.factor,
            confirmed=self.confirmed,
            confirmed_by=self.confirmed_by,
        )
        for name in self.__struct_fields__:
            setattr(self, name, getattr(kept, name))

    def confirm(self, factor: float, now: int, actor: str) -> None:
        """A person takes over a proposed threshold; raises ValueError for one that cannot be meant."""
        if not 0.5 <= factor <= 10:
            raise ValueError(f"factor {factor:g} is not between 0.5 and 10 of the learned threshold")
        self.score *= self.factor / factor
        self.factor, self.confirmed, self.confirmed_by = factor, now, actor


def _varying(known: Normals, regime: str, off: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in off.items() if not known[regime][name].constant}
