"""AGVs on the page: what each does, its battery and mission, and where it is on the site graph. Pure but for
:func:`site_graph`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import structlog

from cloud.ledger.reading import Machine, Tag
from cloud.live import LiveValue, LiveValues
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import ago
from protocols.documents import DocumentError, load
from protocols.site import Site, Workcell
from protocols.site_graph import GraphNode, SiteGraph
from protocols.values import MICROSECONDS, Quality

log = structlog.get_logger(__name__)

OLD = 25 * MICROSECONDS
"""µs after which a vehicle's newest value is shown with its age."""
MARGIN = 3.0
"""Metres around the graph."""
NAMED = {"x": "x", "y": "y"}
ROLES = ("state", "battery", "mission", "station")


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A device that has missions; ``tags`` are cloud tag ids by role, and ``x`` and ``y`` by name."""

    device: str
    title: str
    tags: Mapping[str, int]


def site_graph(site: Site, file: Path) -> SiteGraph | None:
    """The graph that the site names, beside its file; None without one, or when it cannot be read."""
    if not site.graph:
        return None
    try:
        return load(file.parent / site.graph, SiteGraph)
    except (DocumentError, OSError) as error:
        log.warning("page.no_site_graph", reason=str(error), next="correct the file; edges refuse it, too")
        return None


def vehicles(site: Site, tags: Sequence[Tag]) -> list[Vehicle]:
    """All devices with a tag of the role mission, in the order of the site."""
    found: dict[str, dict[str, int]] = {}
    for tag in tags:
        if not tag.current:
            continue
        name = tag.role if tag.role in ROLES else NAMED.get(tag.path.rpartition("/")[2], "")
        if name:
            found.setdefault(tag.device, {}).setdefault(name, tag.id)
    return [
        Vehicle(device.id, device.title or device.id, found[device.id])
        for device in site.devices().values()
        if "mission" in found.get(device.id, {})
    ]


def draw(
    shown: Sequence[Vehicle],
    live: LiveValues,
    graph: SiteGraph | None,
    now: int,
    say: Speech = ENGLISH,
    machines: Mapping[str, Machine] | None = None,
    cells: Mapping[str, Workcell] | None = None,
) -> str:
    """A list of the vehicles, and the map where there is a graph and a vehicle that tells where it is.
    ``cells`` are the workcells whose titles missions and stations are told by."""
    places = Places(cells or {}, graph, say)
    rows = "".join(
        _row(vehicle, live, now, say, (machines or {}).get(vehicle.device), places) for vehicle in shown
    )
    names = ("AGV", "State", "Battery", "Mission", "At", "")
    head = "<tr>" + "".join(f"<th>{escape(say(name))}</th>" for name in names) + "</tr>"
    table = f"<table>{head}{rows}</table>"
    return f'<div class="agvs">{table}{_map(shown, live, graph, say) if graph is not None else ""}</div>'


def _value(vehicle: Vehicle, live: LiveValues, name: str) -> LiveValue | None:
    tag = vehicle.tags.get(name)
    value = live.get(tag) if tag is not None else None
    return value if value is not None and value.quality is not Quality.BAD else None


def _words(vehicle: Vehicle, live: LiveValues, name: str, unit: str = "") -> str:
    value = _value(vehicle, live, name)
    if value is None or value.value in ("", None):
        return "–"
    if isinstance(value.value, float):
        return f"{value.value:.0f}{unit}"
    return escape(f"{value.value}{unit}")


def _told(vehicle: Vehicle, live: LiveValues, name: str, words: Callable[[object], str]) -> str:
    value = _value(vehicle, live, name)
    return escape(words(value.value)) if value is not None and value.value not in ("", None) else "–"


@dataclass(frozen=True, slots=True)
class Places:
    """What people call the places that vehicles name."""

    cells: Mapping[str, Workcell]
    graph: SiteGraph | None
    say: Speech

    def title(self, workcell: str) -> str:
        """Of a workcell; its id where the site does not know it."""
        found = self.cells.get(workcell)
        return self.say.title(found) if found is not None else workcell

    def station(self, value: object) -> str:
        """Where a vehicle is: it names a node of the graph, or a station's number; else as it says."""
        stations = self.graph.stations.items() if self.graph is not None else ()
        number = isinstance(value, int | float) and not isinstance(value, bool)
        for cell, station in stations:
            if (station.number if number else station.node) == value:
                return self.title(cell)
        if isinstance(value, str) and self.graph is not None and value in self.graph.nodes:
            return self.say("{node} (parked)", node=value) if self.graph.nodes[value].parking else value
        return f"{value:g}" if isinstance(value, float) else str(value)

    def mission(self, value: object) -> str:
        """What a vehicle is doing: the edge names its orders after mission and operation."""
        if not isinstance(value, str):
            return f"{value:g}" if isinstance(value, float) else str(value)
        name = value.rpartition(":")[0] or value
        if name == "home":
            return self.say("to its parking place")
        operation, fetches, source = name.rpartition("<")
        if not fetches or source not in self.cells:
            return value  # a mission that somebody else has named
        return self.say("from {station} for {operation}", station=self.title(source), operation=operation)


