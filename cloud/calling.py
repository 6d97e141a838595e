"""The API of a running service, as the commands call it: where it is, who calls, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloud.printing import fail

if TYPE_CHECKING:
    import httpx

Server = Annotated[str, typer.Option(help="Where the service's page is.")]
Login = Annotated[
    Path, typer.Option(help="File with the lines `user: …` and `password: …`, as first-login.txt has them.")
]
SERVER = "http://127.0.0.1:8080"
LOGIN = Path("first-login.txt")
TIMEOUT = 60.0
"""Seconds."""


@contextmanager
def service(server: str, login: Path) -> Iterator[httpx.Client]:
    """A client that is logged in; raises typer.Exit where nobody answers, or does not know us."""
    import httpx

    try:
        told = login.read_bytes().decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise fail(f"{login}: {error.strerror or error}") from None
    lines = dict(line.split(": ", 1) for line in told if ": " in line)
    if not {"user", "password"} <= lines.keys():
        raise fail(f"{login}: has no lines `user: …` and `password: …`")
    try:
        with httpx.Client(base_url=f"{server.rstrip('/')}/api/v1", timeout=TIMEOUT) as http:
            known = {"user": lines["user"].strip(), "password": lines["password"].strip()}
            token = answer(http.post("/session", json=known))["token"]
            http.headers["Authorization"] = f"Bearer {token}"
            yield http
    except httpx.InvalidURL as error:
        raise fail(f"--server {server}: {error}") from None
    except httpx.TransportError as error:
        raise fail(f"{server}: {error or type(error).__name__}: is the service running there?") from None


def answer(got: httpx.Response) -> Any:
    """What the service answered; raises typer.Exit with its own words where it refused."""
    if got.is_success:
        return got.json() if got.content else None
    try:
        detail = got.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"the service answered {got.status_code}: is this a OneLot service?"
    raise fail(str(detail))
