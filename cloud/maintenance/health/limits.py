"""How health is judged: the settings of ``maintenance: limits:`` in ``cloud.yaml``."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Deviations are in spreads of the baseline; counts are windows.

    The floors are the smallest deviations worth a person's way to the machine, however significant: of one
    tag alone (``single_floor``), and on average over tags where there are very many (``joint_floor``). The
    caps are what is an alarm however little was learned. In between, the false-alarm budget decides.
    """

    learn: int = 60
    learn_days: float = 0.0
    """Days of source time that learning must last at least, beside ``learn`` windows."""
    smoothing: float = 0.3
    """Weight of the newest window in the moving average (EWMA)."""
    false_alarms: float = 0.1
    """The budget: false alarms per machine and month."""
    month_hours: float = 720.0
    """Hours of work in a month for which the budget is meant."""
    joint_floor: float = 0.2
    joint_cap: float = 3.0
    single_floor: float = 8.0
    single_cap: float = 12.0
    tolerated: float = 0.4
    """Part of the alarm threshold up to which health is 100."""
    failed: float = 3.0
    """Multiple of the alarm threshold from which on health is 0; at the threshold it is 50."""
    clear_below: float = 0.7
    """Part of the alarm threshold that all of the last windows must be below before an alarm ends."""
    alarm_windows: int = 4
    of_windows: int = 5
    smallest_spread: float = 0.005
    """Part of its normal value that is the least spread of a tag: about what sensors in a workshop can tell.
    A deviation of less may be significant, but it is neither certain nor of any consequence.
    """
    clock_ahead: float = 5.0
    """Seconds by which a sample may be ahead of its arrival."""
    clock_behind: float = 900.0
    """Seconds by which a live sample may be behind its arrival."""

    def __post_init__(self) -> None:
        """Raise ValueError for limits that cannot be meant."""
        if self.learn < 5:
            raise ValueError(f"learn {self.learn} is too few windows to know what is normal: at least 5")
        if not 0 < self.smoothing <= 1:
            raise ValueError(f"smoothing {self.smoothing} is not between 0 and 1")
        if self.false_alarms <= 0:
            raise ValueError(
                f"false_alarms {self.false_alarms} is not above 0: no threshold can promise none"
            )
        if not 1 <= self.alarm_windows <= self.of_windows:
            raise ValueError(
                f"alarm_windows {self.alarm_windows} is not between 1 and of_windows {self.of_windows}"
            )
        if not 0 < self.clear_below < 1 or not 0 < self.tolerated < 1 or self.failed <= 1:
            raise ValueError(
                "clear_below and tolerated are below the threshold (0…1), failed is above it (> 1)"
            )
        if self.joint_floor > self.joint_cap or self.single_floor > self.single_cap:
            raise ValueError("a floor is above its cap")

    def joint(self, tags: float) -> tuple[float, float]:
        """Floor and cap of the mean deviation of so many tags: of one they are those of a single tag. Where
        many tell the same, far less of each is worth a look.
        """
        floor = self.joint_floor + (self.single_floor - self.joint_floor) / tags**1.5
        return floor, self.joint_cap + (self.single_cap - self.joint_cap) / tags

    def health(self, score: float) -> float:
        """0 (failed) to 100 (as learned) of a deviation in multiples of the alarm threshold."""
        if score <= 1.0:
            return round(100.0 - 50.0 * max(0.0, score - self.tolerated) / (1.0 - self.tolerated), 1)
        return round(50.0 * max(0.0, (self.failed - score) / (self.failed - 1.0)), 1)
