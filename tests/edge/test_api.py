"""The loopback API over a real socket: token, limits, problems, live snapshots."""

import asyncio
import json
import socket
import stat
import sys
from pathlib import Path

import httpx
import pytest
import websockets

from edge.api import Bucket, listen, token_of
from edge.client import EdgeClient, EdgeRefusedError, EdgeUnreachableError
from edge.station import commands as asked
from edge.station.refusals import Refusal
from edge.station.station_view import Receipt, StationView
from protocols.jobs import Text
from tests.edge.edges import TOKEN, edge_api, edge_with_stations
from tests.edge.workcells import job_list, operation, predecessor

OPEN = asked.OpenRun(id="open-0001", actor="K7", operations=("op-1",))


async def test_a_client_sees_the_stations_and_acts(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        await edge.stations.jobs_received(job_list(operation()))
        assert [entry.station for entry in await client.stations()] == ["brake-1"]
        receipt = await client.act("brake-1", OPEN)
        assert receipt == Receipt("open-0001", receipt.ts, ("open-0001",))
        assert await client.station("brake-1") == edge.stations.view("brake-1")


async def test_a_refusal_arrives_with_its_code_and_words_in_both_languages(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        await edge.stations.jobs_received(job_list(operation(predecessors=[predecessor()])))
        with pytest.raises(Refusal) as refused:
            await client.act("brake-1", OPEN)
        assert refused.value.code == "predecessor-open"
        assert refused.value.parameters["title"] == Text("Bend side panels", "折弯侧板")


async def _raw(client: EdgeClient, method: str, path: str, **options: object) -> httpx.Response:
    async with httpx.AsyncClient(base_url=client.url, trust_env=False) as http:
        return await http.request(method, path, **options)  # type: ignore[arg-type]


ACTIONS = "/v1/stations/brake-1/actions"
GOOD = {"Authorization": f"Bearer {TOKEN}"}


PROBLEMS: list[tuple[str, dict[str, object], int, str]] = [
    (ACTIONS, {}, 401, "token"),
    (ACTIONS, {"headers": {"Authorization": "Bearer no"}}, 401, "token"),
    (
        "/v1/stations/brake-9/actions",
        {"headers": GOOD, "json": OPEN.model_dump()},
        404,
        "unknown-station",
    ),
    (ACTIONS, {"headers": GOOD, "json": {"do": "dance"}}, 422, "invalid"),
    (ACTIONS, {"headers": GOOD, "content": b"{"}, 422, "invalid"),
    (ACTIONS, {"headers": GOOD, "content": b"x" * 70_000}, 413, "too-large"),
    ("/v1/nothing", {"headers": GOOD}, 404, "http"),
    ("/v1/stations", {"headers": GOOD}, 405, "http"),
]


async def test_errors_are_problem_details(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        for path, options, status, code in PROBLEMS:
            response = await _raw(client, "POST", path, **options)
            assert response.status_code == status, path
            assert response.headers["content-type"] == "application/problem+json"
            problem = response.json()
            assert (problem["code"], problem["status"]) == (code, status)
            assert problem["detail"]


async def test_invalid_input_names_the_field(tmp_path: Path) -> None:
    body = {**OPEN.model_dump(mode="json"), "setup": "perhaps", "colour": "red"}
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        problem = (await _raw(client, "POST", "/v1/stations/brake-1/actions", headers=GOOD, json=body)).json()
        assert {entry["at"] for entry in problem["parameters"]["problems"]} == {"open.setup", "open.colour"}


async def test_too_many_requests_are_refused(tmp_path: Path) -> None:
    bucket = Bucket(rate=1, burst=3, clock=lambda: 0.0)
    async with edge_with_stations(tmp_path) as edge, edge_api(edge, bucket=bucket) as client:
        for _ in range(3):
            await client.stations()
        with pytest.raises(EdgeRefusedError, match="429 rate"):
            await client.stations()


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    bucket = Bucket(rate=2, burst=2, clock=lambda: now[0])
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 0.5
    assert [bucket.take(), bucket.take()] == [True, False]


async def test_live_pushes_changes_and_counts_terminals(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        await edge.stations.jobs_received(job_list(operation()))
        seen: list[StationView | None] = []
        async for view in client.live("brake-1", role="terminal"):
            seen.append(view)
            if len(seen) == 1:
                assert view is not None
                assert view.terminals == 1
                assert len(view.queue) == 1
                await client.act("brake-1", OPEN)
            elif view is not None and view.runs:
                break
        async with asyncio.timeout(5):
            while edge.stations.view("brake-1").terminals:
                await edge.stations.next_change("brake-1").wait()


async def test_live_says_when_the_edge_is_gone_and_comes_back(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge:
        async with edge_api(edge) as client:
            watcher = EdgeClient(client.url, TOKEN)
            views = watcher.live("brake-1")
            assert await anext(views) is not None
        assert await anext(views) is None
        with pytest.raises(EdgeUnreachableError, match="does not answer"):
            async with watcher:
                await watcher.act("brake-1", OPEN)
        await views.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("station", "token", "status"), [("brake-1", "no", 401), ("brake-9", TOKEN, 404)])
async def test_live_refuses_for_good(tmp_path: Path, station: str, token: str, status: int) -> None:
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        with pytest.raises(EdgeRefusedError) as refused:
            await anext(EdgeClient(client.url, token).live(station))
        assert refused.value.status == status


async def test_a_browser_may_send_the_token_as_its_first_message(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        url = client.url.replace("http", "ws") + "/v1/stations/brake-1/live"
        async with websockets.connect(url, proxy=None) as socket:
            await socket.send(json.dumps({"token": TOKEN}))
            assert json.loads(await socket.recv())["station"] == "brake-1"


async def test_health_and_metrics_need_no_token(tmp_path: Path) -> None:
    async def health() -> dict[str, object]:
        return {"edge": "machining"}

    async with (
        edge_with_stations(tmp_path) as edge,
        edge_api(edge, health=health, metrics=lambda: b"up 1\n") as client,
    ):
        assert (await _raw(client, "GET", "/health")).json() == {"edge": "machining"}
        assert (await _raw(client, "GET", "/metrics")).text == "up 1\n"


def test_the_token_is_made_once_and_not_for_everyone(tmp_path: Path) -> None:
    token = token_of(tmp_path)
    assert token_of(tmp_path) == token
    assert len(token) > 30
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "api.token").stat().st_mode) == 0o600


def test_an_empty_token_file_is_replaced_and_lends_no_rights(tmp_path: Path) -> None:
    path = tmp_path / "api.token"
    path.touch()
    path.chmod(0o644)
    token = token_of(tmp_path)
    assert path.read_text("ascii").strip() == token
    assert [file.name for file in tmp_path.iterdir()] == ["api.token"]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_listener_answers_without_nagles_delay() -> None:
    listener = listen("127.0.0.1", 0)
    assert listener.proto == socket.IPPROTO_TCP, "asyncio sets TCP_NODELAY for sockets of this protocol only"
    listener.close()


def test_a_taken_address_says_what_to_change() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(OSError, match=r"Change api\.port in edge\.yaml"):
        listen("127.0.0.1", taken.getsockname()[1])
