"""The page in a real browser: log in, tiles move without reload, a case can be acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from nicegui import core

from cloud.hub import CaseChanged, SamplesLedgered
from cloud.ledger import tags
from cloud.maintenance import cases
from cloud.maintenance.cases import Case
from cloud.web.page import mount
from protocols.catalogue import TagDefinition, catalogue
from protocols.lifecycles import CaseState
from protocols.values import DataType
from tests.cloud.api.service import Door, opened
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


async def test_the_page_moves_without_reload(tmp_path: Path, chromium: Any) -> None:
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

        view = await browser.new_page()
        await view.goto(url)
        assert view.url.endswith("/login")
        await view.fill("#password", "wrong")
        await view.click("button")
        await view.wait_for_selector("text=user or password is wrong", timeout=WAIT)
        await view.fill("#user", user)
        await view.fill("#password", password)
        await view.click("button")
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
        await view.locator("text=vibration is high").wait_for(state="detached", timeout=WAIT)

    # the browser is gone: what it did is in the database of the closed service
    async with opened(tmp_path) as door:
        found = await door.context.database.query(cases.cases)
    assert [c.state for c in found] == [CaseState.ACKNOWLEDGED]
