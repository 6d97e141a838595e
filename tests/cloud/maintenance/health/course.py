"""Makes windows of a machine as the service would gather them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.facts import TagFacts
from cloud.maintenance.health.gathering import TagSpan, Window
from cloud.maintenance.health.limits import Limits

SPAN = 60_000_000
LIMITS = Limits(learn=30)
FACTS = {
    "vibration": TagFacts("vibration", "vibration", "mm/s"),
    "temperature": TagFacts("temperature", "temperature", "°C"),
    "spindle_load": TagFacts("spindle_load", "spindle_load", "%"),
}


def healthy(count: int, seed: int = 1, mean: float = 2.0, sigma: float = 0.1) -> list[float]:
    generator = random.Random(seed)
    return [generator.gauss(mean, sigma) for _ in range(count)]


def span(mean: float | None) -> TagSpan:
    """A tag that told ``mean`` throughout, with some noise; None: nothing."""
    return TagSpan() if mean is None else TagSpan(mean, mean - 0.05, mean + 0.05, 1.0, 60)


def window(
    number: int,
    means: Mapping[str, float | TagSpan | None],
    mode: str = "processing",
    program: str = "",
    *,
    broken: bool = False,
) -> Window:
    spans = {tag: each if isinstance(each, TagSpan) else span(each) for tag, each in means.items()}
    return Window(number * SPAN, mode, program, spans, broken)


def fed(
    health: AssetHealth,
    means: Sequence[float],
    tag: str = "vibration",
    mode: str = "processing",
    limits: Limits = LIMITS,
    facts: Mapping[str, TagFacts] = FACTS,
) -> None:
    """Windows in which ``tag`` alone is told, one after another."""
    start = health.updated // SPAN + 1
    for step, mean in enumerate(means):
        health.take(window(start + step, {tag: mean}, mode), facts, limits, SPAN)
