"""The site file: the factory as a tree of places, its edges, its machines and when it works.

Written by people (``firmware_configs/sites/<site>/site.yaml``) and read by edge and cloud alike. Profiles
and product families are separate files with schemas of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from protocols.documents import Finding, Findings, Location, nearest

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
"""Ids that appear in topics, paths and scans."""

Seconds = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Workcell(_Part):
    """A place where runs happen. ``kind`` groups interchangeable ones; a routing asks for a kind."""

    id: Name
    uuid: UUID
    title: str = Field(max_length=60)
    title_zh: str = Field(default="", max_length=60)
    kind: Name
    run: Literal["single", "nest", "batch"] = "single"
    capacity: int = Field(default=1, ge=1, le=1000, description="operations one run may cover")
    changeover: dict[str, Seconds] = Field(
        default_factory=dict,
        description="seconds of changeover when a setup attribute differs from the run before",
    )
    micro_stop: float = Field(default=5.0, ge=0, description="seconds; shorter stops are micro-stops")


class Line(_Part):
    id: Name
    uuid: UUID
    title: str
    workcells: tuple[Workcell, ...]


class Area(_Part):
    id: Name
    uuid: UUID
    title: str
    lines: tuple[Line, ...]


class Device(_Part):
    """A machine (an asset with a serial) at an address, read through a profile."""

    id: Name
    asset: UUID
    serial: str = ""
    title: str = Field(default="", max_length=60)
    profile: str = Field(description="profile below firmware_configs/profiles, e.g. acme/laser-x")
    url: str = Field(
        description="opc.tcp://host:port, modbus://host:port?unit=1 or vda5050://broker/interface/maker/serial"
    )
    workcells: tuple[Name, ...] = ()
    counts: bool = Field(default=True, description="false: its part counter is not that of its workcells")
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    clock: Literal["trust", "offset", "receive"] = "receive"


class Edge(_Part):
    """An agent on a workstation PC: the workcells it serves and the devices it owns."""

    id: Name
    workcells: tuple[Name, ...]
    devices: tuple[Device, ...]


class Shift(_Part):
    """A shift on weekdays (1 = Monday), local times ``HH:MM``; an end before the start is the next day."""

    name: str
    days: tuple[Annotated[int, Field(ge=1, le=7)], ...]
    start: str
    end: str

    @field_validator("start", "end")
    @classmethod
    def _is_time(cls, text: str) -> str:
        return _time_of_day(text)


def _time_of_day(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f'"{text}" is not a time of day: write HH:MM, e.g. 06:00')
    return text


class Calendar(_Part):
    timezone: str = "UTC"
    day_starts: str = "00:00"
    shifts: tuple[Shift, ...] = ()
    """No shifts means round the clock."""

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, LookupError):
            known = available_timezones()
            if not known:  # a PC without the database of zones: whoever needs the zone will say so
                return name
            hint = nearest(name, sorted(known))
            tail = f"did you mean {hint}?" if hint else "write an IANA name, e.g. Europe/Berlin"
            raise ValueError(f'"{name}" is not a time zone — {tail}') from None
        return name

    @field_validator("day_starts")
    @classmethod
    def _is_time(cls, text: str) -> str:
        return _time_of_day(text)


class Transport(_Part):
    """Seconds an AGV needs between workcells; ``default`` where no pair is given."""

    default: int = Field(default=0, ge=0)
    seconds: dict[str, Seconds] = Field(default_factory=dict, description='"from>to": seconds')


class Site(_Part):
    """A whole site; the root of ``site.yaml``."""

    id: Name
    uuid: UUID
    title: str
    calendar: Calendar = Calendar()
    areas: tuple[Area, ...]
    edges: tuple[Edge, ...]
    transport: Transport = Transport()
    graph: str = Field(default="", description="site graph for AGVs, relative to this file: graph.yaml")
    products: tuple[str, ...] = Field(default=(), description="product files, relative to this file")
    programs: str = Field(
        default="",
        description="release list of NC programs, relative to this file: programs/releases.yaml",
    )
    stop_reasons: dict[Name, str] = Field(default_factory=dict, description="reason code: English | Chinese")
    scrap_reasons: dict[Name, str] = Field(default_factory=dict)
    andon_topics: dict[Name, str] = Field(default_factory=dict)

    def workcells(self) -> dict[str, Workcell]:
        """All workcells by id, in plant order."""
        return {cell.id: cell for area in self.areas for line in area.lines for cell in line.workcells}

    def edge(self, edge_id: str) -> Edge:
        """The edge of that id; raises KeyError naming the known ones."""
        for edge in self.edges:
            if edge.id == edge_id:
                return edge
        known = ", ".join(edge.id for edge in self.edges)
        raise KeyError(f'site "{self.id}" has no edge "{edge_id}" (it has {known})')

    def edge_of(self) -> dict[str, str]:
        """Edge id of every workcell that an edge serves."""
        return {cell: edge.id for edge in self.edges for cell in edge.workcells}

    def devices(self) -> dict[str, Device]:
        """All devices by id."""
        return {device.id: device for edge in self.edges for device in edge.devices}

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        findings = list(self.cross_check(self.model_dump()))
        if findings:
            raise Findings(findings)
        return self

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        """What does not belong together in a site's plain data, whose parts may be wrong themselves."""
        site = _mapping(data)
        yield from _uuids(site)
        places = list(_places(site))
        for kind in ("area", "line", "workcell"):
            yield from _twice(kind, [(at, part) for of, at, part in places if of == kind])
        cells = [str(part.get("id")) for kind, _, part in places if kind == "workcell"]
        edges = list(_items(site, "edges"))
        yield from _twice("edge", edges)
        yield from _twice("device", [found for at, edge in edges for found in _items(edge, "devices", at)])
        served: dict[str, object] = {}
        for at, edge in edges:
            for number, cell in _listed(edge.get("workcells")):
                where = (*at, "workcells", number)
                if cell not in cells:
                    yield Finding(where, f'edge "{edge.get("id")}" serves {_no_cell(cell, cells)}')
                elif cell in served:
                    both = f'"{served[cell]}" and "{edge.get("id")}"'
                    yield Finding(where, f'workcell "{cell}" is served by {both}')
                served[cell] = edge.get("id")
            for place, device in _items(edge, "devices", at):
                for number, cell in _listed(device.get("workcells")):
                    if cell not in cells:
                        message = f'device "{device.get("id")}" stands at {_no_cell(cell, cells)}'
                        yield Finding((*place, "workcells", number), message)
        for way in _mapping(_mapping(site.get("transport")).get("seconds")):
            ends = str(way).split(">")
            if len(ends) != 2:
                yield Finding(("transport", "seconds", way), f'"{way}" is no way: write from>to')
                continue
            for cell in ends:
                if cell not in cells:
                    yield Finding(("transport", "seconds", way), f"the way ends at {_no_cell(cell, cells)}")


