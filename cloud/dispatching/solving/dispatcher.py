"""A simulation of the shop in order of time: whenever a machine comes free, a rule picks from what waits."""

from __future__ import annotations

import math
from dataclasses import replace
from heapq import heappop, heappush

from cloud.dispatching.shop.schedule import Service
from cloud.dispatching.solving.activities import Shop, Spot, Task
from cloud.dispatching.solving.dispatch_rules import FAR, Rule
from cloud.dispatching.solving.timeline import Timeline

LEASED = 1e12
"""Worth of work that an edge holds: it comes before all other work that waits for its machine."""

Waiting = tuple[int, int, int, int, bool]
"""Release, activity, option, set-up state, and whether there is a choice of machines."""


class Dispatcher:
    """One simulation of the shop under one rule; :meth:`run` may be called once."""

    def __init__(self, shop: Shop, rule: Rule) -> None:
        self.shop = shop
        worth = [w + LEASED if a.leased else w for w, a in zip(rule.worth, shop.activities, strict=True)]
        self.rule = replace(rule, worth=worth)
        self.lines = [Timeline(station, shop.problem.now) for station in shop.stations]
        self.queue: list[list[Waiting]] = [[] for _ in shop.stations]
        """By station, what is released and waits."""
        self.coming: list[list[Waiting]] = [[] for _ in shop.stations]
        """By station, a heap of what will be released."""
        self.spots: list[Spot | None] = [None] * len(shop.activities)
        self.waits = [len(activity.before) for activity in shop.activities]
        self.release: dict[tuple[int, int], int] = {}
        self.events: list[tuple[int, int, int]] = []
        self.services: dict[str, Service] = {}
        self.tasks: dict[int, list[Task]] = {}
        for task in sorted(shop.tasks, key=lambda t: (t.finish_before, t.id), reverse=True):
            self.tasks.setdefault(task.station, []).append(task)
        self.leases: list[list[int]] = [[] for _ in shop.stations]
        for index in reversed(shop.order):
            activity = shop.activities[index]
            if activity.leased:
                self.leases[activity.options[0].station].append(index)

    def run(self) -> tuple[list[Spot], dict[str, Service]]:
        """Where everything went: spots by activity, services by maintenance id."""
        for activity in self.shop.activities:
            if not activity.before:
                self._announce(activity.index)
        while self.events:
            time, second_look, station = heappop(self.events)
            self._look(time, bool(second_look), station)
        for station in self.tasks:
            self._serve(station, FAR)
        spots = [spot for spot in self.spots if spot is not None]
        if len(spots) != len(self.spots):
            raise RuntimeError("the dispatch left operations out; the routing has a cycle")
        return spots, self.services

    def _announce(self, index: int) -> None:
        """All predecessors are placed: tell every machine that can do it from when on."""
        activity = self.shop.activities[index]
        wanted = self.rule.station[index] if self.rule.station else -1
        on_wanted = any(option.station == wanted for option in activity.options)
        for position, option in enumerate(activity.options):
            if on_wanted and option.station != wanted:
                continue
            release = option.release
            for before, lag in activity.before:
                spot = self.spots[before]
                if spot is not None:
                    from_station = self.shop.activities[before].options[spot.option].station
                    release = max(release, spot.end + self.shop.wait(lag, from_station, option.station))
            waiting = (release, index, position, option.state, len(activity.options) > 1)
            heappush(self.coming[option.station], waiting)
            heappush(self.events, (max(release, self.lines[option.station].free), 0, option.station))
            self.release[index, position] = release

    def _look(self, time: int, second_look: bool, station: int) -> None:
        """The machine may be free at ``time``: start the best of what waits, or look again later."""
        line = self.lines[station]
        if line.free > time:
            return  # an event waits at that time
        coming, queue = self.coming[station], self.queue[station]
        while coming and coming[0][0] <= time:
            queue.append(heappop(coming))
        if not queue:
            return
        if line.has_blocks:
            line.advance(time)
            until = line.closed_until(time)
            if until is not None:
                heappush(self.events, (until, 0, station))
                return
        chosen = self._choose(time, second_look, station)
        if chosen is None:
            return
        release, index, position, _, _ = chosen
        option = self.shop.activities[index].options[position]
        if station in self.tasks and self._serve(station, line.place(option, release)[2]):
            heappush(self.events, (max(time, line.free), 0, station))
            return
        self.queue[station].remove(chosen)
        self._start(station, index, position, release)

    def _choose(self, time: int, second_look: bool, station: int) -> Waiting | None:
        """What the rule would start now; ``None`` if it would rather wait, which it then sees to itself.

        The inner loop of the whole construction: names are local, and what is dear comes last.
        """
        rule = self.rule
        worth, latest, urgency, per_changeover = rule.worth, rule.latest, rule.urgency, rule.changeover
        line = self.lines[station]
        row = line.changeovers()
        in_gaps = line.has_blocks
        lease = self._reserved(station, time) if self.leases[station] else None
        spots = self.spots
        best: Waiting | None = None
        best_score = -math.inf
        again = FAR
        gone = False
        for waiting in self.queue[station]:
            release, index, position, state, choice = waiting
            if choice and spots[index] is not None:
                gone = True
                continue
            score = worth[index] - per_changeover * row[state]
            left = latest[index] - time
            if left > 0.0:
                score -= urgency * left
            if score <= best_score:
                continue
            if lease is not None and lease[2] != index and not self._fits_before(station, waiting, lease):
                continue
            if in_gaps:
                option = self.shop.activities[index].options[position]
                score -= rule.delay * max(0, line.place(option, release)[1] - time)
                if score <= best_score:
                    continue
            if choice:
                better = self._better_elsewhere(time, station, waiting)
                if better is not None and (better > time or not second_look):
                    again = min(again, better)
                    continue
            best, best_score = waiting, score
        if gone:
            self.queue[station] = [w for w in self.queue[station] if spots[w[1]] is None]
        if best is None and self.queue[station]:
            if again < FAR:
                heappush(self.events, (max(again, time), 1, station))
            elif lease is not None:
                heappush(self.events, (lease[0], 0, station))
        return best

    def _reserved(self, station: int, time: int) -> tuple[int, int, int] | None:
        """(expected start, set-up state, activity) of the next leased work here, if it is still to come."""
        leases = self.leases[station]
        while leases and self.spots[leases[-1]] is not None:
            leases.pop()
        if not leases:
            return None
        option = self.shop.activities[leases[-1]].options[0]
        expected = self.release.get((leases[-1], 0), option.release)
        return (expected, option.state, leases[-1]) if expected > time else None

    def _fits_before(self, station: int, waiting: Waiting, lease: tuple[int, int, int]) -> bool:
        release, index, position, state, _ = waiting
        line = self.lines[station]
        end = line.place(self.shop.activities[index].options[position], release)[2]
        return end + line.changeover(state, lease[1]) <= lease[0]

    def _better_elsewhere(self, time: int, station: int, waiting: Waiting) -> int | None:
        """When another machine could begin it so that it ends earlier than here; ``None`` if none could."""
        release, index, position, _, _ = waiting
        options = self.shop.activities[index].options
        end = self.lines[station].place(options[position], release)[2]
        soonest: int | None = None
        for other, option in enumerate(options):
            there = self.release.get((index, other))
            if other == position or there is None:
                continue
            line = self.lines[option.station]
            if max(line.free, there) + option.seconds >= end:
                continue
            if line.place(option, there)[2] < end:
                begin = max(line.free, there, time)
                soonest = begin if soonest is None else min(soonest, begin)
        return soonest

    def _start(self, station: int, index: int, position: int, release: int) -> None:
        option = self.shop.activities[index].options[position]
        changeover, start, end = self.lines[station].take(option, release)
        self.spots[index] = Spot(position, changeover, start, end)
        heappush(self.events, (end, 0, station))
        for follower, _ in self.shop.activities[index].after:
            self.waits[follower] -= 1
            if not self.waits[follower]:
                self._announce(follower)

    def _serve(self, station: int, until: int) -> bool:
        """Do maintenance now that could not be done in time after ``until``; says whether any was done."""
        tasks, line = self.tasks[station], self.lines[station]
        done = False
        while tasks:
            task = tasks[-1]
            later = line.gap(max(task.earliest, until), task.seconds)
            if until < FAR and later + task.seconds <= task.finish_before:
                break
            tasks.pop()
            start = line.gap(max(task.earliest, line.free), task.seconds)
            if start + task.seconds <= task.finish_before:
                machine = self.shop.stations[station].id
                self.services[task.id] = Service(machine=machine, start=start, end=start + task.seconds)
                line.advance(start)
                line.free = start + task.seconds
                done = True
        return done
