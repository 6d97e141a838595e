"""What is drawn when a plan meets the floor: how durations scatter and how machines fail."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Shape(StrEnum):
    """How durations scatter around the planned one."""

    LOGNORMAL = "lognormal"
    """Mean as planned, standard deviation ``spread`` of it; never negative, now and then far longer."""
    TRIANGULAR = "triangular"
    """Between ``1 − spread`` and ``1 + spread`` of the planned one, most often near it."""


class Breakdowns(Struct, frozen=True, kw_only=True):
    """How a machine fails, in seconds of work between failures and to repair; both exponential."""

    mean_between: float
    mean_repair: float


class Assumptions(Struct, frozen=True, kw_only=True):
    """What is drawn. ``breakdowns`` are by machine id; the same ``seed`` draws the same."""

    spread: float = 0.3
    shape: Shape = Shape.LOGNORMAL
    breakdowns: dict[str, Breakdowns] = field(default_factory=dict)
    samples: int = 1000
    seed: int = 0
