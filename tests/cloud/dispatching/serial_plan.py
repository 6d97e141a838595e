"""A plan that anybody can make: when all windows and levels have passed, one thing after another.

Shows that a random shop can be planned, and is what a search may start from.
"""

from __future__ import annotations

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule, Status, Trip
from cloud.dispatching.solving.activities import Activity, Shop, Spot
from cloud.dispatching.solving.compilation import compile_shop


def serial_plan(problem: Problem) -> Schedule:
    """``problem`` planned in the order of its routings, each longest lag at once after what it hurries."""
    return _Serial(compile_shop(problem)).plan()


class _Serial:
    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.time = _all_past(shop)
        self.state = [station.state for station in shop.stations]
        for station in shop.stations:
            for block in station.blocks:
                self.state[station.index] = block.leave if block.is_work else self.state[station.index]
        self.spots: dict[int, Spot] = {}
        self.trips: list[Trip] = []

    def plan(self) -> Schedule:
        for index in self.shop.order:
            following: int | None = index
            while following is not None and following not in self.spots:
                self.place(self.shop.activities[following])
                hurried = (i for i, _ in self.shop.activities[following].after)
                following = next((i for i in hurried if following in self.shop.activities[i].most), None)
        spots = [self.spots[activity.index] for activity in self.shop.activities]
        return self.shop.schedule(spots, {}, Status.CONSTRUCTED, trips=self.trips)

    def place(self, activity: Activity) -> None:
        option = activity.options[0]
        changeover = self.shop.stations[option.station].changeover[self.state[option.station]][option.state]
        start = max((self.spots[before].end for before in activity.most), default=self.time) + changeover
        for before, lag in activity.before:
            there = self.shop.activities[before].options[0].station
            start = max(start, self.spots[before].end + self.shop.wait(lag, there, option.station))
        vehicles = self.shop.problem.vehicles
        for haul in activity.hauls if vehicles else ():
            there = self.shop.activities[haul.before].options[0].station if haul.before >= 0 else haul.station
            way = self.shop.travel[there][option.station] if self.shop.has_travel else 0
            if way and vehicles:
                ready = self.spots[haul.before].end if haul.before >= 0 else haul.end
                free = self.trips[-1].end + vehicles.empty if self.trips else _all_past(self.shop)
                out = max(ready + haul.lag, free)
                self.trips.append(
                    Trip(operation=haul.operation, predecessor=haul.predecessor, start=out, end=out + way)
                )
                start = max(start, out + way)
        self.state[option.station] = option.state
        self.spots[activity.index] = Spot(0, changeover, start, start + option.seconds)
        self.time = start + option.seconds + (vehicles.empty if vehicles else 0)


def _all_past(shop: Shop) -> int:
    problem = shop.problem
    levels = [level for pool in shop.pools for level in pool.levels]
    levels += problem.vehicles.levels if problem.vehicles else ()
    ends = [problem.now, shop.settled_end, *(level.end for level in levels)]
    ends += [block.end for station in shop.stations for block in station.blocks]
    ends += [option.release for activity in shop.activities for option in activity.options]
    return max(ends) + (problem.vehicles.empty if problem.vehicles else 0)
