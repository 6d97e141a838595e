"""Shortest ways on the site graph, by time (Dijkstra 1959)."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from protocols.site_graph import GraphEdge, SiteGraph

USUAL_SPEED = 1.2
"""m/s where an edge does not say."""

Resource = str | frozenset[str]
"""What only one vehicle may have: a node, or the ground between two nodes whichever way it is driven."""


def between(a: str, b: str) -> Resource:
    """The ground between two nodes."""
    return frozenset((a, b))


@dataclass(frozen=True, slots=True)
class Route:
    """Nodes from first to last, with the edges between them, and seconds for all of it."""

    nodes: tuple[str, ...]
    edges: tuple[GraphEdge, ...]
    seconds: float

    def then(self, other: Route) -> Route:
        """This way and another one that begins where it ends."""
        if self.nodes[-1] != other.nodes[0]:
            raise ValueError(f"a way to {self.nodes[-1]} does not lead on from {other.nodes[0]}")
        return Route(self.nodes + other.nodes[1:], self.edges + other.edges, self.seconds + other.seconds)


class NoWayError(ValueError):
    """There is no way between two nodes, or none that is free."""


class Roads:
    """A site graph, ready to be searched."""

    def __init__(self, graph: SiteGraph) -> None:
        self.graph = graph
        out: dict[str, list[tuple[GraphEdge, float]]] = {name: [] for name in graph.nodes}
        for edge in graph.ways():
            out[edge.start].append((edge, graph.length(edge) / (edge.speed or USUAL_SPEED)))
        self._out: Mapping[str, list[tuple[GraphEdge, float]]] = out

    def route(self, start: str, to: str, taken: Collection[Resource] = ()) -> Route:
        """The quickest way that uses nothing of ``taken``; ``start`` itself may be in it.

        Raises:
            NoWayError: there is none.
            KeyError: no such node.
        """
        if start not in self._out or to not in self._out:
            missing = start if start not in self._out else to
            raise KeyError(f'no node "{missing}" in the site graph')
        best = {start: 0.0}
        came: dict[str, GraphEdge] = {}
        heap = [(0.0, start)]
        while heap:
            seconds, at = heapq.heappop(heap)
            if at == to:
                return self._traced(start, to, came, seconds)
            if seconds > best[at]:
                continue
            for edge, cost in self._out[at]:
                reached = seconds + cost
                if edge.to in taken or between(at, edge.to) in taken:
                    continue
                if reached < best.get(edge.to, float("inf")):
                    best[edge.to], came[edge.to] = reached, edge
                    heapq.heappush(heap, (reached, edge.to))
        raise NoWayError(f"there is no {'free ' if taken else ''}way from {start} to {to}")

    def _traced(self, start: str, to: str, came: Mapping[str, GraphEdge], seconds: float) -> Route:
        nodes, edges = [to], []
        while nodes[-1] != start:
            edge = came[nodes[-1]]
            edges.append(edge)
            nodes.append(edge.start)
        return Route(tuple(reversed(nodes)), tuple(reversed(edges)), seconds)
