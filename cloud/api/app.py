"""The service's door: one FastAPI app with the API under ``/api/v1``, ``/health`` and the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from cloud.api import (
    account_list,
    alarms,
    answers,
    cases,
    decisions,
    floor,
    history,
    maintenance,
    office,
    problems,
    quality,
    remaining_life,
    scenarios,
    schedule,
    sessions,
    waveforms,
)
from cloud.api.accounts import Accounts
from cloud.api.answers import Reply
from cloud.api.queries import no_unknown_query
from cloud.api.rates import Rates
from cloud.context import Context
from cloud.health import Checkup, Health

MAX_BODY = 256 * 1024
"""Bytes of the largest request body that is read, but for ``remaining_life.BODIES``."""

ABOUT = """Orders, equipment, live values and history of a OneLot site.

Log in with `POST /api/v1/session` and send the token as `Authorization: Bearer …`. Times are microseconds
since 1970 in UTC; quantities are decimal strings. Errors are problem details (RFC 9457). An address may make
500 requests at once and 50 a second after that; 429 says how long to wait.
"""


def create_app(context: Context, accounts: Accounts) -> FastAPI:
    """The API of a service; ``cloud.web`` adds the page to it."""
    app = FastAPI(title="OneLot", version="1", description=ABOUT, docs_url=None, redoc_url=None)
    app.state.context = context
    app.state.accounts = accounts
    problems.install(app)
    app.middleware("http")(_bounded(Rates(context.clock)))
    for part in (
        sessions,
        account_list,
        floor,
        alarms,
        history,
        cases,
        maintenance,
        remaining_life,
        office,
        quality,
        scenarios,
        decisions,
        schedule,
        waveforms,
    ):
        app.include_router(part.router, prefix="/api/v1", dependencies=[Depends(no_unknown_query)])

    checkup = Checkup(context)

    @app.get("/health", tags=["service"], responses=answers.answers(Health))
    async def health_now() -> Reply:
        """Whether the service is well, and what it counted. Needs no log-in and names nobody."""
        return Reply(await checkup.health())

    answers.describe(app)
    return app


_COUNTED = ("/api/", "/health", "/login", "/models", "/openapi.json")
"""Paths that cost something to answer; the page's files and its web socket are not counted."""

_GoOn = Callable[[Request], Awaitable[Response]]


def _bounded(rates: Rates) -> Callable[[Request, _GoOn], Awaitable[Response]]:
    """Refuse bodies over the limit before reading them and who asks too often; keep browsers from guessing
    types.
    """

    async def bounded(request: Request, go_on: _GoOn) -> Response:
        response = _refusal(request, rates) or await go_on(request)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response

    return bounded


def _refusal(request: Request, rates: Rates) -> Response | None:
    length = request.headers.get("content-length", "0")
    if "chunked" in request.headers.get("transfer-encoding", ""):
        return problems.answer(411, "send the body with its length: chunked bodies are not read")
    most = remaining_life.BODIES.get(request.url.path, MAX_BODY)
    if not length.isdigit() or int(length) > most:
        return problems.answer(413, f"the body has {length} bytes, the limit is {most}")
    if request.url.path.startswith(_COUNTED):
        address = request.client.host if request.client is not None else ""
        if seconds := rates.wait(address):
            return problems.too_many(f"too many requests from {address}: wait {seconds:.2f} s", seconds)
    return None
