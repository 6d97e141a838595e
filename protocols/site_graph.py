"""The site graph: where AGVs can drive, and at which node a workcell is served.

Written by people as ``graph.yaml`` beside the site file, which names it under ``graph``. Nodes are points on
a map in metres, edges lead from one to another, stations tie workcells to nodes::

    nodes:
      gate: {x: 0, y: 0}
      laser: {x: 6, y: 0}
    edges:
      - {from: gate, to: laser, both: true, speed: 1.2}
    stations:
      laser-1: {node: laser, handshake: digital}
      press-1: {node: gate, handshake: {device: dock-1, ready: ready, sensed: load, release: let_go}}
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, model_validator
from pydantic import Tag as Case

from protocols.documents import Finding, Findings, nearest

NodeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Metres = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]

MAX_NODES = 5000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GraphNode(_Part):
    """A point that vehicles drive over. ``theta`` in rad, where a vehicle must stand in a direction."""

    x: Metres
    y: Metres
    theta: float | None = Field(default=None, ge=-math.pi, le=math.pi)
    map: str = Field(default="site", min_length=1, max_length=64, description="mapId of VDA 5050")
    parking: bool = Field(default=False, description="a vehicle may wait here for long, out of the way")


class GraphEdge(_Part):
    """A way from one node to another."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    start: NodeName = Field(alias="from")
    to: NodeName
    both: bool = Field(default=False, description="can be driven the other way round, too")
    length: float | None = Field(default=None, gt=0, description="metres; the straight line when left out")
    speed: float | None = Field(default=None, gt=0, le=20, description="most m/s on it")

    @property
    def id(self) -> str:
        """The edge's name on the wire."""
        return f"{self.start}>{self.to}"


Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Within(_Part):
    """How long each step of a handshake may take (s) before a person is called. It waits on after that."""

    ready: Seconds = 600
    docked: Seconds = 300
    sensed: Seconds = 120
    released: Seconds = 30
    clear: Seconds = 300


class StationSignals(_Part):
    """The tags by which a station takes part in a handshake: bools of one device of the edge."""

    device: str
    ready: str = Field(description="true: a vehicle may come")
    sensed: str = Field(description="true: a load is there")
    release: str | None = Field(
        default=None, description="written: true lets go or takes over; reading only where left out"
    )
    within: Within = Within()


Handing = Annotated[
    Annotated[Literal["none", "digital"], Case("word")] | Annotated[StationSignals, Case("signals")],
    Discriminator(lambda value: "signals" if isinstance(value, Mapping | StationSignals) else "word"),
]


class Station(_Part):
    """Where a workcell is served, and how vehicle and station hand a load over."""

    node: NodeName
    handshake: Handing = Field(
        default="none",
        description="none: the vehicle's action is all; digital: vehicle and station have signals between "
        "them, OneLot watches the vehicle's; or the tags of the station",
    )
    number: int | None = Field(
        default=None, ge=0, le=65535, description="for vehicles behind registers: what they call it"
    )
    height: float | None = Field(default=None, ge=0, description="metres at which loads are handed over")


class SiteGraph(_Part):
    """Nodes, edges and stations; the root of ``graph.yaml``."""

    nodes: dict[NodeName, GraphNode] = Field(min_length=1, max_length=MAX_NODES)
    edges: tuple[GraphEdge, ...] = Field(default=(), max_length=4 * MAX_NODES)
    stations: dict[str, Station] = Field(default_factory=dict, description="workcell: where it is served")

    def ways(self) -> list[GraphEdge]:
        """Every edge in the direction it is driven; one that goes both ways is there twice."""
        back = [
            e.model_copy(update={"start": e.to, "to": e.start, "both": False}) for e in self.edges if e.both
        ]
        return [*self.edges, *back]

    def length(self, edge: GraphEdge) -> float:
        """Metres of an edge."""
        return edge.length or max(0.01, _distance(self.nodes[edge.start], self.nodes[edge.to]))

    def homes(self, vehicles: Sequence[str]) -> dict[str, str]:
        """A parking node for each vehicle, in the order of the graph.

        Raises:
            ValueError: there are more vehicles than parking nodes.
        """
        places = [name for name, node in self.nodes.items() if node.parking]
        if len(places) < len(vehicles):
            raise ValueError(
                f"{len(places)} parking nodes for {len(vehicles)} vehicles: mark more with parking: true"
            )
        return dict(zip(vehicles, places, strict=False))

    def station(self, workcell: str) -> Station:
        """The station of a workcell.

        Raises:
            KeyError: it has none; names the nearest.
        """
        found = self.stations.get(workcell)
        if found is None:
            hint = nearest(workcell, self.stations)
            tail = f" — did you mean {hint}?" if hint else ""
            raise KeyError(f'workcell "{workcell}" has no station in the site graph{tail}')
        return found

    @model_validator(mode="after")
    def _consistent(self) -> SiteGraph:
        if findings := list(self.cross_check(self.model_dump(by_alias=True))):
            raise Findings(findings)
        return self

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        """What does not belong together in a graph's plain data, whose parts may be wrong themselves."""
        whole = _mapping(data)
        nodes, stations = _mapping(whole.get("nodes")), _mapping(whole.get("stations"))
        listed = whole.get("edges")
        edges = [(n, _mapping(e)) for n, e in enumerate(listed if isinstance(listed, list | tuple) else ())]
        names = {str(name) for name in nodes}
        ways: dict[str, set[str]] = {name: set() for name in names}
        for number, edge in edges:
            start, to = str(edge.get("from")), str(edge.get("to"))
            where = ("edges", number)
            for key, name in (("from", start), ("to", to)):
                if edge.get(key) is not None and name not in names:
                    yield Finding((*where, key), _no_node(name, names))
            if start == to:
                yield Finding((*where, "to"), f'an edge leads from "{start}" to itself')
            for a, b in [(start, to), (to, start)] if edge.get("both") is True else [(start, to)]:
                if a in names and b in names and a != b:
                    if b in ways[a]:
                        yield Finding(where, f'the way from "{a}" to "{b}" is there twice')
                    ways[a].add(b)
            yield from _short(edge, nodes, where)
        yield from _islands(nodes, stations, ways)
        numbers: dict[Any, str] = {}
        for cell, station in stations.items():
            called = _mapping(station).get("number")
            if called is not None and numbers.setdefault(called, str(cell)) != str(cell):
                yield Finding(("stations", cell, "number"), f'{called} is "{numbers[called]}" already')
            node = _mapping(station).get("node")
            if node is not None and str(node) not in names:
                yield Finding(("stations", cell, "node"), _no_node(str(node), names))


