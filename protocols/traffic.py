"""Who may drive where: nodes and the ground between them are reserved before they are released.

No two vehicles ever have the same node or the same ground between two nodes. Deadlocks are avoided, not
found: what is reserved must leave the site *safe* — there must be an order in which one vehicle after the
other can go through the rest of its way and home to its own parking node while all others stand (Dijkstra's
banker, EWD 623, with ways for currency). Every vehicle needs a parking node that nobody else drives through.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from protocols.routing import NoWayError, Resource, Roads, Route, between


class TrafficError(ValueError):
    """A vehicle or way that the traffic rules cannot take in; says why."""


@dataclass(slots=True)
class Claim:
    """One vehicle: its way, how much of it is reserved and how far it has come.

    ``route[at]`` is the node it stands at or has passed last; up to ``route[reserved]`` all is its own.
    """

    home: str
    route: tuple[str, ...]
    at: int = 0
    reserved: int = 0

    @property
    def node(self) -> str:
        return self.route[self.at]

    @property
    def rest(self) -> tuple[str, ...]:
        """What is not reserved yet."""
        return self.route[self.reserved + 1 :]

    def held(self) -> set[Resource]:
        """Nodes and ground that are its own."""
        nodes = self.route[self.at : self.reserved + 1]
        return {*nodes, *(between(a, b) for a, b in pairwise(nodes))}


@dataclass(slots=True)
class Traffic:
    """All vehicles on one site graph."""

    roads: Roads
    claims: dict[str, Claim] = field(default_factory=dict, init=False)

    def enter(self, vehicle: str, node: str, home: str) -> None:
        """A vehicle appears where it stands.

        Raises:
            TrafficError: somebody stands there or parks there, or it could not get home.
        """
        for other, claim in self.claims.items():
            if node in claim.held():
                raise TrafficError(f"{vehicle} cannot stand at {node}: {other} has it")
            if home == claim.home:
                raise TrafficError(f"{vehicle} cannot park at {home}: {other} parks there")
        claims = {**self.claims, vehicle: Claim(home, (node,))}
        if not self._safe(claims):
            raise TrafficError(f"{vehicle} at {node} would block the site: move it to {home}")
        self.claims = claims

    def resume(self, vehicle: str, home: str, route: tuple[str, ...], at: int, reserved: int) -> None:
        """A vehicle that was under way before a restart has what it had.

        Raises:
            TrafficError: another one has it meanwhile.
        """
        claim = Claim(home, route, at, reserved)
        for other, others in self.claims.items():
            if shared := claim.held() & others.held():
                raise TrafficError(f"{vehicle} and {other} both have {min(map(str, shared))}")
        self.claims[vehicle] = claim

    def leave(self, vehicle: str) -> None:
        """A vehicle is taken off the site."""
        self.claims.pop(vehicle, None)

    def assign(self, vehicle: str, route: Route) -> bool:
        """Give a vehicle that has come to its end another way; False when that would not be safe now.

        Raises:
            TrafficError: it is still on its way, or the way begins elsewhere or at another's home.
        """
        claim = self.claims[vehicle]
        if claim.at != len(claim.route) - 1:
            raise TrafficError(f"{vehicle} is still on its way to {claim.route[-1]}")
        if route.nodes[0] != claim.node:
            raise TrafficError(f"{vehicle} stands at {claim.node}, the way begins at {route.nodes[0]}")
        for other, others in self.claims.items():
            if other != vehicle and others.home in route.nodes:
                raise TrafficError(f"{vehicle} may not drive over {others.home}: {other} parks there")
        after = {**self.claims, vehicle: Claim(claim.home, route.nodes)}
        if not self._safe(after):
            return False
        self.claims = after
        return True

    def reserve(self, vehicle: str, ahead: int) -> int:
        """Reserve up to ``ahead`` nodes beyond the vehicle; how many nodes of its way are its own now."""
        claim = self.claims[vehicle]
        while claim.reserved < min(claim.at + ahead, len(claim.route) - 1):
            here, there = claim.route[claim.reserved], claim.route[claim.reserved + 1]
            wanted: set[Resource] = {there, between(here, there)}
            if any(wanted & other.held() for name, other in self.claims.items() if name != vehicle):
                break
            wider = Claim(claim.home, claim.route, claim.at, claim.reserved + 1)
            if not self._safe({**self.claims, vehicle: wider}):
                break
            claim.reserved += 1
        return claim.reserved + 1

    def passed(self, vehicle: str, index: int) -> None:
        """The vehicle has reached ``route[index]``: what lies behind it is free.

        Raises:
            TrafficError: it is where nothing was reserved for it.
        """
        claim = self.claims[vehicle]
        if index > claim.reserved:
            raise TrafficError(f"{vehicle} is at {claim.route[index]}, which is not reserved for it")
        claim.at = max(claim.at, index)

    def shorten(self, vehicle: str) -> None:
        """Its order was cancelled: the way ends with what is reserved."""
        claim = self.claims[vehicle]
        claim.route = claim.route[: claim.reserved + 1]

    def stopped(self, vehicle: str, index: int) -> None:
        """It stands at ``route[index]`` and goes no further."""
        claim = self.claims[vehicle]
        claim.route, claim.at, claim.reserved = (claim.route[index],), 0, 0

    def homes_of_others(self, vehicle: str) -> set[Resource]:
        """Nodes that a way of this vehicle may not use."""
        return {claim.home for name, claim in self.claims.items() if name != vehicle}

    def _safe(self, claims: Mapping[str, Claim]) -> bool:
        """Whether one after the other can go through its way and home."""
        waiting = dict(claims)
        while waiting:
            for name, claim in waiting.items():
                others: set[Resource] = set()
                for other, each in claims.items():
                    if other != name:
                        others |= each.held() if other in waiting else {each.home}
                        others.add(each.home)
                if self._can_go_home(claim, others):
                    del waiting[name]
                    break
            else:
                return False
        return True

    def _can_go_home(self, claim: Claim, others: Collection[Resource]) -> bool:
        way = claim.route[claim.reserved :]
        for a, b in pairwise(way):
            if b in others or between(a, b) in others:
                return False
        try:
            self.roads.route(way[-1], claim.home, others)
        except NoWayError:
            return False
        return True
