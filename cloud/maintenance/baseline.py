"""Health of an asset against its own healthy past; needs no failure history. Pure: windows in, health out.

Each watched tag has one baseline a regime (what the machine is doing), learned from the first ``learn``
windows as median and spread (1.4826 × the median absolute deviation, which equals the standard deviation
for normal data: Rousseeuw & Croux 1993). Afterwards a window's deviation is how many spreads it lies on the
bad side, smoothed over time (EWMA; Roberts 1959). Health is 100 up to ``tolerated`` spreads and 0 from
``failed`` spreads on. An unseen regime is learned first and never an alarm.
"""

from __future__ import annotations

import statistics
from typing import NamedTuple

import msgspec


class Window(NamedTuple):
    """Mean of one tag over one window that ended at ``ts`` (µs UTC), while the machine was in ``regime``."""

    tag: str
    ts: int
    regime: str
    mean: float


class Limits(msgspec.Struct, frozen=True):
    """How health is judged. The unit of ``tolerated`` and ``failed`` is spreads of the baseline."""

    learn: int = 60
    smoothing: float = 0.2
    tolerated: float = 3.0
    failed: float = 15.0
    alarm_below: float = 50.0
    clear_above: float = 75.0
    alarm_windows: int = 4
    of_windows: int = 5
    smallest_spread: float = 0.01
    """Fraction of the median below which a spread is not believed: a flat sensor is not infinitely exact."""


class Baseline(msgspec.Struct):
    """What is normal for one tag in one regime; learning while ``spread`` is 0."""

    windows: list[float] = []
    median: float = 0.0
    spread: float = 0.0
    deviation: float = 0.0
    current: float = 0.0

    @property
    def learned(self) -> bool:
        return self.spread > 0

    def take(self, mean: float, limits: Limits) -> None:
        """Learn from a window, or judge it."""
        self.current = mean
        if not self.learned:
            self.windows.append(mean)
            if len(self.windows) >= limits.learn:
                self.median = statistics.median(self.windows)
                spread = 1.4826 * statistics.median(abs(value - self.median) for value in self.windows)
                self.spread = max(spread, limits.smallest_spread * abs(self.median), 1e-9)
                self.windows = []
            return
        raw = (mean - self.median) / self.spread
        self.deviation += limits.smoothing * (raw - self.deviation)


class Evidence(msgspec.Struct, frozen=True):
    """Why health is what it is: a tag's share in spreads (signed), its value now and its normal value."""

    tag: str
    regime: str
    deviation: float
    current: float
    normal: float
    spread: float


class AssetHealth(msgspec.Struct):
    """All that is known about one asset; serialisable, so that a restart does not learn again.

    ``bad`` remembers the verdicts over the last spans of time for the debounce, newest last; ``judged`` is
    the end of the newest. What ended before ``since`` belongs to the machine as it was before its repair.
    """

    baselines: dict[str, dict[str, Baseline]] = {}
    """tag → regime → baseline"""
    bad: list[bool] = []
    judged: int = 0
    alarmed: bool = False
    updated: int = 0
    regime: str = ""
    since: int = 0

    def take(self, window: Window, limits: Limits) -> None:
        """Apply one window and renew the verdict: one for each span, however many tags are watched."""
        if window.ts <= self.since:
            return
        baseline = self.baselines.setdefault(window.tag, {}).setdefault(window.regime, Baseline())
        baseline.take(window.mean, limits)
        self.regime = window.regime
        self.updated = max(self.updated, window.ts)
        if not baseline.learned:
            return
        health = self.health(limits)
        if health is None:
            return
        before = self.bad if window.ts > self.judged else self.bad[:-1]
        self.bad = [*before, health < limits.alarm_below][-limits.of_windows :]
        self.judged = max(self.judged, window.ts)
        if not self.alarmed:
            self.alarmed = sum(self.bad) >= limits.alarm_windows
        elif health > limits.clear_above:
            self.alarmed = False
            self.bad = []

    def health(self, limits: Limits) -> float | None:
        """0 (failed) to 100 (as learned), from the worst tag in the present regime; None while learning."""
        evidence = self.evidence()
        if not evidence:
            return None
        worst = max(0.0, evidence[0].deviation)
        span = limits.failed - limits.tolerated
        return round(100.0 * (1.0 - min(1.0, max(0.0, worst - limits.tolerated) / span)), 1)

    def evidence(self, most: int = 3) -> list[Evidence]:
        """The tags that deviate most to the bad side in the present regime, worst first."""
        found = [
            Evidence(tag, regime, b.deviation, b.current, b.median, b.spread)
            for tag, regimes in self.baselines.items()
            for regime, b in regimes.items()
            if regime == self.regime and b.learned
        ]
        return sorted(found, key=lambda item: -item.deviation)[:most]

    def reset(self, since: int) -> None:
        """Forget what was normal: from ``since`` (µs UTC) on the machine is learned anew."""
        self.baselines = {}
        self.bad = []
        self.alarmed = False
        self.since = since


def words(evidence: Evidence, unit: str) -> str:
    """One line a person understands: tag, value now, normal value, how unusual."""
    side = "above" if evidence.deviation >= 0 else "below"
    return (
        f"{evidence.tag} is {evidence.current:.3g} {unit}".rstrip()
        + f", normally {evidence.normal:.3g} ± {evidence.spread:.2g}"
        + f" ({abs(evidence.deviation):.1f} spreads {side})"
    )
