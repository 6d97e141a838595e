"""The log-in page: plain HTML, no script. The token goes into a cookie that scripts cannot read."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Annotated, Literal, TypedDict
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cloud.api.accounts import Accounts, LoginRefusedError, Session, TooManyTriesError
from cloud.api.security import Gate

COOKIE = "onelot_session"
MAX_NAME, MAX_PASSWORD = 32, 200
router = APIRouter(include_in_schema=False)

_PAGE = (Path(__file__).parent / "login.html").read_text("utf-8")


def _page(user: str, error: str = "", status: int = 200) -> HTMLResponse:
    shown = f'<div class="error">{escape(error)}</div>' if error else ""
    return HTMLResponse(
        _PAGE.replace("{{user}}", escape(user, quote=True)).replace("{{error}}", shown), status
    )


def session_of(request: Request, accounts: Accounts) -> Session | None:
    """The session of a browser, if it has a valid one."""
    token = request.cookies.get(COOKIE)
    return accounts.session(token) if token else None


@router.get("/login")
async def form() -> Response:
    """Ask for user and password."""
    return _page("supervisor")


@router.post("/login")
async def log_in(
    request: Request, accounts: Gate, user: Annotated[str, Form()] = "", password: Annotated[str, Form()] = ""
) -> Response:
    """Check them and go to the page."""
    if _from_elsewhere(request):
        return _page("", "this form was sent by another site: log in here", 403)
    if len(user) > MAX_NAME or len(password) > MAX_PASSWORD:
        return _page(user[:MAX_NAME], "user or password is wrong", 401)
    try:
        token, _ = await accounts.login(user, password)
    except LoginRefusedError as error:
        return _page(user, str(error), 401)
    except TooManyTriesError as error:
        return _page(user, str(error), 429)
    response = RedirectResponse("/", 303)
    response.set_cookie(COOKIE, token, **_flags(request))
    return response


@router.post("/logout")
async def log_out(request: Request, accounts: Gate) -> Response:
    """End the session, here and wherever else its token went."""
    session = session_of(request, accounts)
    if session is not None:  # the cookie is strict: a form of another site comes without it
        accounts.end(session)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, **_flags(request))
    return response


class _Flags(TypedDict):
    path: str
    httponly: bool
    samesite: Literal["strict"]
    secure: bool


def _flags(request: Request) -> _Flags:
    """No script reads the cookie, no other site sends it, and over TLS it goes nowhere else."""
    return {"path": "/", "httponly": True, "samesite": "strict", "secure": request.url.scheme == "https"}


def _from_elsewhere(request: Request) -> bool:
    """Whether another site's form sent this, to log somebody in under an account of its own. Browsers say so
    themselves over TLS and on loopback; elsewhere the origin is compared, which they send with every form.
    """
    site, origin = request.headers.get("sec-fetch-site", ""), request.headers.get("origin", "")
    if site:
        return site not in ("same-origin", "none")
    return bool(origin) and urlsplit(origin).netloc != request.headers.get("host", "")
