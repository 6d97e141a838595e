"""People and the plan, in a real browser: a rush order is asked about, accepted, and the plan says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from cloud.api.roles import Role
from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Kind
from cloud.hub import OrdersChanged
from cloud.orders.requests import OrderRequest
from cloud.web import login
from tests.cloud.api.service import Door

SLOW = 60_000
"""ms: planning takes its time on a machine that is busy with other tests."""


@contextlib.asynccontextmanager
async def planned(door: Door) -> AsyncIterator[None]:
    """The dispatcher at work, and who answers questions of it."""
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(door.context.dispatching.run()),
            tasks.create_task(door.context.scenarios.run()),
        ]
        yield
        for task in running:
            task.cancel()


async def take_in(door: Door, *names: str) -> None:
    due = (datetime.now(UTC) + timedelta(hours=9)).isoformat()
    for name in names:
        lines = [{"product": "cabinet", "quantity": 2, "parameters": {}}]
        order = OrderRequest.model_validate({"id": name, "due": due, "lines": lines})
        await door.context.database.run(partial(door.context.desk.create, request=order))
    door.context.hub.publish(OrdersChanged())


async def people_ask_the_plan(door: Door, view: Any, url: str) -> None:
    """All of it, on the page of a supervisor; at the end a viewer looks on."""
    async with planned(door):
        await take_in(door, "26-0001", "26-0002")
        await view.locator(".plan-words >> text=order 26-0001 came in").wait_for(timeout=SLOW)
        await a_rush_order_comes_true(view)
        await why_is_told(view)
        await an_order_is_promised_and_taken_in(view)
        await work_is_pinned_and_let_go(door, view)
        await a_viewer_may_only_look(door, view, url)


async def a_rush_order_comes_true(view: Any) -> None:
    button = view.locator('button:has-text("What if?")')
    await button.focus()
    await view.keyboard.press("Enter")  # without a mouse
    sheet = view.locator(".whatif")
    width = sheet.get_by_label("Width (mm)")
    await width.fill("99")
    await sheet.get_by_role("button", name="ask", exact=True).click()
    await sheet.locator('[role="alert"] >> text=allowed is 300 to 1200').wait_for(timeout=SLOW)
    await width.fill("700")
    await sheet.get_by_role("button", name="ask", exact=True).click()
    await sheet.locator(".headline >> text=the new order 26-0003").wait_for(timeout=SLOW)
    await sheet.locator(".search >> text=searching for better").wait_for(timeout=SLOW)
    await sheet.locator("table.moved >> text=new, in time").wait_for(timeout=SLOW)
    await sheet.get_by_role("button", name="accept …").click()
    await sheet.locator('[role="alertdialog"] >> text=order comes in: 1 × Steel cabinet').wait_for(
        timeout=SLOW
    )
    await sheet.get_by_role("button", name="do it").click()
    await sheet.locator(".search >> text=accepted: it is planned anew").wait_for(timeout=SLOW)
    await view.keyboard.press("Escape")
    await view.locator(".plan-words >> text=what was asked came true: order comes in").wait_for(timeout=SLOW)
    await view.locator('tr[data-open="order:26-0003"]').first.wait_for(timeout=SLOW)


async def why_is_told(view: Any) -> None:
    await view.locator(".plan-words").focus()
    await view.keyboard.press("Enter")
    sheet = view.locator(".sheet")
    row = sheet.locator('tr[data-open^="replan:"]:has-text("what was asked came true")').first
    await row.focus()
    await view.keyboard.press("Enter")
    await sheet.locator("text=• what was asked came true").wait_for(timeout=SLOW)
    await view.keyboard.press("Escape")


async def an_order_is_promised_and_taken_in(view: Any) -> None:
    listed = view.locator("table.cards")
    await listed.locator('tr[data-open="order:26-0001"] >> text=/(in time|late) \\(\\d+ %\\)/').wait_for(
        timeout=SLOW
    )
    await view.click('button:has-text("new order")')
    sheet = view.locator(".whatif:visible")
    await sheet.get_by_label("Shelves").fill("3")
    await sheet.get_by_role("button", name="earliest date").click()
    await sheet.locator(".headline >> text=earliest without hurting anybody").wait_for(timeout=SLOW)
    before = await sheet.get_by_label("Wanted by").input_value()
    await sheet.get_by_role("button", name="as its date").click()
    async with asyncio.timeout(SLOW / 1000):
        while await sheet.get_by_label("Wanted by").input_value() == before:  # noqa: ASYNC110 - as a person looks
            await asyncio.sleep(0.05)
    await sheet.get_by_role("button", name="take it in").click()
    await view.locator('tr[data-open="order:26-0004"]').first.wait_for(timeout=SLOW)


async def work_is_pinned_and_let_go(door: Door, view: Any) -> None:
    async def pins() -> list[str]:
        now = door.context.clock.now()
        found = await door.context.database.query(lambda tx: decisions.current(tx, now))
        return [one.operation for one in found if one.kind is Kind.PIN]

    await view.locator('tr[data-open="order:26-0003"]').first.click()
    sheet = view.locator(".sheet")
    await sheet.locator("text=waits until").first.wait_for(timeout=SLOW)
    await sheet.locator('tr[data-open="operation:26-0003-1-60"]').click()
    await sheet.get_by_role("button", name="pin to this workcell").click()
    await sheet.locator("text=⚲ pinned by supervisor").wait_for(timeout=SLOW)
    assert await pins() == ["26-0003-1-60"]
    await view.click('[aria-label="close this"]:visible')
    await view.click('button:has-text("decisions")')
    await sheet.locator("text=26-0003-1-60 stays at Test and pack").first.click()
    await sheet.get_by_role("button", name="revoke").click()
    await sheet.locator("text=it is over, or was revoked").wait_for(timeout=SLOW)
    assert await pins() == []
    await view.keyboard.press("Escape")


async def a_viewer_may_only_look(door: Door, view: Any, url: str) -> None:
    token, _ = door.accounts.token("visitor", Role.VIEWER)
    context = await view.context.browser.new_context(viewport={"width": 390, "height": 844})
    await context.add_cookies([{"name": login.COOKIE, "value": token, "url": url}])
    phone = await context.new_page()
    await phone.goto(url)
    await phone.locator('button:has-text("What if?")').click()
    sheet = phone.locator(".whatif")
    await sheet.locator("text=Asked lately").wait_for(timeout=SLOW)
    assert await sheet.get_by_role("button", name="ask", exact=True).count() == 0
    await sheet.get_by_role("button", name="look").click()
    await sheet.locator(".headline").wait_for(timeout=SLOW)
    assert await sheet.get_by_role("button", name="accept …").count() == 0
    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await phone.evaluate(too_wide) <= 0
    await context.close()