def _islands(
    nodes: Mapping[Any, Any], stations: Mapping[Any, Any], ways: Mapping[str, set[str]]
) -> Iterator[Finding]:
    """Nodes that a vehicle on the largest part cannot reach, or not leave again."""
    if len(ways) < 2:
        return
    whole = max(_parts(ways), key=len)
    start = min(whole)
    back: dict[str, set[str]] = {name: set() for name in ways}
    for a, targets in ways.items():
        for b in targets:
            back[b].add(a)
    there, home = _reached([start], ways), _reached([start], back)
    served: dict[str, list[str]] = {}
    for cell, station in stations.items():
        served.setdefault(str(_mapping(station).get("node")), []).append(str(cell))
    for name in nodes:
        key = str(name)
        if key in there and key in home:
            continue
        if key not in there and key not in home:
            wrong = "is an island: no edge joins it to the others"
        elif key in there:
            wrong = "can be reached, but not left again"
        else:
            wrong = "can be left, but not reached"
        yield Finding(("nodes", name), f'node "{key}" {wrong} — add an edge, or both: true')
        for cell in served.get(key, ()):
            yield Finding(("stations", cell, "node"), f'the station of "{cell}" at "{key}" {wrong}')


def _parts(ways: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """The strongly connected parts (Tarjan 1972, with a stack of its own)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on: set[str] = set()
    for root in sorted(ways):
        if root in index:
            continue
        work = [(root, iter(sorted(ways[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on.add(root)
        while work:
            at, rest = work[-1]
            for to in rest:
                if to not in index:
                    index[to] = low[to] = len(index)
                    stack.append(to)
                    on.add(to)
                    work.append((to, iter(sorted(ways[to]))))
                    break
                if to in on:
                    low[at] = min(low[at], index[to])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[at])
                if low[at] == index[at]:
                    part = set(stack[stack.index(at) :])
                    del stack[stack.index(at) :]
                    on -= part
                    yield part


def _reached(start: Iterable[str], ways: Mapping[str, set[str]]) -> set[str]:
    found, new = set(start), list(start)
    while new:
        for to in ways[new.pop()]:
            if to not in found:
                found.add(to)
                new.append(to)
    return found


def _short(
    edge: Mapping[Any, Any], nodes: Mapping[Any, Any], where: tuple[str | int, ...]
) -> Iterator[Finding]:
    length = edge.get("length")
    ends = [_mapping(nodes.get(edge.get(key))) for key in ("from", "to")]
    numbers = [end.get(axis) for end in ends for axis in ("x", "y")]
    if isinstance(length, int | float) and all(isinstance(n, int | float) for n in numbers):
        x1, y1, x2, y2 = (float(n) for n in numbers if n is not None)
        straight = math.hypot(x2 - x1, y2 - y1)
        if ends[0].get("map", "site") == ends[1].get("map", "site") and length < straight * 0.99:
            message = f"{length:g} m is shorter than the straight line of {straight:.2f} m"
            yield Finding((*where, "length"), message)


def _distance(a: GraphNode, b: GraphNode) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)


def _no_node(name: str, names: set[str]) -> str:
    hint = nearest(name, names)
    return f'no node "{name}" in this graph' + (f" — did you mean {hint}?" if hint else "")


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
