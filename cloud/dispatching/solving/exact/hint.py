"""Warm start: a value of a plan for every variable of a model, so that the solver begins with that plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from cloud.dispatching.shop.schedule import Service, Trip
from cloud.dispatching.solving.activities import Block, Spot
from cloud.dispatching.solving.exact.cp_model import ShopModel
from cloud.dispatching.solving.exact.symmetry import arranged
from cloud.dispatching.solving.exact.variables import Rest


class Hint:
    """Values of a plan for every variable of a model; :meth:`give` has its search start from them."""

    def __init__(
        self,
        model: ShopModel,
        spots: Sequence[Spot],
        services: Mapping[str, Service],
        trips: Sequence[Trip] = (),
    ) -> None:
        self.m = model
        self.spots, carried = arranged(model.shop, spots, trips)
        self.services = services
        self.trips = {(trip.operation, trip.predecessor): trip for trip in carried}

    def give(self) -> None:
        m, shop = self.m, self.m.shop
        add = m.model.add_hint
        for activity, spot in zip(shop.activities, self.spots, strict=True):
            add(m.start[activity.index], spot.start)
            end = m.end[activity.index]
            if hasattr(end, "index"):
                add(end, spot.end)
            for position, choice in enumerate(m.choices[activity.index]):
                here = position == spot.option
                if choice.present is not True:
                    add(choice.present, here)
                if not isinstance(choice.changeover, int):
                    add(choice.changeover, spot.changeover if here else 0)
                    add(choice.begin, spot.start - spot.changeover if here else shop.problem.now)
                if choice.size is not None:
                    option = activity.options[position]
                    taken = spot.end - spot.start + spot.changeover
                    add(choice.size, taken if here else option.seconds)
                self._rests(choice.rests, spot if here else None)
        for task, (done, start) in zip(shop.tasks, m.service, strict=True):
            service = self.services.get(task.id)
            add(done, service is not None)
            add(start, service.start if service else task.earliest)
        self._arcs()
        self._carried()
        reached = self._sources()
        for number, late in m.job_late:
            job = shop.jobs[number]
            end = max([job.end, *(self.spots[index].end for index in job.activities)])
            end = max([end, *(reached[source] + seconds for source, seconds in job.tails)])
            add(late, max(0, end - (job.due or 0)))
        for index, position, off in m.wish_off:
            add(off, abs(self.spots[index].start - shop.activities[index].wishes[position].start))
        for index, pinned, after in m.pinned_late:
            add(after, max(0, self.spots[index].start - pinned))
        if m.latest is not None:
            ends = [shop.settled_end, *(s.end for s in self.spots)]
            add(m.latest, max([*ends, *(reached[source] + seconds for source, seconds in shop.closing)]))

    def _rests(self, rests: Sequence[Rest], spot: Spot | None) -> None:
        """How work at ``spot`` lies to its pauses; ``None``: it is not done on this machine."""
        add = self.m.model.add_hint
        for rest in rests:
            after = spot is not None and spot.start - spot.changeover >= rest.pause.end
            before = spot is not None and spot.end <= rest.pause.start
            add(rest.after, after and not before)
            add(rest.before, before)
            add(rest.over, spot is not None and not after and not before)

    def _carried(self) -> None:
        """Trips as the plan has them; where it has none, the way takes no time."""
        add = self.m.model.add_hint
        for carried in self.m.trips:
            haul = carried.haul
            trip = self.trips.get((haul.operation, haul.predecessor))
            vehicles = self.m.shop.problem.vehicles
            earliest = self.m.shop.problem.now + (vehicles.empty if vehicles else 0)
            add(carried.start, trip.start if trip else earliest)
            for seconds, literal in carried.ways.items():
                if literal is not True:
                    add(literal, seconds == (trip.end - trip.start if trip else 0))

    def _sources(self) -> list[int]:
        m, shop = self.m, self.m.shop
        reached = [
            self.spots[source.activity].end if source.activity >= 0 else shop.problem.now
            for source in shop.sources
        ]
        for activity, spot in zip(shop.activities, self.spots, strict=True):
            option = activity.options[spot.option]
            number = m.station_source.get(option.station, -1)
            if number >= 0:
                state = shop.sources[number].state
                change = shop.stations[option.station].changeover[option.state][state]
                reached[number] = max(reached[number], spot.end + change)
        for number in m.station_source.values():
            m.model.add_hint(m.source[number], reached[number])
        return reached

    def _arcs(self) -> None:
        taken: set[tuple[int, int, int]] = set()
        for station, nodes in zip(self.m.shop.stations, self.m.nodes, strict=True):
            stays: list[tuple[int, int, int]] = []
            for at, node in enumerate(nodes, start=1):
                if isinstance(node, Block):
                    stays.append((node.start, node.end, at))
                elif self.spots[node[0]].option == node[1]:
                    stays.append((self.spots[node[0]].start, self.spots[node[0]].end, at))
            path = [0, *(at for _, _, at in sorted(stays)), 0]
            taken.update((station.index, one, other) for one, other in pairwise(path))
        for station_index, one, other, literal in self.m.arcs:
            self.m.model.add_hint(literal, (station_index, one, other) in taken)
