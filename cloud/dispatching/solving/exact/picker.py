"""Which part of a plan to decide anew: around late jobs mostly, in one of several shapes."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from cloud.dispatching.solving.activities import Shop
from cloud.dispatching.solving.exact.plan_graph import PlanGraph


class Picker:
    """Chooses free activities; the same random numbers give the same choices."""

    def __init__(self, shop: Shop, rng: random.Random) -> None:
        self.shop = shop
        self.rng = rng
        self.shapes: tuple[Callable[[PlanGraph, int, int], set[int]], ...] = (
            self._around_in_time,
            self._on_some_machines,
            self._competing_jobs,
        )
        self.jobs_of: list[list[int]] = [[] for _ in shop.activities]
        for number, job in enumerate(shop.jobs):
            for index in job.activities:
                self.jobs_of[index].append(number)

    def pick(self, plan: PlanGraph, size: int) -> set[int]:
        """About ``size`` activities, one at least."""
        focus = self._focus(plan)
        return self.rng.choice(self.shapes)(plan, focus, size) | {focus}

    def _focus(self, plan: PlanGraph) -> int:
        late = [
            (job, cost)
            for job, end in zip(self.shop.jobs, plan.job_ends, strict=True)
            if job.due is not None and job.activities and (cost := job.weight * (end - job.due)) > 0
        ]
        if late and self.rng.random() < 0.7:
            job = self.rng.choices([job for job, _ in late], [cost for _, cost in late])[0]
            return self.rng.choice(job.activities)
        return self.rng.randrange(len(plan.spots))

    def _around_in_time(self, plan: PlanGraph, focus: int, size: int) -> set[int]:
        return self._nearest(plan, focus, range(len(plan.spots)), size)

    def _on_some_machines(self, plan: PlanGraph, focus: int, size: int) -> set[int]:
        """The machines the focus can use and those of its neighbours in the routing, for a longer time."""
        activity = self.shop.activities[focus]
        stations = {option.station for option in activity.options}
        count = self.rng.randint(1, 4)
        for neighbour, _ in (*activity.before, *activity.after):
            if len(stations) <= count:
                stations.add(plan.station[neighbour])
        there = [index for station in stations for index in plan.queues[station]]
        return self._nearest(plan, focus, there, size)

    def _competing_jobs(self, plan: PlanGraph, focus: int, size: int) -> set[int]:
        """The job of the focus, and jobs whose work runs just before or after its, from the focus on."""
        spots = plan.spots
        free: set[int] = set()
        seen: set[int] = set()
        queue = list(self.jobs_of[focus])
        while queue and len(free) < size:
            number = queue.pop(0)
            if number in seen:
                continue
            seen.add(number)
            members = [i for i in self.shop.jobs[number].activities if spots[i].start >= spots[focus].start]
            free.update(members)
            near = [i for member in members for i in self._beside(plan, member)]
            self.rng.shuffle(near)
            queue += [other for i in near for other in self.jobs_of[i]]
        return self._nearest(plan, focus, free, size)

    def _beside(self, plan: PlanGraph, index: int) -> list[int]:
        """Two before and two after in the machine's queue."""
        found = []
        for step in (plan.previous, plan.next):
            at = index
            for _ in range(2):
                at = step[at]
                if at < 0:
                    break
                found.append(at)
        return found

    def _nearest(self, plan: PlanGraph, focus: int, among: Collection[int], size: int) -> set[int]:
        middle = plan.spots[focus].start
        return set(sorted(among, key=lambda i: abs(plan.spots[i].start - middle))[:size])
