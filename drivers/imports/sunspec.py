"""SunSpec model definitions (the JSON files of the SunSpec Alliance) to a Modbus profile. Pure.

A SunSpec device shows ``SunS`` at register 40000 (or 50000, or 0), then its models one after the other,
each as number, length and points, then 0xFFFF; see the SunSpec Device Information Model Specification,
version 1.1, 6. A profile has a device's first models in their order with one length each: a device that
differs needs a profile of its own, and the identification finds that out before a wrong value is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drivers.imports.taglist import CannotImport, Remark, TagList
from drivers.modbus.profile import ModbusTag
from drivers.profile.profile import Role

BASE = 40000
"""Where most devices begin, counted from 0 as on the wire."""

MARK = 0x53756E53
"""``SunS`` as a uint32."""

_VERSION = "common/Vr"
"""The tag of the Common model that holds the firmware's version."""

_END = 0xFFFF

_TYPES: Mapping[str, tuple[str, int | None]] = {
    "int16": ("int16", -0x8000),
    "uint16": ("uint16", 0xFFFF),
    "count": ("uint16", 0xFFFF),
    "acc16": ("uint16", 0),
    "enum16": ("uint16", 0xFFFF),
    "bitfield16": ("uint16", 0xFFFF),
    "sunssf": ("int16", -0x8000),
    "int32": ("int32", -0x8000_0000),
    "uint32": ("uint32", 0xFFFF_FFFF),
    "acc32": ("uint32", 0),
    "enum32": ("uint32", 0xFFFF_FFFF),
    "bitfield32": ("uint32", 0xFFFF_FFFF),
    "int64": ("int64", -0x8000_0000_0000_0000),
    "uint64": ("uint64", 0xFFFF_FFFF_FFFF_FFFF),
    "acc64": ("uint64", 0),
    "float32": ("float32", None),
    "float64": ("float64", None),
    "string": ("string", None),
}
"""Our type, and the raw value by which a device says that it does not have the point."""

_UNITS = {
    "C": "°C",
    "Pct": "%",
    "VA": "V·A",
    "VAh": "V·A·h",
    "Var": "var",
    "Varh": "varh",
    "Secs": "s",
    "Degrees": "°",
    "deg": "°",
    "W/m^2": "W/m2",
}

_ROLES = {
    ("103", "W"): Role.POWER,
    ("101", "W"): Role.POWER,
    ("102", "W"): Role.POWER,
    ("111", "W"): Role.POWER,
    ("112", "W"): Role.POWER,
    ("113", "W"): Role.POWER,
    ("201", "W"): Role.POWER,
    ("202", "W"): Role.POWER,
    ("203", "W"): Role.POWER,
    ("204", "W"): Role.POWER,
    ("213", "W"): Role.POWER,
}
_ENERGIES = {"WH": Role.ENERGY, "TotWhImp": Role.ENERGY}


def import_sunspec(
    texts: Sequence[str], base: int = BASE, repeats: Mapping[int, int] | None = None
) -> TagList:
    """Definitions of models, in the order in which the device has them, from its first one on.

    ``repeats`` says for a model how often its repeating parts are there, e.g. the inputs of model 160.

    The values by which a device says *not implemented* become ``absent``; scale factors become
    ``scale_exponent``.

    Raises:
        CannotImport: no SunSpec model, or the first is not the Common model (1).
    """
    models = [_model(text) for text in texts]
    if not models or models[0]["id"] != 1:
        raise CannotImport("the first model must be 1 (Common), as every SunSpec device has it")
    found = TagList("modbus", "SunSpec models " + ", ".join(str(m["id"]) for m in models), counted="point")
    checks = [{"address": f"holding:{base}", "type": "uint32", "equals": MARK}]
    place = base + 2
    for model in models:
        layout = list(_layout(model["group"], "", {}, (repeats or {}).get(model["id"])))
        size = sum(int(point.get("size", 0)) for _, point, _ in layout) - 2
        checks.append({"address": f"holding:{place}", "type": "uint16", "equals": model["id"]})
        repeating = [str(part.get("name")) for part in _repeating(model["group"])]
        if repeating and model["id"] not in (repeats or {}):
            number, what = model["id"], repeating[0]
            if model is not models[-1]:
                raise CannotImport(
                    f'model {number} repeats "{what}": say --repeat {number}=N, as the device has it'
                )
            why = f"repeats as often as the device says: left out — or say --repeat {number}=N"
            found.rejected.append(Remark(0, f"{number}.{what}", why))
            _points(found, layout, str(number), place)
            break
        checks.append({"address": f"holding:{place + 1}", "type": "uint16", "equals": size})
        _points(found, layout, str(model["id"]), place)
        place += size + 2
    else:
        # Devices have more models than anybody wants; what follows is shown, and ends a simulator's chain.
        following = {
            "address": f"holding:{place}",
            "type": "uint16",
            "enum": {_END: "none"},
            "sampling": 60.0,
        }
        found.add(0, "next_model", following, ModbusTag)
    found.defaults["identification"] = {"checks": checks}
    if _VERSION in found.tags:
        found.defaults["identification"] = {"firmware": _VERSION, "checks": checks}
    # A device may refuse what lies between models, and the specification allows 125 registers.
    found.defaults["modbus"] = {"max_gap": 8}
    return found


