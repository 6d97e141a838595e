"""Which language a browser gets: the one chosen there, else the one it asks for."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from cloud.web.speech import SPEECHES, Speech, preferred

COOKIE = "onelot_language"
YEAR = 365 * 86_400
router = APIRouter(include_in_schema=False)


def of(request: Request) -> Speech:
    """The language of a browser."""
    return preferred(request.cookies.get(COOKIE), request.headers.get("accept-language", ""))


def other(say: Speech) -> tuple[str, str]:
    """Name and address of the other language."""
    return ("中文", "/language/zh") if say.language == "en" else ("English", "/language/en")


@router.get("/language/{language}")
async def choose(language: str) -> Response:
    """Keep the language for this browser and go back to the page."""
    if language not in SPEECHES:
        raise HTTPException(404, f"the page speaks {', '.join(SPEECHES)}")
    response = RedirectResponse("/", 303)
    response.set_cookie(COOKIE, language, max_age=YEAR, path="/", httponly=True, samesite="lax")
    return response
