"""The loopback API of an edge: stations for terminals and virtual operators, health and metrics.

Every call but ``/health`` and ``/metrics`` needs the edge's token (``Authorization: Bearer``), which lies in
a file of the edge's data folder. Errors are problem details (RFC 9457) with a
``code`` and the ``parameters`` from which a terminal makes a sentence in its own language.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import Body, Depends, FastAPI, Response, WebSocket, WebSocketDisconnect
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from edge.problems import MAX_BODY, BoundedBody, Problem, install
from edge.station.commands import AnyCommand
from edge.station.stations import Stations, UnknownStationError

RATE, BURST = 50.0, 100.0
"""Requests a second that one edge answers, and how many at once."""
MAX_SOCKETS = 64
PUSH_SECONDS = 0.05
"""Shortest time between two snapshots on one socket."""
LINK_SECONDS = 1.0
"""How often a socket looks whether the link changed while the station did not."""
_bearer = HTTPBearer(auto_error=False)
_encode = msgspec.json.Encoder().encode


def token_of(data: Path) -> str:
    """The edge's token; made at the first start, readable for its owner only where the system can."""
    path = data / "api.token"
    with contextlib.suppress(FileNotFoundError):
        found = path.read_text(encoding="ascii").strip()
        if found:
            return found
    data.mkdir(parents=True, exist_ok=True)
    made = secrets.token_urlsafe(32)
    # By way of a draft: a crash leaves no half token, and a file that was there lends it no rights.
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return made


@dataclass(slots=True)
class Bucket:
    """A token bucket: ``rate`` a second, at most ``burst`` at once."""

    rate: float = RATE
    burst: float = BURST
    clock: Callable[[], float] = time.monotonic
    _level: float = field(default=-1.0, init=False)
    _seen: float = field(default=0.0, init=False)

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = self.clock()
        level = self.burst if self._level < 0 else self._level + (now - self._seen) * self.rate
        self._seen, self._level = now, min(self.burst, level)
        if self._level < 1:
            return False
        self._level -= 1
        return True


async def _no_health() -> Mapping[str, object]:
    return {}


async def _no_reload() -> object:
    return {}


def create_app(
    stations: Stations,
    *,
    token: str,
    health: Callable[[], Awaitable[Mapping[str, object]]] = _no_health,
    metrics: Callable[[], bytes] = bytes,
    reload: Callable[[], Awaitable[object]] = _no_reload,
    bucket: Bucket | None = None,
) -> FastAPI:
    """The API over an edge's stations. ``health``, ``metrics`` and ``reload`` are the agent's."""
    limit = bucket or Bucket()
    sockets = Sockets()

    async def allowed(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> None:
        if credentials is None or not _same(credentials.credentials, token):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "token",
                'the token is missing or wrong: send "Authorization: Bearer …" with the content of the file '
                "api.token in the edge's data folder",
            )
        if not limit.take():
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS, "rate", f"more than {limit.rate:g} requests a second: wait"
            )

    app = FastAPI(title="OneLot edge", version="1", docs_url=None, redoc_url=None)
    app.add_middleware(BoundedBody)
    install(app)
    guarded = [Depends(allowed)]

    @app.get("/v1/stations", dependencies=guarded, summary="The stations of this edge")
    async def list_stations() -> Response:
        return _json(stations.summaries())

    @app.get("/v1/stations/{station}", dependencies=guarded, summary="Everything about one station")
    async def get_station(station: str) -> Response:
        return _json(stations.view(station))

    @app.post(
        "/v1/stations/{station}/actions",
        dependencies=guarded,
        summary="Do something at a station; answered once it is on disk",
    )
    async def act(station: str, command: Annotated[AnyCommand, Body()]) -> Response:
        return _json(await stations.perform(station, command))

    @app.websocket("/v1/stations/{station}/live")
    async def live(websocket: WebSocket, station: str, role: str = "viewer") -> None:
        await _live(websocket, stations, station, role, token, sockets)

    @app.post(
        "/v1/reload",
        dependencies=guarded,
        summary="Take up the configuration as its files are now; health tells how it went",
    )
    async def take_up() -> Response:
        return _json(await reload())

    @app.get("/health", summary="Whether the edge is well, in numbers")
    async def get_health() -> Response:
        return _json(await health())

    @app.get("/metrics", summary="Prometheus metrics")
    async def get_metrics() -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4")

    return app


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _json(value: object) -> Response:
    return Response(_encode(value), media_type="application/json")


# --- the live socket ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sockets:
    """How many live sockets are open."""

    open: int = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


async def _live(
    websocket: WebSocket, stations: Stations, station: str, role: str, token: str, sockets: Sockets
) -> None:
    """Snapshots of a station on change. Close codes: 4401 token, 4404 station, 4429 too many sockets."""
    await websocket.accept()
    if sockets.open >= MAX_SOCKETS:
        await websocket.close(4429, f"{MAX_SOCKETS} terminals are attached already")
        return
    with sockets.counted():
        if not await _authorised(websocket, token):
            await websocket.close(4401, "the token is missing or wrong")
            return
        try:
            stations.view(station)
        except UnknownStationError as error:
            await websocket.close(4404, str(error)[:120])
            return
        with contextlib.ExitStack() as stack:
            if role == "terminal":
                stack.enter_context(stations.attached(station))
            with contextlib.suppress(WebSocketDisconnect):
                await _converse(websocket, stations, station)


async def _converse(websocket: WebSocket, stations: Stations, station: str) -> None:
    """Send snapshots until the other side has gone."""
    try:
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(_send_changes(websocket, stations, station))
            await _until_gone(websocket)
            sender.cancel()
    except* WebSocketDisconnect as gone:
        raise WebSocketDisconnect from gone


async def _authorised(websocket: WebSocket, token: str) -> bool:
    """The token as a header, or in a first message ``{"token": …}`` where headers cannot be set."""
    header = websocket.headers.get("authorization", "")
    if header:
        return _same(header.removeprefix("Bearer ").strip(), token)
    try:
        async with asyncio.timeout(5):
            first = json.loads(await websocket.receive_text())
    except (TimeoutError, ValueError, KeyError, WebSocketDisconnect):
        return False
    return isinstance(first, dict) and _same(str(first.get("token", "")), token)


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _send_changes(websocket: WebSocket, stations: Stations, station: str) -> None:
    shown = None
    while True:
        change = stations.next_change(station)
        now = stations.view(station)
        timeless = msgspec.structs.replace(now, now=0)
        if timeless != shown:
            shown = timeless
            await websocket.send_text(_encode(now).decode())
            await asyncio.sleep(PUSH_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINK_SECONDS):
                await change.wait()


# --- serving --------------------------------------------------------------------------------------------


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything else starts (a free port for 0).

    Raises:
        OSError: the address cannot be had; the text names it and what to change.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol named, asyncio does not switch Nagle's algorithm off: 40 ms more for each answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two processes share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        text = f"the edge API cannot listen on {host}:{port}: {error.strerror}. Change api.port in edge.yaml"
        raise OSError(error.errno, text) from error
    return listener


async def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve the API until cancelled, then let open requests finish for a moment."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are the agent's: uvicorn would take Ctrl-C away from it."""
            yield

    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=MAX_BODY,
            timeout_graceful_shutdown=2,
        )
    )
    serving = asyncio.ensure_future(server.serve([listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
    finally:
        listener.close()
