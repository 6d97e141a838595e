"""The JSON Schema of profiles of all drivers, for editors that complete and check YAML from one.

A profile names its protocol, and with it the schema that holds. In an editor with the YAML language server,
the first line of a profile says where the schema lies::

    # yaml-language-server: $schema=profile.schema.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from drivers.driver import DriverType
from drivers.profile.profile import Profile, Tag
from drivers.registry import driver_types

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def profile_schema(kinds: Iterable[DriverType] | None = None) -> dict[str, Any]:
    """The schema of a profile for any of these drivers; of all there are when left out.

    Raises:
        TypeError: an installed package's entry point is no DriverType.
    """
    types = list(driver_types().values()) if kinds is None else list(kinds)
    defs: dict[str, Any] = {}
    branches = []
    for kind in types:
        schema = kind.profile.model_json_schema()
        # Two drivers may name different parts alike: each keeps its own.
        defs |= {f"{kind.name}.{name}": _moved(part, kind.name) for name, part in schema.pop("$defs").items()}
        defs[kind.name] = _moved(schema, kind.name)
        condition = {"properties": {"protocol": {"const": kind.name}}, "required": ["protocol"]}
        branches.append({"if": condition, "then": {"$ref": f"#/$defs/{kind.name}"}})
    known = Profile[Tag].model_json_schema()
    return {
        "$schema": DIALECT,
        "title": "OneLot machine profile",
        "type": "object",
        "required": ["vendor", "model", "protocol", "tags"],
        "properties": {
            # Before the protocol is written an editor can offer these.
            **{name: {"description": about["description"]} for name, about in known["properties"].items()},
            "protocol": {
                "description": known["properties"]["protocol"]["description"],
                "enum": sorted(kind.name for kind in types),
            },
        },
        "allOf": branches,
        "$defs": defs,
    }


def schema_text(kinds: Iterable[DriverType] | None = None) -> str:
    """The schema as a file holds it."""
    return json.dumps(profile_schema(kinds), indent=2, ensure_ascii=False) + "\n"


def _moved(part: Any, prefix: str) -> Any:
    """A part of a schema whose references point into the definitions of one driver."""
    if isinstance(part, dict):
        if "patternProperties" in part:  # pydantic leaves names that match no pattern open
            part = {**part, "additionalProperties": False}
        return {
            key: f"#/$defs/{prefix}.{value.removeprefix('#/$defs/')}"
            if key == "$ref" and isinstance(value, str)
            else _moved(value, prefix)
            for key, value in part.items()
        }
    return [_moved(item, prefix) for item in part] if isinstance(part, list) else part
