"""The site file: the factory as a tree of places, its edges, its machines and when it works.

Written by people (``firmware_configs/sites/<site>/site.yaml``) and read by edge and cloud alike. Profiles
and product families are separate files with schemas of their own.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
"""Ids that appear in topics, paths and scans."""


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
    changeover: dict[str, int] = Field(
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
    url: str = Field(description="opc.tcp://host:port or modbus://host:port?unit=1")
    workcells: tuple[Name, ...] = ()
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
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
            raise ValueError(f'"{text}" is not a time of day: write HH:MM, e.g. 06:00')
        return text


class Calendar(_Part):
    timezone: str = "UTC"
    day_starts: str = "00:00"
    shifts: tuple[Shift, ...] = ()
    """No shifts means round the clock."""


class Transport(_Part):
    """Seconds an AGV needs between workcells; ``default`` where no pair is given."""

    default: int = Field(default=0, ge=0)
    seconds: dict[str, int] = Field(default_factory=dict, description='"from>to": seconds')


class Site(_Part):
    """A whole site; the root of ``site.yaml``."""

    id: Name
    uuid: UUID
    title: str
    calendar: Calendar = Calendar()
    areas: tuple[Area, ...]
    edges: tuple[Edge, ...]
    transport: Transport = Transport()
    products: tuple[str, ...] = Field(default=(), description="product files, relative to this file")
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
        problems: list[str] = []
        cells = [cell.id for area in self.areas for line in area.lines for cell in line.workcells]
        problems += [
            f'workcell "{cell}" is declared twice' for cell in sorted(set(cells)) if cells.count(cell) > 1
        ]
        known = set(cells)
        served: dict[str, str] = {}
        devices: set[str] = set()
        for edge in self.edges:
            for cell in edge.workcells:
                if cell not in known:
                    problems.append(f'edge "{edge.id}" serves workcell "{cell}", which no line has')
                elif cell in served:
                    problems.append(f'workcell "{cell}" is served by "{served[cell]}" and "{edge.id}"')
                served[cell] = edge.id
            for device in edge.devices:
                if device.id in devices:
                    problems.append(f'device "{device.id}" is declared twice')
                devices.add(device.id)
                problems += [
                    f'device "{device.id}" stands at workcell "{cell}", which no line has'
                    for cell in device.workcells
                    if cell not in known
                ]
        if problems:
            raise ValueError("; ".join(problems))
        return self
