"""The course of an asset since it was learned, in few points: what the plot of a case shows. Pure."""

from __future__ import annotations

import msgspec

POINTS = 64
"""Most points kept; when they are full, every second goes and the rest are twice as far apart."""


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One judged window: its end (µs UTC), deviation in multiples of the threshold, regime, means by tag."""

    end: int
    score: float
    regime: str
    means: dict[str, float]


class Trend(msgspec.Struct):
    """Points evenly spaced in judged windows, the newest always among them."""

    points: list[Point] = []
    stride: int = 1
    count: int = 0

    def add(self, point: Point) -> None:
        """Take a judged window into the course."""
        if self.points and (self.count - 1) % self.stride:
            self.points[-1] = point
        else:
            self.points.append(point)
        self.count += 1
        if len(self.points) > POINTS:
            self.points = self.points[::-2][::-1]
            self.stride *= 2
