"""What went wrong, as problem details (RFC 9457): one shape for every error the API answers with."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from cloud.api.accounts import AccountRefusedError, LoginRefusedError, NoSuchAccountError, TooManyTriesError
from cloud.dispatching.asking.changes import ImpossibleChanges
from cloud.dispatching.asking.scenarios import NoLongerPossible, UnknownScenario
from cloud.dispatching.asking.turns import BusyError
from cloud.dispatching.floor.decisions import ImpossibleDecision, UnknownDecision
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.maintenance.asset_sheets import NoSuchAssetError
from cloud.maintenance.case import ImpossibleStep
from cloud.maintenance.cases import NoSuchCaseError
from cloud.maintenance.rul.desk import UnfitModelError
from cloud.maintenance.rul.registry import NoSuchModelError, NotReadyError
from cloud.maintenance.rul.scopes import UnknownScopeError
from cloud.orders.requests import ImpossibleOrder, UnknownOrder
from cloud.quality.charts import CannotFreeze, UnknownChart
from cloud.quality.nonconformances import (
    DispositionMissing,
    TooManyPieces,
    UnknownNonconformance,
    UnknownOperation,
)
from cloud.quality.part_courses import UnknownEnvelope
from protocols.lifecycle import IllegalTransitionError
from protocols.prognostics.model_file import ModelRefusedError

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "The request cannot be read",
    401: "Log in first",
    403: "Not allowed",
    404: "There is no such thing",
    405: "That cannot be done here",
    409: "Not possible in this state",
    411: "The length is missing",
    413: "Too large",
    415: "The body is not JSON",
    422: "Not possible as asked for",
    429: "Too many requests",
    500: "A mistake of the service",
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
    for code in (400, 401, 403, 404, 405, 409, 411, 413, 415, 422, 429, 500)
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


def nowhere(app: FastAPI) -> Callable[[Request, Exception], Response]:
    """What a path or a method hears that ``app`` does not know; also for the page's own app below it."""

    def handler(request: Request, _: Exception) -> Response:
        path = request.url.path
        known = sorted(_methods(app, path))
        if known and request.method not in known:
            text = f"{request.method} {path} is not possible, only {', '.join(known)}"
            return answer(405, text, headers={"Allow": ", ".join(known)})
        return answer(404, f"there is nothing at {path}: GET /openapi.json lists what there is")

    return handler


def _methods(app: FastAPI, path: str) -> set[str]:
    found: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].match(path):
            found |= {verb.upper() for verb in operations}
    return found


def _http(app: FastAPI) -> Callable[[Request, Exception], Response]:
    unknown = nowhere(app)

    def handler(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
        if error.status_code in (404, 405) and error.detail == HTTPStatus(error.status_code).phrase:
            return unknown(request, error)  # the framework's own, which says no more than that
        return answer(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    return handler


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    found = [_finding(item) for item in error.errors()]
    sent = request.headers.get("content-type", "nothing").split(";")[0]
    if any(item.path == "body" for item in found) and sent != "application/json":
        return answer(415, f"the body is {sent}: send Content-Type: application/json", found)
    return answer(422, "; ".join(f"{item.path}: {item.message}" for item in found), found)


def _finding(item: dict[str, Any]) -> Finding:
    if item["type"] == "json_invalid":
        at = item["loc"][-1]
        return Finding(path="body", message=f"not JSON at character {at}: {item['ctx']['error']}")
    path = [str(part) for part in item["loc"] if part not in ("body", "query", "path")]
    return Finding(path=".".join(path) or str(item["loc"][0]), message=str(item["msg"]))


def _impossible(_: Request, error: Exception) -> Response:
    assert isinstance(error, _IMPOSSIBLE)  # noqa: S101 - registered for these types only
    found = [Finding(path=item.path, message=item.message) for item in error.problems]
    return answer(422, str(error), found)


_IMPOSSIBLE = (ImpossibleOrder, ImpossibleChanges, ImpossibleDecision, ImpossibleStep)
"""What lists every reason at once, each with its path."""


def too_many(detail: str, seconds: float) -> Response:
    """Ask for patience: ``seconds`` until it is worth trying again."""
    return answer(429, detail, headers={"Retry-After": str(max(1, round(seconds)))})


def _too_many_tries(_: Request, error: Exception) -> Response:
    assert isinstance(error, (TooManyTriesError, BusyError))  # noqa: S101 - registered for these only
    return too_many(str(error), error.seconds)


def _mistake(_: Request, __: Exception) -> Response:
    return answer(500, "this is a mistake of the service, not yours: its log has the details")


def _no_case(_: Request, error: Exception) -> Response:
    return answer(
        404, f'there is no case "{error.args[0]}": GET /api/v1/maintenance/cases lists those there are'
    )


def _none_of(what: str, where: str) -> Callable[[Request, Exception], Response]:
    def handler(_: Request, error: Exception) -> Response:
        return answer(404, f'there is no {what} "{error.args[0]}": GET /api/v1{where} lists those there are')

    return handler


def _with(status: int) -> Callable[[Request, Exception], Response]:
    def handler(_: Request, error: Exception) -> Response:
        return answer(status, str(error.args[0] if error.args else error))

    return handler


def install(app: FastAPI) -> None:
    """Answer every error of this house as a problem."""
    app.add_exception_handler(HTTPException, _http(app))
    app.add_exception_handler(RequestValidationError, _invalid)
    for impossible in _IMPOSSIBLE:
        app.add_exception_handler(impossible, _impossible)
    app.add_exception_handler(ImpossibleProblem, _with(422))
    for unknown in (UnknownOrder, UnknownDecision, UnknownScenario):
        app.add_exception_handler(unknown, _with(404))
    app.add_exception_handler(NoLongerPossible, _with(409))
    app.add_exception_handler(NoSuchCaseError, _no_case)
    app.add_exception_handler(NoSuchAssetError, _none_of("asset", "/maintenance/assets"))
    app.add_exception_handler(UnknownChart, _none_of("chart", "/quality/charts"))
    app.add_exception_handler(UnknownNonconformance, _none_of("nonconformance", "/quality/nonconformances"))
    app.add_exception_handler(UnknownOperation, _none_of("operation", "/jobs"))
    for unfit in (ModelRefusedError, UnfitModelError, UnknownScopeError):
        app.add_exception_handler(unfit, _with(422))
    app.add_exception_handler(NoSuchModelError, _with(404))
    app.add_exception_handler(NotReadyError, _with(409))
    app.add_exception_handler(CannotFreeze, _with(409))
    app.add_exception_handler(DispositionMissing, _with(422))
    app.add_exception_handler(TooManyPieces, _with(422))
    app.add_exception_handler(UnknownEnvelope, _none_of("envelope", "/quality/envelopes"))
    app.add_exception_handler(IllegalTransitionError, _with(409))
    app.add_exception_handler(NoSuchAccountError, _none_of("account", "/accounts"))
    app.add_exception_handler(AccountRefusedError, _with(409))
    app.add_exception_handler(LoginRefusedError, _with(401))
    app.add_exception_handler(TooManyTriesError, _too_many_tries)
    app.add_exception_handler(BusyError, _too_many_tries)
    app.add_exception_handler(Exception, _mistake)
