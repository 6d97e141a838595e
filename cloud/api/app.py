"""The service's door: one FastAPI app with the API under ``/api/v1``, ``/health`` and the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.responses import Response

from cloud.api import answers, floor, history, office, problems, sessions
from cloud.api.accounts import Accounts
from cloud.api.answers import Reply
from cloud.context import Context
from cloud.health import Checkup, Health

MAX_BODY = 256 * 1024
"""Bytes of the largest request body that is read."""

ABOUT = """Orders, equipment, live values and history of a OneLot site.

Log in with `POST /api/v1/session` and send the token as `Authorization: Bearer …`. Times are microseconds
since 1970 in UTC; quantities are decimal strings. Errors are problem details (RFC 9457).
"""


def create_app(context: Context, accounts: Accounts) -> FastAPI:
    """The API of a service; ``cloud.web`` adds the page to it."""
    app = FastAPI(title="OneLot", version="1", description=ABOUT, docs_url=None, redoc_url=None)
    app.state.context = context
    app.state.accounts = accounts
    problems.install(app)
    app.middleware("http")(_bounded)
    for router in (sessions.router, floor.router, history.router, office.router):
        app.include_router(router, prefix="/api/v1")

    checkup = Checkup(context)

    @app.get("/health", tags=["service"], responses=answers.answers(Health))
    async def health_now() -> Reply:
        """Whether the service is well, and what it counted. Needs no log-in and names nobody."""
        return Reply(await checkup.health())

    answers.describe(app)
    return app


async def _bounded(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse bodies over the limit before reading them, and keep browsers from guessing types."""
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY:
        return problems.answer(413, f"the body has {length} bytes, the limit is {MAX_BODY}")
    if "chunked" in request.headers.get("transfer-encoding", ""):
        return problems.answer(413, "send the body with its length: chunked bodies are not read")
    response = await go_on(request)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