def _model(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise CannotImport(f"is not JSON: {error}") from None
    group = data.get("group") if isinstance(data, dict) else None
    if not isinstance(group, dict) or not isinstance(data.get("id"), int) or "points" not in group:
        raise CannotImport('is no SunSpec model: wanted are "id" and "group" with "points"')
    return dict(data)


_Laid = tuple[str, Mapping[str, Any], Mapping[str, str]]
"""A tag's name, its point, and the tags of the scale factors that it may name."""


def _repeating(group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of a model of which the device says how many there are."""
    found = []
    for part in group.get("groups", ()):
        if part.get("count", 1) == 0 or isinstance(part.get("count"), str):
            found.append(part)
        found += _repeating(part)
    return found


def _layout(
    group: Mapping[str, Any], above: str, scope: Mapping[str, str], repeat: int | None
) -> Iterator[_Laid]:
    """The points of a model in the order of their registers, repeating parts ``repeat`` times."""
    prefix = f"{above}{str(group['name']).lower()}"
    names = {**scope, **{str(point["name"]): f"{prefix}/{point['name']}" for point in group["points"]}}
    for point in group["points"]:
        yield f"{prefix}/{point['name']}", point, names
    for part in group.get("groups", ()):
        count = part.get("count", 1)
        times = (repeat or 0) if count == 0 or isinstance(count, str) else int(count)
        if part.get("count") is None:
            yield from _layout(part, f"{prefix}/", names, repeat)
        else:
            for index in range(times):
                named = {**part, "name": f"{part['name']}/{index}"}
                yield from _layout(named, f"{prefix}/", names, repeat)


def _points(found: TagList, layout: Sequence[_Laid], number: str, place: int) -> None:
    for line, (path, point, names) in enumerate(layout, 1):
        address, place = place, place + int(point.get("size", 0))
        name, kind = str(point["name"]), str(point.get("type"))
        if (name in ("ID", "L") and path.count("/") == 1) or kind == "pad":
            continue
        if kind not in _TYPES:
            found.rejected.append(Remark(line, f"{number}.{name}", f"is a {kind}, which no tag can have"))
            continue
        tag = _tag(point, kind, address, names, number)
        if tag is None:
            why = f"is scaled by {point.get('sf')}, which the model lacks"
            found.rejected.append(Remark(line, f"{number}.{name}", why))
            continue
        found.add(line, path, tag, ModbusTag)


def _tag(
    point: Mapping[str, Any], kind: str, address: int, names: Mapping[str, str], number: str
) -> dict[str, Any] | None:
    ours, absent = _TYPES[kind]
    unit = str(point.get("units") or "")
    tag: dict[str, Any] = {"address": f"holding:{address}", "type": ours}
    if ours == "string":
        tag["length"] = int(point["size"]) * 2
    factor = point.get("sf")
    if isinstance(factor, int):
        tag["scale"] = 10.0**factor if factor else None
    elif factor is not None:
        if factor not in names:
            return None
        tag["scale_exponent"] = names[factor]
    tag["absent"] = absent
    tag["unit"] = _UNITS.get(unit, unit)[:20]
    tag["role"] = _ROLES.get((number, point["name"]), _ENERGIES.get(str(point["name"])))
    tag["role"] = str(tag["role"]) if tag["role"] else None
    if kind.startswith("enum") and point.get("symbols"):
        tag["enum"] = {int(s["value"]): str(s["name"]).lower() for s in point["symbols"]}
    if kind in ("string", "sunssf") or point.get("static") == "S":
        tag["sampling"] = 60.0
    tag["description"] = str(point.get("label") or point.get("desc") or "")
    return tag
