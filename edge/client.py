"""The edge API from the other side: what terminals and virtual operators call. No screen in here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec
import structlog
import websockets

from edge.station.commands import Command
from edge.station.refusals import Parameter, Refusal
from edge.station.station_view import Receipt, StationSummary, StationView

T = TypeVar("T")

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waiting before each new attempt to reach the edge; the last one repeats."""
MAX_SNAPSHOT = 16 << 20


class EdgeUnreachableError(ConnectionError):
    """The edge does not answer at all: whether a command was accepted is not known. Send it again."""


class EdgeRefusedError(RuntimeError):
    """The edge answered that it will not talk to this client: token, station, limits."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{detail} (HTTP {status} {code})")
        self.status, self.code = status, code


class _Problem(msgspec.Struct):
    code: str = "http"
    detail: str = ""
    parameters: dict[str, Any] = {}


def checked(url: str) -> str:
    """The address of an edge's API as it is; raises ValueError saying what one looks like."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f'"{url}" is not the address of an edge: write http://127.0.0.1:8801')
    return url


_view = msgspec.json.Decoder(StationView)
_summaries = msgspec.json.Decoder(list[StationSummary])
_receipt = msgspec.json.Decoder(Receipt)
_problem = msgspec.json.Decoder(_Problem)


@dataclass(slots=True)
class EdgeClient:
    """Talks to the API of one edge; ``async with`` opens and closes its connections.

    ``url`` such as ``http://127.0.0.1:8470``; ``token`` from the edge's ``api.token``.
    """

    url: str
    token: str
    _http: httpx.AsyncClient = field(init=False)

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def stations(self) -> list[StationSummary]:
        """The stations of the edge."""
        return _decoded(_summaries, await self._call("GET", "/v1/stations"))

    async def station(self, station: str) -> StationView:
        """Everything about one station."""
        return _decoded(_view, await self._call("GET", f"/v1/stations/{station}"))

    async def act(self, station: str, command: Command) -> Receipt:
        """Send a command; returns when it is on the edge's disk.

        Raises:
            Refusal: the station refused it; nothing happened.
            EdgeRefusedError: the edge will not talk to this client.
            EdgeUnreachableError: no answer; sending the same command again is harmless.
        """
        path = f"/v1/stations/{station}/actions"
        return _decoded(_receipt, await self._call("POST", path, command.model_dump_json().encode()))

    async def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            response = await self._http.request(method, path, content=body, headers=headers)
        except httpx.TransportError as error:
            raise EdgeUnreachableError(
                f"{self.url} does not answer: {error or type(error).__name__}"
            ) from error
        if response.is_success:
            return response.content
        raise _error(response.status_code, response.content)

    async def live(self, station: str, role: str = "viewer") -> AsyncIterator[StationView | None]:
        """Snapshots of a station as it changes, for ever; ``None`` each time the edge is out of reach.

        ``role`` ``terminal`` keeps virtual operators away from the station.

        Raises:
            EdgeRefusedError: wrong token, unknown station, an edge of another version.
        """
        attempt = 0
        while True:
            try:
                async with websockets.connect(
                    self._socket_url(station, role),
                    additional_headers={"Authorization": f"Bearer {self.token}"},
                    max_size=MAX_SNAPSHOT,
                    open_timeout=TIMEOUT_SECONDS,
                    ping_interval=5,
                    ping_timeout=5,
                    close_timeout=1,
                    proxy=None,
                ) as socket:
                    while True:
                        message = await socket.recv()
                        attempt = 0
                        yield _decoded(_view, message)
            except websockets.ConnectionClosed as error:
                if error.rcvd is not None and 4400 <= error.rcvd.code < 4500:
                    raise EdgeRefusedError(error.rcvd.code - 4000, "live", error.rcvd.reason) from error
            except (OSError, TimeoutError, websockets.WebSocketException):
                log.debug("edge.unreachable", url=self.url, attempt=attempt)
            yield None
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    def _socket_url(self, station: str, role: str) -> str:
        parts = urlsplit(self.url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        path = f"{parts.path.rstrip('/')}/v1/stations/{station}/live"
        return urlunsplit((scheme, parts.netloc, path, f"role={role}", ""))


def _decoded(decoder: msgspec.json.Decoder[T], answer: bytes | str) -> T:
    """What the edge says; an edge of another version may say it in other words."""
    try:
        return decoder.decode(answer)
    except msgspec.DecodeError as error:
        raise EdgeRefusedError(
            HTTPStatus.UPGRADE_REQUIRED,
            "version",
            f"the edge's answer is not understood ({error}): update the terminal to the edge's version",
        ) from error


def _error(status: int, content: bytes) -> Exception:
    try:
        problem = _problem.decode(content)
    except msgspec.DecodeError:
        return EdgeRefusedError(status, "http", content[:200].decode(errors="replace"))
    if status in (409, 507):
        return Refusal(problem.code, **_parameters(problem.parameters))
    return EdgeRefusedError(status, problem.code, problem.detail)


def _parameters(sent: dict[str, Any]) -> dict[str, Parameter]:
    return msgspec.convert(sent, dict[str, Parameter])
