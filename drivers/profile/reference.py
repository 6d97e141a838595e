"""The reference page of profiles, ``docs/profile.md``, written from the schema.

After a change of the schema write it anew::

    python -m drivers.profile.reference docs/profile.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from drivers.modbus.profile import ModbusCheck, ModbusDefaults, ModbusProfile, ModbusTag
from drivers.opcua.profile import OpcuaDefaults, OpcuaFiles, OpcuaJobs, OpcuaMethod, OpcuaProfile, OpcuaTag
from drivers.profile.profile import (
    Bounds,
    Check,
    Counter,
    Derivation,
    DeriveRule,
    FilesAt,
    FirmwareRange,
    Identification,
    MachineState,
    MethodRule,
    Permission,
    Precondition,
    Profile,
    Tag,
    Template,
    WriteRule,
)
from drivers.profile.waveform import Waveform

COMMAND = "python -m drivers.profile.reference docs/profile.md"

HEAD = f"""\
# Profiles: every key

<!-- Written from the schema. Do not edit: change the schema, then run `{COMMAND}` -->

A profile describes one machine model: how to recognise it, its tags, what its states mean, what may be
written. It is one YAML file below `firmware_configs/profiles/`. *Connect a machine* in
[integrator.md](integrator.md) shows how to write one; this page lists every key. `onelot driver check FILE`
says all that is wrong with a profile at once. What is not *required* may be left out.
"""


class Section(NamedTuple):
    """A part of the page: the keys of a model that it does not have from ``base``."""

    title: str
    text: str
    model: type[BaseModel]
    base: type[BaseModel] | None = None


SECTIONS = (
    Section("Profile", "At the top of the file.", Profile),
    Section(
        "firmware",
        "Versions are compared number by number. Outside the range the machine is read, a banner says so, "
        "and nothing is written until somebody at the station accepts this very version.",
        FirmwareRange,
    ),
    Section(
        "identification",
        "What the machine says of itself (Modbus FC 43/14, OPC UA Machinery identification) and what its "
        "registers or nodes read. A check that differs, or cannot be read, makes it another machine: "
        "it is read, and never written to.",
        Identification,
    ),
    Section("identification.checks[]", "A tag with the value it must read.", Check, Tag),
    Section("tags.<name>", "One value. Names are words joined by `/`, `.` or `-`.", Tag),
    Section(
        "tags.<name>, on Modbus",
        "Addresses: `holding:100`, `input:7`, `coil:3`, `discrete:2` count from 0; "
        "`40001`, `30001`, `10001`, `00001` from 1. An array takes the registers behind one another.",
        ModbusTag,
        Tag,
    ),
    Section(
        "tags.<name>, on OPC UA",
        "Addresses: `nsu=urn:acme:press;s=State`, `ns=1;s=State` or `i=2258`. The "
        "elements of an array are those of the node, or `{}` in the address is their number.",
        OpcuaTag,
        Tag,
    ),
    Section(
        "tags.<name>.counter",
        "A count that wraps or is set back never gives a negative or a huge number of parts.",
        Counter,
    ),
    Section(
        "tags.<name>.waveform",
        "An array that is taken as a block: no value that streams. On OPC UA it is a node with an array, on "
        "Modbus registers behind one another. [waveforms.md](waveforms.md) says what is made of it.",
        Waveform,
    ),
    Section(
        "templates.<name>",
        "The tag `voltage` of a template at the place `l1` is the tag `l1/voltage`.",
        Template,
    ),
    Section("states.<raw value or word>", "What a state of the machine means.", MachineState),
    Section(
        "derive.state",
        "For a machine that has no state tag. While a tag that would decide has no good value, "
        "the state is unknown.",
        Derivation,
    ),
    Section(
        "derive.state.rules[]", "A condition is a value, a word of the tag's enum, or bounds.", DeriveRule
    ),
    Section("derive.state.rules[].when.<tag>", "One of these.", Bounds),
    Section("writes.<tag>", "What may be written to a tag that the machine lets be written.", WriteRule),
    Section("writes.<tag>.precondition", "", Precondition),
    Section("files", "", FilesAt),
    Section("modbus", "What holds for the whole device.", ModbusDefaults),
    Section("opcua", "What holds for the whole server.", OpcuaDefaults),
    Section(
        "methods.<name>, on OPC UA",
        "A method that may be called. What may start at once (StoreAndStart of OPC 10031-4) is a start.",
        OpcuaMethod,
    ),
    Section(
        "jobs, on OPC UA",
        "A machine that takes job orders. The state of the job order is read back after each command.",
        OpcuaJobs,
    ),
    Section("files, on OPC UA", "Instead of a path.", OpcuaFiles, FilesAt),
)

ALL_MODELS: tuple[type[BaseModel], ...] = (
    *(section.model for section in SECTIONS),
    ModbusCheck,
    ModbusProfile,
    OpcuaProfile,
    Permission,
    MethodRule,
)
"""Whose keys must all be explained."""


def markdown() -> str:
    """The page."""
    return HEAD + "".join(_section(section) for section in SECTIONS)


def _section(section: Section) -> str:
    known = section.base.model_fields if section.base is not None else {}
    schema = section.model.model_json_schema()
    rows = [
        _row(name, field, schema["properties"].get(name, {}), schema.get("$defs", {}))
        for name, field in section.model.model_fields.items()
        if name not in known
    ]
    text = f"\n{section.text}\n" if section.text else ""
    head = "| key | values | default | unit | what it says | example |\n|---|---|---|---|---|---|\n"
    return f"\n## {section.title}\n{text}\n{head}" + "".join(rows)


def _row(name: str, field: FieldInfo, schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    cells = (
        f"`{name}`",
        _either(list(dict.fromkeys(_values(schema, defs)))),
        "*required*" if field.is_required() else _default(schema.get("default")),
        str(extra.get("unit", "")),
        field.description or "",
        f"`{name}: {_yaml(field.examples[0])}`" if field.examples else "",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _either(kinds: list[str]) -> str:
    kinds = [kind for kind in kinds if not (kind == "whole number" and "number" in kinds)]
    return ", ".join(kinds[:-1]) + " or " + kinds[-1] if len(kinds) > 1 else "".join(kinds)


def _values(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Iterator[str]:
    """What a value may be, in words."""
    if (ref := schema.get("$ref")) is not None:
        yield from _values(defs[ref.removeprefix("#/$defs/")], defs)
    for key in ("anyOf", "oneOf"):
        for way in schema.get(key, ()):
            yield from _values(way, defs)
    if "enum" in schema:
        yield ", ".join(f"`{word}`" for word in schema["enum"])
        return
    kinds = schema.get("type", ())
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind != "null":
            yield _WORDS[kind] + _limits(schema)


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "array": "list",
    "object": "mapping",
}
_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _limits(schema: Mapping[str, Any]) -> str:
    limits = [f"{sign} {schema[name]:g}" for name, sign in _LIMITS.items() if name in schema]
    if "maxLength" in schema:
        limits.append(f"≤ {schema['maxLength']} characters")
    return " " + ", ".join(limits) if limits else ""


def _default(value: Any) -> str:
    return "" if value in (None, "", [], {}) or isinstance(value, dict) else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """A value in YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, str):
        plain = value.replace(" ", "").replace("_", "").replace("-", "").replace(",", "").isalnum()
        return (
            value
            if plain and not value[:1].isdigit() and "," not in value
            else json.dumps(value, ensure_ascii=False)
        )
    return json.dumps(value)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8", newline="\n")
