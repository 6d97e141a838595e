"""What a control chart is: its kind and settings, the samples that come in, the points that come out."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from protocols.spc.rules import DEFAULT, WORDS, Rule


class Kind(StrEnum):
    """Kinds of charts (ISO 7870-2, -4, -6, -8; Quesenberry 1991 for ``q``)."""

    I_MR = "i-mr"
    XBAR_R = "xbar-r"
    XBAR_S = "xbar-s"
    P = "p"
    NP = "np"
    C = "c"
    U = "u"
    EWMA = "ewma"
    CUSUM = "cusum"
    DNOM = "dnom"
    Z_MR = "z-mr"
    Q = "q"
    PRE_CONTROL = "pre-control"


GROUPED = frozenset({Kind.XBAR_R, Kind.XBAR_S})
"""Kinds whose points are subgroups of several values."""
COUNTED = frozenset({Kind.P, Kind.NP, Kind.C, Kind.U})
"""Kinds that chart counts of nonconforming units or of nonconformities."""
PROPORTIONS = frozenset({Kind.P, Kind.NP})
"""Counted kinds where a unit is nonconforming or not: the count cannot exceed the units inspected."""
WEIGHTED = frozenset({Kind.EWMA, Kind.CUSUM})
"""Kinds whose points remember the ones before: run rules say nothing about them."""
WITHOUT_LIMITS = frozenset({Kind.Z_MR, Kind.Q, Kind.PRE_CONTROL})
"""Kinds that need no first phase: they are standardised beforehand, start by themselves, or use tolerance."""


class Signal(StrEnum):
    """What a point may say beside the run rules."""

    ABOVE = "above-tolerance"
    BELOW = "below-tolerance"
    SPREAD = "spread"
    EWMA = "ewma"
    CUSUM_HIGH = "cusum-high"
    CUSUM_LOW = "cusum-low"
    ADJUST = "pre-control-adjust"
    STOP = "pre-control-stop"


SIGNAL_WORDS: dict[str, tuple[str, str]] = {
    Signal.ABOVE: ("above the tolerance", "超出公差上限"),
    Signal.BELOW: ("below the tolerance", "低于公差下限"),
    Signal.SPREAD: ("the spread is beyond its limit", "离散度超限"),
    Signal.EWMA: ("the weighted mean is beyond its limit", "加权均值超限"),
    Signal.CUSUM_HIGH: ("the cumulative sum drifts up", "累积和向上漂移"),
    Signal.CUSUM_LOW: ("the cumulative sum drifts down", "累积和向下漂移"),
    Signal.ADJUST: ("pre-control: adjust, then 5 greens", "预控图：调整后须连续 5 件绿区"),
    Signal.STOP: ("pre-control: stop and find the cause", "预控图：停机查找原因"),
    **{str(rule): words for rule, words in WORDS.items()},
}
"""Every signal in English and Chinese."""

TOLERANCE = frozenset({Signal.ABOVE, Signal.BELOW, Signal.STOP})
"""Signals that stand on the tolerance and not on limits that were estimated."""


class Spec(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a characteristic is charted.

    ``size`` is the values of a subgroup, or the units inspected for one count. ``lower``, ``upper`` and
    ``nominal`` are the tolerance; ``target`` and ``sigma`` what is known of the process beforehand, both
    together stand for limits. ``weight`` (lambda), ``width`` (in sigmas) and ``start`` are those of EWMA,
    ``slack`` (k) and ``decision`` (h), both in sigmas, those of CUSUM. ``steady``: EWMA has its final limits
    from the first point on. ``across_parts``: moving ranges also between pieces of different parts.
    """

    kind: Kind
    rules: tuple[Rule, ...] = DEFAULT
    size: int = 1
    lower: float | None = None
    upper: float | None = None
    nominal: float | None = None
    target: float | None = None
    sigma: float | None = None
    weight: float = 0.2
    width: float = 2.962
    start: float | None = None
    steady: bool = False
    slack: float = 0.5
    decision: float = 5.0
    across_parts: bool = True


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was measured: one value, a subgroup, or a count with the units inspected (``size``).

    ``nominal``, ``lower``, ``upper`` and ``sigma`` are those of the ``part`` measured, where parts differ;
    left out, those of the chart hold.
    """

    values: tuple[float, ...]
    size: float = 0.0
    nominal: float | None = None
    lower: float | None = None
    upper: float | None = None
    sigma: float | None = None
    part: str = ""


class Phase(StrEnum):
    """What a point was judged by."""

    LEARNING = "learning"
    """Nothing yet: too few points."""
    PROVISIONAL = "provisional"
    """Limits from few points, or not frozen by anybody."""
    FROZEN = "frozen"


class Point(msgspec.Struct, frozen=True, omit_defaults=True):
    """One point of a chart. ``second`` is the lower chart: moving range, range, standard deviation, or the
    lower sum of CUSUM. Limits are None where there are none yet.
    """

    number: int
    plotted: float | None
    second: float | None = None
    lower: float | None = None
    center: float | None = None
    upper: float | None = None
    second_lower: float | None = None
    second_upper: float | None = None
    phase: Phase = Phase.LEARNING
    signals: tuple[str, ...] = ()


class SampleError(ValueError):
    """A sample that its chart cannot take."""


def in_words(signals: tuple[str, ...]) -> tuple[str, str]:
    """Signals as one line in English and one in Chinese."""
    return (
        "; ".join(SIGNAL_WORDS[name][0] for name in signals),
        "；".join(SIGNAL_WORDS[name][1] for name in signals),
    )
