"""What does not belong together in a site file: names that nothing has, things there twice, needs never met.

Works on plain data, whose parts may be wrong themselves, so that nobody has to mend a file twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from protocols.documents import Finding, Location, nearest, not_one_of
from protocols.site_maintenance import inconsistent_rules


def inconsistencies(data: Any) -> Iterator[Finding]:
    """Every contradiction between the parts of a site, each at its place."""
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
    yield from _breaks(_mapping(site.get("calendar")))
    most = _most(site)
    yield from _shared(site, places, most)
    fleet = _listed(_mapping(site.get("transport")).get("vehicles"))
    devices = [str(device.get("id")) for at, edge in edges for _, device in _items(edge, "devices", at)]
    kinds = sorted({str(part.get("kind")) for kind, _, part in places if kind == "workcell"})
    yield from inconsistent_rules(site, kinds, devices, most)
    for number, name in fleet:
        if name not in devices:
            message = f"no edge has such a device: {not_one_of(name, devices)}"
            yield Finding(("transport", "vehicles", number), message)
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


def _minutes(text: Any) -> int | None:
    return int(text[:2]) * 60 + int(text[3:]) if re.fullmatch(r"\d\d:\d\d", str(text)) else None


def _breaks(calendar: _Plain) -> Iterator[Finding]:
    """A break lies within its shift, which may run past midnight."""
    for at, shift in _items(calendar, "shifts", ("calendar",)):
        start, end = _minutes(shift.get("start")), _minutes(shift.get("end"))
        for place, pause in _items(shift, "breaks", at):
            first, last = _minutes(pause.get("start")), _minutes(pause.get("end"))
            if start is None or end is None or first is None or last is None:
                continue  # said of the time itself
            length = (end - start) % 1440 or 1440
            begins = (first - start) % 1440
            lasts = (last - first) % 1440
            if not lasts or begins + lasts > length:
                span = f"{pause.get('start')} to {pause.get('end')}"
                shown = f'shift "{shift.get("name")}" from {shift.get("start")} to {shift.get("end")}'
                yield Finding(place, f"the break from {span} does not lie within the {shown}")


def _most(site: _Plain) -> dict[str, int]:
    """What there is at most of every crew and tool."""
    most: dict[str, int] = {}
    for name, crew in _mapping(site.get("crew")).items():
        heads = [_mapping(crew).get("heads"), *_mapping(_mapping(crew).get("shifts")).values()]
        most[str(name)] = max((n for n in heads if isinstance(n, int)), default=0)
    for name, tool in _mapping(site.get("tools")).items():
        count = _mapping(tool).get("count", 1)
        most[str(name)] = count if isinstance(count, int) else 0
    return most


def _shared(
    site: _Plain, places: Sequence[tuple[str, Location, _Plain]], most: Mapping[str, int]
) -> Iterator[Finding]:
    """Crews and tools: names that are told apart, shifts that there are, needs that can be met."""
    crews, tools = _mapping(site.get("crew")), _mapping(site.get("tools"))
    shifts = [str(s.get("name")) for _, s in _items(_mapping(site.get("calendar")), "shifts")]
    for name, crew in crews.items():
        if name in tools:
            yield Finding(("tools", name), f'"{name}" is the name of a crew, too: choose another')
        for shift in _mapping(_mapping(crew).get("shifts")):
            if shift not in shifts:
                message = not_one_of(shift, shifts) if shifts else "the calendar has no shifts"
                yield Finding(("crew", name, "shifts", shift), f"there is no such shift: {message}")
    for kind, at, cell in places:
        for name, number in _mapping(cell.get("needs")).items() if kind == "workcell" else ():
            where = (*at, "needs", name)
            if name not in most:
                known = not_one_of(name, most) if most else "there are none"
                yield Finding(where, f"neither crew nor tools have it: {known}")
            elif isinstance(number, int) and number > most[str(name)]:
                yield Finding(where, f"{number} are needed, and there are never more than {most[str(name)]}")


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
