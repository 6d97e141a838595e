"""Errors of the edge API as problem details (RFC 9457), and the bound on what comes in."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.station.refusals import Refusal
from edge.station.stations import UnknownStationError
from protocols.documents import DocumentError

MAX_BODY = 64 * 1024
"""Bytes of the largest request."""
MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An error as it goes out."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, **parameters: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.parameters = status, code, parameters


def install(app: FastAPI) -> None:
    """Make every error of an app a problem."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return _response(error.status, error.code, str(error), error.parameters)

    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Refusal) -> Response:
        full = error.code == "disk-full"
        status = HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.CONFLICT
        return _response(status, error.code, str(error), error.parameters)

    @app.exception_handler(UnknownStationError)
    async def unknown(request: Request, error: UnknownStationError) -> Response:
        return _response(HTTPStatus.NOT_FOUND, "unknown-station", str(error), {})

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = [
            {"at": ".".join(str(part) for part in entry["loc"] if part != "body"), "problem": entry["msg"]}
            for entry in error.errors()
        ]
        text = "; ".join(f"{entry['at'] or 'body'}: {entry['problem']}" for entry in found)
        return _response(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", text, {"problems": found})

    @app.exception_handler(DocumentError)
    async def document(request: Request, error: DocumentError) -> Response:
        problems = [str(problem) for problem in error.problems]
        return _response(
            HTTPStatus.UNPROCESSABLE_ENTITY, "config-invalid", str(error), {"problems": problems}
        )

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return _response(HTTPStatus(error.status_code), "http", str(error.detail), {})


def _response(status: HTTPStatus, code: str, detail: str, parameters: Mapping[str, object]) -> Response:
    content = {
        "type": f"urn:onelot:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "parameters": parameters,
    }
    headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    return Response(msgspec.json.encode(content), status.value, headers, MEDIA_TYPE)


class BoundedBody:
    """Refuses a request larger than ``MAX_BODY`` before it is read into memory."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body: list[Message] = []
        size = 0
        while True:
            message = await receive()
            body.append(message)
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                text = f"the request is larger than {MAX_BODY} bytes: send one action at a time"
                too_large = _response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", text, {})
                await too_large(scope, receive, send)
                return
            if not message.get("more_body", False):
                break

        async def again() -> Message:
            return body.pop(0) if body else await receive()

        await self.app(scope, again, send)
