"""Which vehicle does which transport, and how far it may go: pure decisions over :mod:`protocols.traffic`.

A job goes to the vehicle that is soonest at its pick-up; older jobs choose first. A vehicle without a job
goes home, so that it stands in nobody's way. How a vehicle is told (VDA 5050, a profile's registers, its
maker's fleet manager) is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from protocols.routing import NoWayError, Roads, Route
from protocols.traffic import Traffic

MIN_BATTERY = 20.0
"""% below which a vehicle takes no job."""


@dataclass(frozen=True, slots=True)
class Haul:
    """Fetch at one node, bring to another."""

    id: str
    pick: str
    drop: str


@dataclass(frozen=True, slots=True)
class Trip:
    """A vehicle's way. ``haul`` is None when it only goes home; ``picks_at`` is the place of the pick-up in
    ``route.nodes``."""

    vehicle: str
    route: Route
    haul: Haul | None = None
    picks_at: int = 0


@dataclass(slots=True)
class Fleet:
    """The vehicles of one site graph. ``ahead`` nodes are released beyond a moving vehicle."""

    roads: Roads
    ahead: int = 3
    trips: dict[str, Trip] = field(default_factory=dict, init=False)
    traffic: Traffic = field(init=False)

    def __post_init__(self) -> None:
        self.traffic = Traffic(self.roads)

    def plan(self, hauls: Iterable[Haul], ready: Mapping[str, float]) -> list[Trip]:
        """New trips. ``ready`` holds the battery (%) of each vehicle that could be told something now."""
        made: list[Trip] = []
        idle = {name: battery for name, battery in ready.items() if self._is_idle(name)}
        able = {name for name, battery in idle.items() if battery >= MIN_BATTERY}
        for haul in hauls:
            for trip in sorted(self._offers(haul, able), key=lambda each: each.route.seconds):
                if self.traffic.assign(trip.vehicle, trip.route):
                    made.append(self._begun(trip))
                    able.discard(trip.vehicle)
                    idle.pop(trip.vehicle)
                    break
        made += [self._begun(trip) for trip in self._ways_home(idle)]
        return made

    def resume(
        self, vehicle: str, home: str, nodes: Sequence[str], at: int, reserved: int, haul: str
    ) -> None:
        """Take in a vehicle that is under way: what was reserved for it before a restart still is.

        Raises:
            TrafficError: another one has it meanwhile.
        """
        self.traffic.resume(vehicle, home, tuple(nodes), at, reserved)
        kept = Haul(haul, "", nodes[-1]) if haul else None
        self.trips[vehicle] = Trip(vehicle, Route(tuple(nodes), (), 0.0), kept)

    def release(self, vehicle: str) -> int:
        """How many nodes of its way a vehicle may have as its base now."""
        return self.traffic.reserve(vehicle, self.ahead)

    def passed(self, vehicle: str, index: int) -> None:
        """It has reached a node of its way."""
        self.traffic.passed(vehicle, index)

    def ended(self, vehicle: str, index: int) -> None:
        """Its trip is over: it stands at ``route.nodes[index]``."""
        self.trips.pop(vehicle, None)
        self.traffic.stopped(vehicle, index)

    def _is_idle(self, vehicle: str) -> bool:
        return vehicle in self.traffic.claims and vehicle not in self.trips

    def _begun(self, trip: Trip) -> Trip:
        self.trips[trip.vehicle] = trip
        return trip

    def _offers(self, haul: Haul, able: set[str]) -> Iterable[Trip]:
        for name in sorted(able):
            taken = self.traffic.homes_of_others(name)
            try:
                there = self.roads.route(self.traffic.claims[name].node, haul.pick, taken)
                back = self.roads.route(haul.pick, haul.drop, taken)
            except NoWayError:
                continue
            # the way to the pick-up decides who is sent
            yield Trip(name, there.then(back), haul, len(there.nodes) - 1)

    def _ways_home(self, idle: Mapping[str, float]) -> Iterable[Trip]:
        for name in sorted(idle):
            claim = self.traffic.claims[name]
            if claim.node == claim.home:
                continue
            try:
                way = self.roads.route(claim.node, claim.home, self.traffic.homes_of_others(name))
            except NoWayError:
                continue
            if self.traffic.assign(name, way):
                yield Trip(name, way)
