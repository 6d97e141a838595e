"""A misspelt query parameter is refused: left out silently, it would answer another question."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError


def no_unknown_query(request: Request) -> None:
    """Raise RequestValidationError when a query has keys that its route does not know."""
    known = sorted(set(_names(request.scope["route"].dependant)))
    wrong = [key for key in request.query_params if key not in known]
    if wrong:
        raise RequestValidationError(
            [{"type": "unknown", "loc": ("query", key), "msg": _words(key, known)} for key in wrong]
        )


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for below in dependant.dependencies:
        yield from _names(below)


def _words(key: str, known: list[str]) -> str:
    if not known:
        return "this route takes no query parameters"
    near = get_close_matches(key, known, 1)
    return f"not one of {', '.join(known)}" + (f": did you mean {near[0]}?" if near else "")