_Plain = Mapping[Any, Any]


def _mapping(value: Any) -> _Plain:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> Iterator[tuple[int, str]]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from ((number, str(item)) for number, item in enumerate(value))


def _items(part: _Plain, key: str, at: Location = ()) -> Iterator[tuple[Location, _Plain]]:
    """The mappings listed under a key, each with its location."""
    found = part.get(key)
    if isinstance(found, Sequence):
        yield from (((*at, key, n), item) for n, item in enumerate(found) if isinstance(item, Mapping))


def _places(site: _Plain) -> Iterator[tuple[str, Location, _Plain]]:
    """Areas, lines and workcells, in plant order."""
    for at, area in _items(site, "areas"):
        yield "area", at, area
        for below, line in _items(area, "lines", at):
            yield "line", below, line
            for place, cell in _items(line, "workcells", below):
                yield "workcell", place, cell


def _twice(kind: str, parts: Sequence[tuple[Location, _Plain]]) -> Iterator[Finding]:
    seen: set[str] = set()
    for at, part in parts:
        name = part.get("id")
        if isinstance(name, str) and name in seen:
            yield Finding((*at, "id"), f'{kind} "{name}" is declared twice')
        seen.add(str(name))


def _uuids(site: _Plain) -> Iterator[Finding]:
    """Places copied with their uuid would be one place to everything that counts. Devices of one machine may
    share its asset."""
    owners: dict[str, str] = {}
    marked: list[tuple[Location, str, Any]] = [(("uuid",), "the site", site.get("uuid"))]
    marked += [((*at, "uuid"), f'{kind} "{p.get("id")}"', p.get("uuid")) for kind, at, p in _places(site)]
    assets = [
        ((*place, "asset"), f'device "{device.get("id")}"', device.get("asset"))
        for at, edge in _items(site, "edges")
        for place, device in _items(edge, "devices", at)
    ]
    for at, owner, uuid in marked:
        key = str(uuid).lower()
        if uuid is not None and key in owners:
            yield Finding(at, f"the uuid of {owner} is that of {owners[key]}: give it one of its own")
        owners.setdefault(key, owner)
    for at, owner, uuid in assets:
        if uuid is not None and str(uuid).lower() in owners:
            message = (
                f"the asset of {owner} is the uuid of {owners[str(uuid).lower()]}: give it one of its own"
            )
            yield Finding(at, message)


def _no_cell(cell: str, cells: Sequence[str]) -> str:
    hint = nearest(cell, cells)
    return f'workcell "{cell}", which no line has' + (f" — did you mean {hint}?" if hint else "")
