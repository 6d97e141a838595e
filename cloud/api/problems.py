"""What went wrong, as problem details (RFC 9457): one shape for every error the API answers with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cloud.api.accounts import LoginRefusedError
from cloud.maintenance.cases import NoSuchCaseError
from cloud.orders.requests import ImpossibleOrder, UnknownOrder
from protocols.lifecycle import IllegalTransitionError

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "The request cannot be read",
    401: "Log in first",
    403: "Not allowed",
    404: "There is no such thing",
    405: "That cannot be done here",
    409: "Not possible in this state",
    413: "Too large",
    422: "Not possible as asked for",
    429: "Too many requests",
    503: "Not available now",
}


class Finding(BaseModel):
    """One thing that is wrong and where, e.g. ``lines.0.parameters.width``."""

    path: str
    message: str


class Problem(BaseModel):
    """An error as the API answers it (RFC 9457). ``detail`` says thing, value, limit and next step."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    problems: list[Finding] = Field(default_factory=list)


ERRORS: dict[int | str, dict[str, Any]] = {
    code: {
        "description": _TITLES[code],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for code in (400, 401, 403, 404, 409, 413, 422, 429)
}
"""Declared on every route, so that the OpenAPI document says what may come."""


def answer(
    status: int, detail: str, problems: list[Finding] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem as a response."""
    problem = Problem(
        title=_TITLES.get(status, "Error"), status=status, detail=detail, problems=problems or []
    )
    return JSONResponse(problem.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    return answer(error.status_code, str(error.detail), headers=dict(error.headers or {}))


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    found = [
        Finding(
            path=".".join(str(part) for part in item["loc"] if part not in ("body", "query", "path")),
            message=str(item["msg"]),
        )
        for item in error.errors()
    ]
    return answer(422, "; ".join(f"{item.path}: {item.message}" for item in found), found)


def _impossible(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ImpossibleOrder)  # noqa: S101 - registered for this type only
    found = [Finding(path=item.path, message=item.message) for item in error.problems]
    return answer(422, str(error), found)


def _with(status: int) -> Callable[[Request, Exception], JSONResponse]:
    def handler(_: Request, error: Exception) -> JSONResponse:
        return answer(status, str(error.args[0] if error.args else error))

    return handler


def install(app: FastAPI) -> None:
    """Answer every error of this house as a problem."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ImpossibleOrder, _impossible)
    app.add_exception_handler(UnknownOrder, _with(404))
    app.add_exception_handler(NoSuchCaseError, _with(404))
    app.add_exception_handler(IllegalTransitionError, _with(409))
    app.add_exception_handler(LoginRefusedError, _with(401))
