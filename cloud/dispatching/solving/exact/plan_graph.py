"""The decisions for a shop and what follows from them: queues, followers, longest paths to the jobs' ends."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cloud.dispatching.shop.schedule import Service
from cloud.dispatching.solving.activities import Option, Shop, Spot

NEVER = -(1 << 50)
"""Length of a path that does not exist."""


class PlanGraph:
    """A plan as a graph: an activity is followed by what its routing and its machine's queue have next."""

    def __init__(self, shop: Shop, spots: Sequence[Spot], services: Mapping[str, Service]) -> None:
        self.shop = shop
        self.spots = tuple(spots)
        self.services = dict(services)
        rank = {index: position for position, index in enumerate(shop.order)}
        activities = zip(shop.activities, spots, strict=True)
        self.station = [activity.options[spot.option].station for activity, spot in activities]
        self.by_start = sorted(range(len(spots)), key=lambda i: (spots[i].start, spots[i].end, rank[i]))
        self._starts = [spots[index].start for index in self.by_start]
        self.queues: list[list[int]] = [[] for _ in shop.stations]
        for index in self.by_start:
            self.queues[self.station[index]].append(index)
        self.next = [-1] * len(spots)
        self.previous = [-1] * len(spots)
        for queue in self.queues:
            for one, other in pairwise(queue):
                self.next[one], self.previous[other] = other, one
        self.job_ends = [max([job.end, *(spots[i].end for i in job.activities)]) for job in shop.jobs]
        self._paths: tuple[list[int], NDArray[np.int64]] | None = None

    def option(self, index: int) -> Option:
        """The chosen option of an activity."""
        return self.shop.activities[index].options[self.spots[index].option]

    def between(self, start: int, end: int) -> list[int]:
        """Activities that start in [start, end), in order."""
        return self.by_start[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def since(self, start: int) -> list[int]:
        """Activities that start at ``start`` or later, in order."""
        return self.by_start[bisect_left(self._starts, start) :]

    def followers(self, index: int) -> Iterator[tuple[int, int]]:
        """What waits for an activity, by routing or on its machine, with the seconds between."""
        station = self.station[index]
        for after, lag in self.shop.activities[index].after:
            yield after, self.shop.wait(lag, station, self.station[after])
        if self.next[index] >= 0:
            yield self.next[index], self.spots[self.next[index]].changeover

    def paths(self) -> tuple[list[int], NDArray[np.int64]]:
        """The jobs that are or may become late, and by activity the longest path from its end to their ends.

        One column a job; the last column is the longest path to any end.
        """
        if self._paths is None:
            jobs = self._endangered()
            self._paths = jobs, self._longest_paths(jobs)
        return self._paths

    def _endangered(self) -> list[int]:
        margin = (max(spot.end for spot in self.spots) - self.shop.problem.now) // 5
        return [
            number
            for number, (job, end) in enumerate(zip(self.shop.jobs, self.job_ends, strict=True))
            if job.due is not None and job.weight and job.activities and end > job.due - margin
        ]

    def _longest_paths(self, jobs: list[int]) -> NDArray[np.int64]:
        longest = np.full((len(self.spots), len(jobs) + 1), NEVER, dtype=np.int64)
        longest[:, -1] = 0
        for column, number in enumerate(jobs):
            longest[list(self.shop.jobs[number].activities), column] = 0
        for index in reversed(self.by_start):
            row = longest[index]
            for after, wait in self.followers(index):
                spot = self.spots[after]
                np.maximum(row, longest[after] + (wait + spot.end - spot.start), out=row)
        return longest
