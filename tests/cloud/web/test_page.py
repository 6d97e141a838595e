"""The page in a real browser: log in, tiles move without reload, a case can be acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from nicegui import Client, core

from cloud.hub import CaseChanged, EdgeChanged, SamplesLedgered
from cloud.ledger import tags
from cloud.ledger.machines import MachineEffects
from cloud.maintenance import cases
from cloud.maintenance.cases import Case
from cloud.web.page import mount
from protocols.catalogue import TagDefinition, catalogue
from protocols.lifecycles import CaseState
from protocols.states import AlarmChanged, DeviceHeartbeat, Event
from protocols.values import DataType
from tests.cloud.api.service import Door, opened
from tests.cloud.web.people_in_a_browser import a_model_is_refused, an_operator_is_let_in
from tests.cloud.web.planning_in_a_browser import people_ask_the_plan
from tests.cloud.web.quality_in_a_browser import a_lot_on_hold_is_decided
from tests.servers import free_port

pytestmark = [pytest.mark.needs("chromium")]
WAIT = 15_000


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def page(folder: Path) -> AsyncIterator[tuple[Door, str]]:
    """A service's page on loopback."""
    async with opened(folder) as door:
        feed = mount(door.app, door.context, door.accounts)
        port = free_port()
        server = _Server(uvicorn.Config(door.app, port=port, log_level="error", timeout_graceful_shutdown=1))
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(server.serve()),
                tasks.create_task(feed.run()),
                tasks.create_task(door.context.live.run(door.context.hub)),
            ]
            try:
                yield door, f"http://127.0.0.1:{port}"
            finally:
                server.should_exit = True
                for task in running[1:]:
                    task.cancel()
                await core.sio.shutdown()
                _end_library_tasks()


def _end_library_tasks() -> None:
    """Cancel the web socket library's own tasks, which a process would end with."""
    for task in asyncio.all_tasks():
        code = getattr(task.get_coro(), "cr_code", None)
        if code is not None and "engineio" in code.co_filename:
            task.cancel()


async def log_in(view: Any, user: str, password: str) -> None:
    await view.fill("#user", user)
    await view.fill("#password", password)
    await view.click("button")
    await view.locator(".tile").first.wait_for(timeout=WAIT)


async def what_stands_still_is_marked(view: Any) -> None:
    await view.locator("body:not(.cut)").wait_for(timeout=WAIT)

    async def broken(*_: object) -> None:
        raise RuntimeError("no board can be worked out, though the service answers")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cloud.web.feed.read_situation", broken)
        await view.locator("body.cut").wait_for(timeout=2 * WAIT)
    await view.locator("body:not(.cut)").wait_for(timeout=2 * WAIT)


async def a_case_is_judged(view: Any) -> None:
    """On its sheet, with a form that says what it lacks; afterwards the sheet says so itself."""
    await view.locator(".sheet .evidence, .sheet >> text=none kept").first.wait_for(timeout=WAIT)
    await view.click("text=say what came of it")
    form = view.locator(".case-form")
    await form.locator("text=ok").click()
    await form.locator("text=say whether the suspicion was true").wait_for(timeout=WAIT)
    await form.locator('[aria-label="Verdict"]').click()
    await view.locator(".q-menu >> text=it was true").click()
    await form.locator('[aria-label="Cause"]').fill("no grease")
    await form.locator("text=ok").click()
    await view.locator(".sheet >> text=verdict: it was true").wait_for(timeout=WAIT)


async def machines_say_how_they_are(door: Door, view: Any) -> None:
    """Alarms, a firmware that waits, a machine that is away: in panels, needs and sheets, in Chinese, too."""
    now = door.context.clock.now()
    told: list[Event] = [
        DeviceHeartbeat(now, "laser-1", True, now, standing=31, untold=9),
        AlarmChanged(now - 90_000_000, "laser-1", "E1", True, "gas pressure <low>", 500, True, "gas"),
        AlarmChanged(now - 1_000_000, "laser-1", "E2", True, "light barrier broken", 900, source="door"),
        DeviceHeartbeat(now, "brake-1", True, now, "", "not that of its profile", "9.9"),
        DeviceHeartbeat(now, "weld-1", False, now - 60_000_000, "opc.tcp://x: connection refused"),
    ]
    door.context.ingest.heard["machining"] = now + 600_000_000  # the edge itself is not away meanwhile
    await door.context.database.run(lambda tx: MachineEffects().states(tx, "machining", told, now))
    door.context.hub.publish(EdgeChanged("machining"))
    rows = view.locator("table.alarms tbody tr")
    await rows.first.locator("text=light barrier broken").wait_for(timeout=WAIT)
    assert "▲ severe 900" in await rows.first.inner_text()
    assert "not acknowledged" in await rows.first.inner_text()
    assert "✓ acknowledged" in await rows.nth(1).inner_text()
    await view.locator("text=and 29 more alarms").wait_for(timeout=WAIT)
    await view.locator(".need >> text=firmware 9.9 waits to be accepted").wait_for(timeout=WAIT)
    await view.locator(".need >> text=light barrier broken").wait_for(timeout=WAIT)
    await view.locator('[data-device="brake-1"] >> text=▲ read only').wait_for(timeout=WAIT)
    await view.locator('[data-device="weld-1"] >> text=onelot driver probe').wait_for(timeout=WAIT)
    await rows.first.click()
    await view.locator(".sheet >> text=9 changes of alarms came in a flood").wait_for(timeout=WAIT)
    await view.locator(".sheet >> text=and 29 more alarms stand that are not listed").wait_for(timeout=WAIT)
    await view.click('[aria-label="close this"]')
    await view.click("text=中文")
    await view.locator("table.alarms >> text=▲ 严重 900").wait_for(timeout=WAIT)
    await view.locator('[data-device="brake-1"] >> text=在工位接受该固件').wait_for(timeout=WAIT)
    await view.click("text=English")
    await view.locator("table.alarms >> text=▲ severe 900").wait_for(timeout=WAIT)