def _row(
    vehicle: Vehicle, live: LiveValues, now: int, say: Speech, machine: Machine | None, places: Places
) -> str:
    newest = max((v.ts for tag in vehicle.tags.values() if (v := live.get(tag)) is not None), default=0)
    newest = max(newest, machine.last_read if machine is not None else 0)
    age = (
        say("no data")
        if not newest
        else say("{age} old", age=ago((now - newest) // MICROSECONDS))
        if now - newest > OLD
        else ""
    )
    cells = (
        escape(vehicle.title),
        _state(vehicle, live, say, machine),
        _words(vehicle, live, "battery", " %"),
        _told(vehicle, live, "mission", places.mission) if _has_mission(vehicle, live) else "–",
        _told(vehicle, live, "station", places.station),
        age,
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _state(vehicle: Vehicle, live: LiveValues, say: Speech, machine: Machine | None) -> str:
    """What it does, in words: a vehicle that tells a number has the word of its profile."""
    value = _value(vehicle, live, "state")
    if (
        value is not None
        and isinstance(value.value, int | float)
        and machine is not None
        and machine.state_detail
    ):
        return escape(say(machine.state_detail))
    return say(_words(vehicle, live, "state"))


def _has_mission(vehicle: Vehicle, live: LiveValues) -> bool:
    """A vehicle that numbers its missions has none while it says 0."""
    value = _value(vehicle, live, "mission")
    return value is not None and value.value not in (0, 0.0, False)


def _map(shown: Sequence[Vehicle], live: LiveValues, graph: SiteGraph, say: Speech) -> str:
    xs, ys = [n.x for n in graph.nodes.values()], [n.y for n in graph.nodes.values()]
    left, top = min(xs) - MARGIN, -max(ys) - MARGIN
    width, height = max(xs) - min(xs) + 2 * MARGIN, max(ys) - min(ys) + 2 * MARGIN
    lines = "".join(
        f'<line x1="{graph.nodes[e.start].x:g}" y1="{-graph.nodes[e.start].y:g}" '
        f'x2="{graph.nodes[e.to].x:g}" y2="{-graph.nodes[e.to].y:g}"/>'
        for e in graph.edges
    )
    stations = "".join(_station(cell, graph.nodes[s.node]) for cell, s in graph.stations.items())
    dots = "".join(_dot(vehicle, live) for vehicle in shown)
    return (
        f'<svg class="agv-map" viewBox="{left:g} {top:g} {width:g} {height:g}" role="img" '
        f'aria-label="{escape(say("where the AGVs are"))}">{lines}{stations}{dots}</svg>'
    )


def _station(cell: str, node: GraphNode) -> str:
    return (
        f'<rect x="{node.x - 0.5:g}" y="{-node.y - 0.5:g}" width="1" height="1"/>'
        f'<text x="{node.x + 0.8:g}" y="{-node.y + 0.4:g}">{escape(cell)}</text>'
    )


def _dot(vehicle: Vehicle, live: LiveValues) -> str:
    x, y = _value(vehicle, live, "x"), _value(vehicle, live, "y")
    if x is None or y is None or not isinstance(x.value, int | float) or not isinstance(y.value, int | float):
        return ""
    return (
        f'<circle cx="{x.value:.1f}" cy="{-y.value:.1f}" r="0.9"/>'
        f'<text class="agv" x="{x.value:.1f}" y="{-y.value - 1.3:.1f}">{escape(vehicle.title)}</text>'
    )
