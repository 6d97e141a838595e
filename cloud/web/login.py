"""The log-in page: plain HTML, no script. The token goes into a cookie that scripts cannot read."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cloud.api.accounts import Accounts, LoginRefusedError, Session
from cloud.api.security import Gate

COOKIE = "onelot_session"
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
    request: Request,
    accounts: Gate,
    user: Annotated[str, Form(max_length=32)] = "",
    password: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Check them and go to the page."""
    try:
        token, _ = await accounts.login(user, password)
    except LoginRefusedError as error:
        return _page(user, str(error), 401)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
    )
    return response


@router.get("/logout")
async def log_out() -> Response:
    """Forget the session in this browser."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, path="/")
    return response