async def what_left_is_forgotten() -> None:
    async with asyncio.timeout(30):
        while Client.instances:  # noqa: ASYNC110 - the library tells nobody
            await asyncio.sleep(0.05)


async def unknown_paths_hear_a_problem(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as stranger:
        unknown, wrong = await stranger.get("/api/v1/ordres"), await stranger.put("/api/v1/orders")
    assert [answer.status_code for answer in (unknown, wrong)] == [404, 405]
    for answer in (unknown, wrong):
        assert answer.headers["content-type"] == "application/problem+json"
    assert not Client.instances  # and left nothing in memory


async def test_the_page_moves_without_reload(
    tmp_path: Path, chromium: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # one test for all of it: the library mounts a page once in a process
    monkeypatch.setattr("cloud.web.page.RECONNECT", 1.0)
    # The first outlook is slow, as it is compiled: the next one must not wait many times as long.
    monkeypatch.setattr("cloud.web.feed.OUTLOOK_EVERY", 1.0)
    monkeypatch.setattr("cloud.web.feed.OUTLOOK_REST", 0.0)
    async with page(tmp_path) as (door, url), chromium() as browser:
        credential = door.accounts.prepare()
        assert credential is not None
        user, password = (line.split(": ")[1] for line in credential.read_text().splitlines())
        known = catalogue(
            "machining",
            [TagDefinition(1, "laser-1/part_count", DataType.UINT32, "C62", "part_count", "laser-1")],
        )
        now = door.context.clock.now()
        await door.context.database.run(
            lambda tx: tags.announce(tx, "machining", known.content_hash(), known, now)
        )

        context = await browser.new_context()
        view = await context.new_page()
        await view.goto(url)
        assert view.url.endswith("/login")
        await view.fill("#password", "wrong")
        await view.click("button")
        await view.wait_for_selector("text=user or password is wrong", timeout=WAIT)
        await log_in(view, user, password)
        tile = view.locator('[data-workcell="laser-1"]')
        await tile.locator("text=no data").wait_for(timeout=WAIT)

        for count in (41, 42):
            hub_now = door.context.clock.now()
            door.context.hub.publish(SamplesLedgered("machining", [1], [hub_now], [count], [0]))
            await tile.locator(f"text=count {count}").wait_for(timeout=WAIT)

        case = Case("c1", "a", "laser-1", "wear", CaseState.OPEN, now, now, 40.0, "vibration is high", ())
        await door.context.database.run(lambda tx: cases.open_case(tx, case))
        door.context.hub.publish(CaseChanged("c1"))
        await view.locator("text=vibration is high").wait_for(timeout=WAIT)
        await view.click("text=acknowledge")
        await view.locator(".need >> text=acknowledged").wait_for(timeout=WAIT)
        await view.locator(".need >> text=plan").wait_for(timeout=WAIT)

        # from a figure to the events behind it: at most three clicks
        await view.click('[data-open="risk"]')
        await view.click(".sheet >> text=vibration is high")
        await view.locator(".sheet >> text=Events, newest first").wait_for(timeout=WAIT)
        await a_case_is_judged(view)
        await view.click("text=← back")
        await view.locator(".sheet >> text=Health of every machine").wait_for(timeout=WAIT)
        await view.click('.sheet [aria-label="close this"] >> visible=true')

        await machines_say_how_they_are(door, view)
        await an_operator_is_let_in(view)
        await a_model_is_refused(view, tmp_path)
        await people_ask_the_plan(door, view, url)
        await a_lot_on_hold_is_decided(door, view)

        # the wall has no name on it and nothing to press
        wall = await context.new_page()
        await wall.goto(f"{url}/wall")
        await wall.locator('[data-workcell="laser-1"]').wait_for(timeout=WAIT)
        assert user not in await wall.inner_text("body")
        assert await wall.locator("button").count() == 0
        await wall.close()

        # who logs out is out in every tab
        await view.click("text=log out")
        await view.wait_for_url("**/login", timeout=WAIT)
        await view.goto(url)
        assert view.url.endswith("/login")

        await log_in(view, user, password)
        await what_stands_still_is_marked(view)
        await view.close()
        await what_left_is_forgotten()
        await unknown_paths_hear_a_problem(url)

    # the browser is gone: what it did is in the database of the closed service
    async with opened(tmp_path) as door:
        found = await door.context.database.query(cases.cases)
    assert [(c.state, c.verdict, c.cause) for c in found] == [(CaseState.CLOSED, "true", "no grease")]
