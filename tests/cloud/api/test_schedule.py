"""What people ask of the plan, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from cloud.api.accounts import Role
from cloud.hub import OrdersChanged
from tests.cloud.api.service import Door, opened

CABINET: dict[str, Any] = {
    "due": "2099-01-01T12:00:00Z",
    "lines": [{"product": "cabinet", "quantity": 2, "parameters": {"colour": "RAL 5010"}}],
}


@contextlib.asynccontextmanager
async def planned(door: Door, office: httpx.AsyncClient, *orders: dict[str, Any]) -> AsyncIterator[None]:
    """The dispatcher runs and has planned these orders."""
    running = asyncio.create_task(door.context.dispatching.run())
    try:
        for order in orders:
            assert (await office.post("/api/v1/orders", json=order)).status_code == 201
        await eventually(
            office, "/schedule", lambda plan: len({_job(o) for o in plan["operations"]}) >= len(orders)
        )
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def _job(operation: dict[str, Any]) -> str:
    return str(operation["operation"]).rsplit("-", 1)[0]


async def eventually(
    office: httpx.AsyncClient, path: str, condition: Callable[[Any], bool], seconds: float = 60
) -> Any:
    """Ask until the answer is so; gives the answer."""
    async with asyncio.timeout(seconds):
        while True:
            answer = (await office.get(f"/api/v1{path}")).json()
            if condition(answer):
                return answer
            await asyncio.sleep(0.05)


async def test_the_history_says_why_it_was_planned_anew_and_what_moved(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office, planned(door, office, CABINET):
        urgent = CABINET | {"priority": 10, "due": "2026-12-01T12:00:00Z"}
        made = (await office.post("/api/v1/orders", json=urgent)).json()["id"]
        door.context.hub.publish(OrdersChanged())
        page = await eventually(
            office,
            "/schedule/history",
            lambda page: any(made in cause["about"] for cause in page["replans"][0]["causes"]),
        )
        first = (await office.get("/api/v1/schedule/history", params={"limit": 1})).json()
        rest = (await office.get("/api/v1/schedule/history", params={"before": first["next"]})).json()
        newest = page["replans"][0]["version"]
        one = (await office.get(f"/api/v1/schedule/history/{newest}")).json()
        none = await office.get("/api/v1/schedule/history/9999")

    versions = [replan["version"] for replan in page["replans"]]
    assert versions == sorted(versions, reverse=True)
    assert versions[-1] == 1
    assert first["next"] is not None
    assert rest["replans"][-1]["version"] == 1
    assert rest["next"] is None
    shown = page["replans"][0]
    assert shown["causes"][0]["kind"] == "order"
    assert shown["added"] >= 5
    assert shown["objective"]["total"] > 0
    assert one["causes"] == shown["causes"]
    moves = one["difference"]["moves"]
    assert len(moves) >= one["difference"]["later"] + one["difference"]["earlier"]
    assert all(move["seconds"] or move["before"] != move["after"] for move in moves)
    assert none.status_code == 404
    assert "/api/v1/schedule/history" in none.json()["detail"]


async def test_the_search_can_be_watched(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(Role.VIEWER) as viewer, door.client() as office:
        before = (await viewer.get("/api/v1/schedule/progress")).json()
        async with planned(door, office, CABINET):
            during = await eventually(viewer, "/schedule/progress", lambda found: found["cost"] is not None)

    assert (before["searching"], before["began"], before["cost"]) == (False, None, None)
    assert during["operations"] >= 5
    assert during["plans"] >= 1
    assert during["causes"][0]["kind"] == "order"
    assert during["gap"] is None or 0 <= during["gap"] <= 1
