"""The site file: the factory as a tree of places, its edges, its machines and when it works.

Written by people (``firmware_configs/sites/<site>/site.yaml``) and read by edge and cloud alike. Profiles
and product families are separate files with schemas of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from protocols.documents import Finding, Findings, nearest
from protocols.site_consistency import inconsistencies
from protocols.site_costs import Costs, Rate
from protocols.site_maintenance import Maintenance, Upkeep

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
"""Ids that appear in topics, paths and scans."""

Seconds = Annotated[int, Field(ge=0)]

Heads = Annotated[int, Field(ge=0, le=1000)]
Needed = Annotated[int, Field(ge=1, le=1000)]


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
    needs: dict[Name, Needed] = Field(
        default_factory=dict,
        max_length=20,
        description="heads of a skill and tools that all work here takes, from changeover to end",
    )
    micro_stop: float = Field(default=5.0, ge=0, description="seconds; shorter stops are micro-stops")
    cost_per_hour: Rate | None = Field(
        default=None, description="of its work and set-ups, in the currency under costs"
    )


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


def _time_of_day(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f'"{text}" is not a time of day: write HH:MM, e.g. 06:00')
    return text


def _day(text: str) -> str:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise ValueError(f'"{text}" is not a day: write YYYY-MM-DD, e.g. 2026-12-25')


TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
Day = Annotated[str, AfterValidator(_day)]


class Break(_Part):
    """A pause of everybody within a shift; local times."""

    start: TimeOfDay
    end: TimeOfDay


class Shift(_Part):
    """A shift on weekdays (1 = Monday), local times ``HH:MM``; an end before the start is the next day."""

    name: str
    days: tuple[Annotated[int, Field(ge=1, le=7)], ...]
    start: TimeOfDay
    end: TimeOfDay
    breaks: tuple[Break, ...] = Field(default=(), max_length=20)


class Calendar(_Part):
    timezone: str = "UTC"
    day_starts: str = "00:00"
    shifts: tuple[Shift, ...] = ()
    """No shifts means round the clock, but for the holidays."""
    holidays: dict[Day, Annotated[str, Field(max_length=60)]] = Field(
        default_factory=dict, max_length=1000, description="day: its name; no shift begins on it"
    )

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


class Crew(_Part):
    """People with a skill: how many there are in a shift. ``shifts`` are those with another number."""

    title: str = Field(max_length=60)
    title_zh: str = Field(default="", max_length=60)
    heads: Heads
    shifts: dict[str, Heads] = Field(default_factory=dict)
    cost_per_hour: Rate | None = Field(
        default=None, description="of one head at work, in the currency under costs"
    )

    @property
    def most(self) -> int:
        """Heads of the largest shift."""
        return max(self.heads, *self.shifts.values(), 0)


class Tool(_Part):
    """Fixtures or tools of one sort that workcells share."""

    title: str = Field(max_length=60)
    title_zh: str = Field(default="", max_length=60)
    count: Needed = 1


Fleet = Annotated[
    Annotated[int, Field(ge=1, le=1000), Tag("number")] | Annotated[tuple[Name, ...], Tag("devices")],
    Discriminator(lambda value: "devices" if isinstance(value, list | tuple) else "number"),
]
"""How many vehicles, or the devices that they are."""


class Transport(_Part):
    """Seconds an AGV needs between workcells; ``default`` where no pair is given.

    With ``vehicles`` there are only so many trips at a time, and each takes one for ``empty`` seconds more,
    to get there. Vehicles given as devices are not counted on while they are stuck or locked.
    """

    default: int = Field(default=0, ge=0)
    seconds: dict[str, Seconds] = Field(default_factory=dict, description='"from>to": seconds')
    vehicles: Fleet | None = Field(
        default=None, description="number of AGVs, or their devices; left out: transport is no limit"
    )
    empty: Seconds = 0

    def between(self, origin: str, destination: str) -> int:
        """Seconds from one workcell to another."""
        return 0 if origin == destination else self.seconds.get(f"{origin}>{destination}", self.default)


Badge = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,16}$")]
"""Pseudonym of a person, as commands carry it."""


class Quality(_Part):
    """Who decides about lots on hold beside the supervisors at the service."""

    release: tuple[Badge, ...] = Field(
        default=(),
        max_length=100,
        description="pseudonyms of those who may release a lot at a station, network or not",
    )


class Site(_Part):
    """A whole site; the root of ``site.yaml``."""

    id: Name
    uuid: UUID
    title: str
    calendar: Calendar = Calendar()
    areas: tuple[Area, ...]
    edges: tuple[Edge, ...]
    crew: dict[Name, Crew] = Field(default_factory=dict, max_length=100, description="skill: heads a shift")
    tools: dict[Name, Tool] = Field(default_factory=dict, max_length=500)
    transport: Transport = Transport()
    costs: Costs | None = Field(default=None, description="what hours cost, for comparing plans in money")
    maintenance: Maintenance = Field(default=Maintenance(), description="how machines are kept up")
    quality: Quality = Field(default=Quality(), description="who decides about lots on hold at stations")
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

    def kinds(self) -> list[str]:
        """The kinds of workcells there are, sorted."""
        return sorted({cell.kind for cell in self.workcells().values()})

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

    def upkeep(self, device: str, mode: str) -> Upkeep:
        """What is done against a failure of a device; that of an unknown one is kept up by the default."""
        cells, found = self.workcells(), self.devices().get(device)
        kinds = [cells[name].kind for name in found.workcells] if found is not None else []
        return self.maintenance.upkeep(device, kinds, mode)

    def shared(self) -> dict[str, int]:
        """What workcells share, and how many there are at most: heads of every skill, tools of every sort."""
        return {name: crew.most for name, crew in self.crew.items()} | {
            name: tool.count for name, tool in self.tools.items()
        }

    def vehicles(self) -> tuple[str, ...]:
        """The devices that carry between workcells, where the file names them."""
        fleet = self.transport.vehicles
        return fleet if isinstance(fleet, tuple) else ()

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        findings = list(self.cross_check(self.model_dump()))
        if findings:
            raise Findings(findings)
        return self

    @classmethod
    def cross_check(cls, data: Any) -> Iterator[Finding]:
        """What does not belong together in a site's plain data, whose parts may be wrong themselves."""
        return inconsistencies(data)
