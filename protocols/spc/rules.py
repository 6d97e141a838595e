"""Run rules: patterns in a series of standardised points that a process in control hardly ever shows.

Points are ``z``: distance from the centre line in standard deviations of what is plotted. Conventions, the
same for every rule:

- a signal belongs to the point that completes the pattern;
- *beyond* means strictly beyond: a point exactly on a limit is not beyond it;
- a point exactly on the centre line belongs to no side and breaks a run; equal neighbours break a trend;
- "2 of 3" and "4 of 5" also count within the first points of a chart, before a whole window exists, and the
  completing point must itself be beyond.

Sources: Nelson, Journal of Quality Technology 16 (1984) 237; Western Electric, Statistical Quality Control
Handbook (1956). The rules that both have in common stand here once: see ``ALIASES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import pairwise

WINDOW = 15
"""The most points that any rule looks back on, the completing one included."""

_SLACK = 1e-9
"""A point this near to a limit is on it: limits and points carry rounding errors."""


class Rule(StrEnum):
    """Numbered as in Nelson's article; ``we-4`` is the only one of Western Electric that he changed."""

    NELSON_1 = "nelson-1"
    NELSON_2 = "nelson-2"
    NELSON_3 = "nelson-3"
    NELSON_4 = "nelson-4"
    NELSON_5 = "nelson-5"
    NELSON_6 = "nelson-6"
    NELSON_7 = "nelson-7"
    NELSON_8 = "nelson-8"
    WE_4 = "we-4"


ALIASES = {
    "we-1": (Rule.NELSON_1,),
    "we-2": (Rule.NELSON_5,),
    "we-3": (Rule.NELSON_6,),
    "western-electric": (Rule.NELSON_1, Rule.NELSON_5, Rule.NELSON_6, Rule.WE_4),
    "nelson": tuple(rule for rule in Rule if rule is not Rule.WE_4),
}
"""Other names for rules and sets of them."""

DEFAULT: tuple[Rule, ...] = (Rule.NELSON_1, Rule.NELSON_2, Rule.NELSON_5)
"""Few, because each rule more costs false alarms: see :mod:`protocols.spc.run_lengths`."""

WORDS: dict[Rule, tuple[str, str]] = {
    Rule.NELSON_1: ("beyond 3 sigma", "超出 3σ"),
    Rule.NELSON_2: ("9 in a row on one side of the centre", "连续 9 点在中心线同侧"),
    Rule.NELSON_3: ("6 in a row going up or down", "连续 6 点上升或下降"),
    Rule.NELSON_4: ("14 in a row alternating up and down", "连续 14 点上下交替"),
    Rule.NELSON_5: ("2 of 3 beyond 2 sigma on one side", "3 点中有 2 点在同侧 2σ 之外"),
    Rule.NELSON_6: ("4 of 5 beyond 1 sigma on one side", "5 点中有 4 点在同侧 1σ 之外"),
    Rule.NELSON_7: ("15 in a row within 1 sigma", "连续 15 点在 1σ 之内"),
    Rule.NELSON_8: ("8 in a row beyond 1 sigma on either side", "连续 8 点在 1σ 之外（任一侧）"),
    Rule.WE_4: ("8 in a row on one side of the centre", "连续 8 点在中心线同侧"),
}
"""What each rule says, in English and Chinese."""


def known_rules() -> list[str]:
    """Every name that :func:`rules_of` understands."""
    return [*(str(rule) for rule in Rule), *ALIASES]


def rules_of(names: Iterable[str]) -> tuple[Rule, ...]:
    """Rules by name, aliases resolved, each once in table order; raises ValueError naming what is unknown."""
    found: set[Rule] = set()
    for name in names:
        if name in ALIASES:
            found.update(ALIASES[name])
        else:
            found.add(Rule(name))
    return tuple(rule for rule in Rule if rule in found)


def signals(z: Sequence[float], rules: Sequence[Rule] = DEFAULT) -> list[tuple[int, Rule]]:
    """Every (index from 0, rule) at which a pattern is completed."""
    return [
        (index, rule)
        for index in range(len(z))
        for rule in signals_at(z[max(0, index - WINDOW + 1) : index + 1], rules)
    ]


def signals_at(recent: Sequence[float], rules: Sequence[Rule] = DEFAULT) -> tuple[Rule, ...]:
    """Rules that the last point completes; ``recent`` has up to :data:`WINDOW` points, that one included."""
    return tuple(rule for rule in rules if _CHECKS[rule](recent))


def beyond(z: float, limit: float) -> bool:
    """Whether a point lies strictly beyond ``limit`` standard deviations, to either side."""
    return abs(z) > limit + _SLACK


def _side(z: float) -> int:
    return 0 if abs(z) <= _SLACK else 1 if z > 0 else -1


def _one_side(length: int) -> Callable[[Sequence[float]], bool]:
    def check(z: Sequence[float]) -> bool:
        run = z[-length:]
        side = _side(z[-1])
        return len(run) == length and side != 0 and all(_side(point) == side for point in run)

    return check


def _some_of(wanted: int, window: int, limit: float) -> Callable[[Sequence[float]], bool]:
    def check(z: Sequence[float]) -> bool:
        side = _side(z[-1])
        return (
            beyond(z[-1], limit) and sum(beyond(p, limit) and _side(p) == side for p in z[-window:]) >= wanted
        )

    return check


def _trend(z: Sequence[float]) -> bool:
    run = z[-6:]
    steps = [_side(b - a) for a, b in pairwise(run)]
    return len(run) == 6 and steps[0] != 0 and all(step == steps[0] for step in steps)


def _alternating(z: Sequence[float]) -> bool:
    run = z[-14:]
    steps = [_side(b - a) for a, b in pairwise(run)]
    return len(run) == 14 and steps[0] != 0 and all(a == -b for a, b in pairwise(steps))


def _within(z: Sequence[float]) -> bool:
    run = z[-15:]
    return len(run) == 15 and all(abs(point) < 1 - _SLACK for point in run)


def _outside(z: Sequence[float]) -> bool:
    run = z[-8:]
    return len(run) == 8 and all(beyond(point, 1) for point in run)


_CHECKS: dict[Rule, Callable[[Sequence[float]], bool]] = {
    Rule.NELSON_1: lambda z: beyond(z[-1], 3),
    Rule.NELSON_2: _one_side(9),
    Rule.NELSON_3: _trend,
    Rule.NELSON_4: _alternating,
    Rule.NELSON_5: _some_of(2, 3, 2),
    Rule.NELSON_6: _some_of(4, 5, 1),
    Rule.NELSON_7: _within,
    Rule.NELSON_8: _outside,
    Rule.WE_4: _one_side(8),
}
