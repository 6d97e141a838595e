"""How frozen structs leave through the API: encoded once by msgspec, described once in OpenAPI.

A route declares ``responses=answers(list[Order])`` and returns ``Reply(orders)``. Quantities leave as
decimal strings, times as µs UTC integers.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from cloud.api.problems import ERRORS, Problem

_REF = "#/components/schemas/{name}"
_kinds: list[Any] = [msgspec.Raw]
_encoder = msgspec.json.Encoder()


class Reply(Response):
    """A struct, or anything else msgspec can encode, as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return _encoder.encode(content)


def answers(kind: Any, *, status: int = 200, description: str = "OK") -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that answers ``kind`` or a problem."""
    if kind not in _kinds:
        _kinds.append(kind)
    return {
        **ERRORS,
        status: {
            "description": description,
            "content": {"application/json": {"schema": {"x-kind": repr(kind)}}},
        },
    }


def describe(app: FastAPI) -> None:
    """Let ``/openapi.json`` carry the schemas of everything declared with :func:`answers`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        kinds = [kind for kind in _kinds if kind is not msgspec.Raw]
        schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
        by_kind = {repr(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
        for path in document.get("paths", {}).values():
            for operation in path.values():
                for response in operation.get("responses", {}).values():
                    for content in response.get("content", {}).values():
                        kind = content.get("schema", {}).get("x-kind")
                        if kind is not None:
                            content["schema"] = by_kind[kind]
        known = document.setdefault("components", {}).setdefault("schemas", {})
        known.update(components)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        known.update(problem.pop("$defs", {}))
        known["Problem"] = problem
        app.openapi_schema = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]
